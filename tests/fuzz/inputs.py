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

_STRANGE = [
    None, True, 0, -1, 2**53 + 1, 1e308, "", " ", "\u2028", "\x00", "é" * 9, [], {}, [[]], [{}],
    {"type": "text"}, {"type": "?"}, "data:image/png;base64,%%%", "{", "[DONE]", "model", "tool",
]  # fmt: skip


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
                data[at:at] = data[at : at + width]
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
                parent[key] = copy.deepcopy(random.choice(_STRANGE))
            case 1:
                del parent[key]
            case 2:
                other, its_key = random.choice(places)
                parent[key] = copy.deepcopy(other[its_key])
            case 3 if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(random.choice(_STRANGE)))
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
    return json.dumps(document).encode()
