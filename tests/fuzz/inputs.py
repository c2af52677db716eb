"""Inputs with the structure of real ones, and damage of every kind."""

import copy
import json

from tests.captures import load
from tests.fault_server import SCENARIOS
from tests.fault_server.transcripts import DIALECTS as SPELLINGS

STREAMS = [
    (name, b"".join(spelling.frames(scenario, "m-1")))
    for name, spelling in SPELLINGS.items()
    for scenario in SCENARIOS.values()
]
WHOLES = [
    (name, spelling.whole(scenario, "m-1"))
    for name, spelling in SPELLINGS.items()
    for scenario in SCENARIOS.values()
]
REQUESTS = [(capture.dialect, capture.body) for capture in load() if capture.body]

_WORDS = (
    "Rate limit reached for m-1. Please try again in 6m0s.",
    "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    "<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1></body></html>",
)
_DETAILS = [
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
]
ERRORS = [
    error
    for words in _WORDS
    for error in (
        words,
        {
            "error": {
                "message": words,
                "type": "tokens",
                "param": None,
                "code": "rate_limit_exceeded",
            }
        },
        {"type": "error", "error": {"type": "overloaded_error", "message": words}},
        [{"error": {"code": 429, "message": words, "status": "UNAVAILABLE", "details": _DETAILS}}],
        {"detail": words},
        {"error": {"message": words, "type": "usage_limit_reached", "resets_in_seconds": 7}},
    )
]

_STRANGE = [
    None, True, 0, -1, 2**53 + 1, 1e308, "", " ", "\u2028", "\x00", "é" * 9, [], {}, [[]], [{}],
    {"type": "text"}, {"type": "?"}, "data:image/png;base64,%%%", "{", "[DONE]", "model", "tool",
    "²", "9" * 400, "pp1.W10.x", "{}" * 2000, '"\\' * 2000, "<script" * 2000,
    "retry in 1.2.3s", "required", "properties",
]  # fmt: skip
_DEPTH = 300


def _strange(random):
    if random.random() < 0.02:
        return json.loads('{"items":' * _DEPTH + "[]" + "}" * _DEPTH)
    return copy.deepcopy(random.choice(_STRANGE))


def damaged_bytes(random, data):
    """*data* with some bytes flipped, cut out, repeated or moved."""
    data = bytearray(data)
    for _ in range(random.randint(0, 4)):
        if not data:
            break
        at, width = random.randrange(len(data)), random.randint(1, 40)
        match random.randrange(5):
            case 0:
                data[at] = random.randrange(256)
            case 1:
                del data[at : at + width]
            case 2:
                data[at:at] = data[at : at + width] * random.choice((1, 1, 1, 1, 500))
            case 3:
                data[at:at] = random.choice(
                    [b"\n", b"\r", b"\r\n\r\n", b"data: ", b": x\n", b"\xff"]
                )
            case 4:
                del data[at:]
    return bytes(data)


def damaged_document(random, document):
    """*document* with some values replaced, taken out or put elsewhere."""
    document = copy.deepcopy(document)
    for _ in range(random.randint(1, 4)):
        places = list(_places(document))
        if not places:
            break
        parent, key = random.choice(places)
        match random.randrange(4):
            case 0:
                parent[key] = _strange(random)
            case 1:
                del parent[key]
            case 2:
                other, its_key = random.choice(places)
                parent[key] = json.loads(json.dumps(other[its_key]))
            case 3 if isinstance(parent, list):
                parent.insert(key, _strange(random))
            case _:
                parent[key] = str(parent[key])
    return document


def _places(value):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def cut(random, data):
    """*data* in pieces."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(0, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def as_bytes(document):
    try:
        return json.dumps(document).encode()
    except RecursionError:  # damage upon damage: deeper than Python's own writer goes
        return b"[" * 5000
