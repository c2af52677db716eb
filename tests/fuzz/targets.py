"""What is fuzzed: each target takes a source of randomness and raises if something is wrong."""

from contextlib import suppress

from proxypal_core.dialects import DIALECTS, openai_legacy
from proxypal_core.dialects.base import Encoded, Reply
from proxypal_core.dialects.carry import Carrier
from proxypal_core.dialects.pipe import Passthrough, Translation
from proxypal_core.hub.events import (
    Finish,
    PartBlob,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.failure import Failure, Refused
from proxypal_core.hub.messages import Request
from proxypal_core.wire import jsonio, sse
from tests.dialects import request_types
from tests.fuzz import inputs

CARRIER = Carrier(b"f" * 32)


def splitter(random):
    """However a stream is cut, the same events come out, and all its bytes."""
    data = inputs.damaged_bytes(random, random.choice(inputs.STREAMS)[1])
    assert _frames([data]) == _frames(inputs.cut(random, data))


def decoder(random):
    """Whatever a provider streams, the events keep the grammar."""
    name, data = random.choice(inputs.STREAMS)
    dialect = DIALECTS[name if random.random() < 0.9 else random.choice(list(DIALECTS))]
    reader = dialect.decoder()
    events = []
    for frame in _frames([_damaged(random, data)]):
        events += reader.read(frame)
        _notice(dialect, frame)
    check_grammar([*events, *reader.end()])


def translation(random):
    """What a client gets is its own dialect, however broken the provider is."""
    provider, data = random.choice(inputs.STREAMS)
    client = random.choice(list(DIALECTS))
    reply = Reply(Request(dialect=client, model="m", stream=True, include_usage=True), "id", 0)
    carrying = CARRIER.outgoing(client, provider)
    pipe = Translation(DIALECTS[provider], DIALECTS[client], reply, Encoded(b""), carrying)
    out = _piped(random, pipe, data)
    told = pipe.seen.failure is not None and pipe.seen.begun
    if not pipe.seen.finished and not told:
        assert not out or not pipe.seen.begun
        return
    reader = DIALECTS[client].decoder()
    events = [event for frame in _frames([out]) for event in reader.read(frame)]
    events += reader.end()
    check_grammar(events)
    last = next(event for event in reversed(events) if not isinstance(event, UsageReport))
    assert isinstance(last, Finish if pipe.seen.finished else Failure)


def passthrough(random):
    """A provider that speaks the client's dialect is passed on, and its end is seen."""
    name, data = random.choice(inputs.STREAMS)
    dialect = DIALECTS[name]
    reply = Reply(Request(dialect=name, model="m", stream=True), "id", 0)
    revise = dialect.without_usage if random.random() < 0.5 else None
    _piped(random, Passthrough(dialect, reply, rename=random.random() < 0.5, revise=revise), data)


def _piped(random, pipe, data):
    pieces = inputs.cut(random, _damaged(random, data))
    out = b"".join([*map(pipe.feed, pieces), pipe.close()])
    assert pipe.seen.finished or pipe.seen.failure is not None
    return out


def whole(random):
    """Whatever a provider answers at once, it is an answer, an error or refused."""
    name, document = random.choice(inputs.WHOLES)
    document = _damaged_object(random, document)
    try:
        DIALECTS[name].notice_whole(document)
        response = DIALECTS[name].decode_response(document)
    except (jsonio.Malformed, Refused):
        return
    for client, dialect in DIALECTS.items():
        body = dialect.encode_response(response, Reply(Request(dialect=client, model="m"), "i", 0))
        dialect.decode_response(jsonio.load_object(body))


def request(random):
    """Whatever a client asks is understood or refused, and what is sent on reads back."""
    name, document = random.choice(inputs.REQUESTS)
    document = _damaged_object(random, document)
    try:
        DIALECTS[name].peek(document)
        DIALECTS[name].with_usage(inputs.as_bytes(document), document)
        asked = DIALECTS[name].decode_request(document, model="m", stream=random.random() < 0.5)
        asked = CARRIER.incoming(asked)
    except (jsonio.Malformed, Refused):
        return
    checked = random.random() < 0.2
    for target, dialect in DIALECTS.items():
        try:
            encoded = dialect.encode_request(asked)
        except Refused:
            continue
        body = jsonio.load_object(encoded.body)
        dialect.decode_request(body, model="m", stream=asked.stream)
        dialect.encode_count(asked)
        # What only the client's own dialect has goes there as it was written.
        if checked and target != name:
            version = encoded.headers.get("anthropic-version", "")
            problems = request_types.problems(target, body, version=version)
            assert not [one for one in problems if _NEW_WORD not in one], problems


_NEW_WORD = "effort: Input should be"
"""A word that no vendor had when this was written is passed on, for one may have it by now."""


def completion(random):
    """The older form around Chat survives what Chat does."""
    _, document = random.choice(inputs.REQUESTS)
    document = _damaged_object(random, {"prompt": ["x"], "best_of": 1, **document})
    with suppress(jsonio.Malformed, Refused):
        DIALECTS["openai-chat"].decode_request(
            openai_legacy.to_chat(document), model="m", stream=False
        )
    _, document = random.choice(inputs.WHOLES)
    openai_legacy.from_chat(inputs.as_bytes(_damaged_object(random, document)))
    _, data = random.choice(inputs.STREAMS)
    for raw in sse.Splitter().feed(_damaged(random, data)):
        openai_legacy.from_chat_event(raw)


def error_body(random):
    """Whatever an error looks like, it means something, and every client is told."""
    document = random.choice(inputs.ERRORS)
    if isinstance(document, str):
        body = document.encode()
    else:
        body = inputs.as_bytes(inputs.damaged_document(random, document))
    if random.random() < 0.5:
        body = inputs.damaged_bytes(random, body)
    failure = random.choice(list(DIALECTS.values())).decode_failure(random.randint(200, 599), body)
    assert failure.message
    for dialect in DIALECTS.values():
        status, answer = dialect.encode_failure(failure, request_id="r")
        assert 400 <= status < 600
        assert dialect.decode_failure(status, answer).message


TARGETS = (
    splitter,
    decoder,
    translation,
    passthrough,
    whole,
    request,
    completion,
    error_body,
)


def check_grammar(events):
    """The grammar of ``hub.events``."""
    open_part, parts, ended = None, 0, False
    for event in events:
        assert not ended or isinstance(event, UsageReport), "something after the end"
        match event:
            case PartStart(at=at):
                assert open_part is None, "parts interleave"
                assert at == parts, "an index is left out"
                open_part = at
            case PartDelta(at=at) | PartBlob(at=at) | PartCitation(at=at):
                assert at == open_part, "a delta of a part that is not open"
            case PartEnd(at=at):
                assert at == open_part, "the end of a part that is not open"
                open_part, parts = None, parts + 1
            case Finish():
                assert open_part is None, "a finish inside a part"
                ended = True
            case Failure():
                ended = True
            case ResponseStart():
                assert parts == 0
                assert open_part is None
    assert ended, "no end"


def _damaged(random, data):
    if random.random() < 0.5:
        return inputs.damaged_bytes(random, data)
    raws = []
    for frame in _frames([data]):
        try:
            document = jsonio.loads(frame.data)
        except jsonio.Malformed:
            raws.append(sse.frame(frame.data, frame.event))
            continue
        if random.random() < 0.2:
            document = inputs.damaged_document(random, document)
        if random.random() < 0.95:
            raws.append(sse.frame(inputs.as_bytes(document), frame.event))
    return b"".join(raws)


def _damaged_object(random, document):
    """*document*, damaged, as it is when it arrives; empty when nobody would read it."""
    try:
        return jsonio.load_object(inputs.as_bytes(inputs.damaged_document(random, document)))
    except jsonio.Malformed:
        return {}


def _frames(pieces):
    cutter = sse.Splitter()
    raws = [raw for piece in pieces for raw in cutter.feed(piece)]
    return [frame for frame in map(sse.parse, [*raws, cutter.close()]) if frame is not None]


def _notice(dialect, frame):
    try:
        dialect.notice(frame)
    except jsonio.Malformed:
        return
