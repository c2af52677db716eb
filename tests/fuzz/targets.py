"""What is fuzzed: each target takes a source of randomness and raises if something is wrong."""

from proxypal_core.dialects import DIALECTS
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
    reply = Reply(Request(dialect=client, model="m", stream=True), "id", 0)
    if client == provider:
        pipe = Passthrough(DIALECTS[client], reply, rename=random.random() < 0.5)
    else:
        carrying = CARRIER.outgoing(client, provider)
        pipe = Translation(DIALECTS[provider], DIALECTS[client], reply, Encoded(b""), carrying)
    out = b"".join(pipe.feed(piece) for piece in inputs.cut(random, _damaged(random, data)))
    out += pipe.close()
    assert pipe.seen.finished or pipe.seen.failure is not None
    if client != provider:
        for frame in _frames([out]):
            assert frame.data == b"[DONE]" or isinstance(jsonio.loads(frame.data), dict)


def whole(random):
    """Whatever a provider answers at once, it is an answer, an error or refused."""
    name, document = random.choice(inputs.WHOLES)
    document = inputs.damaged_document(random, document)
    try:
        DIALECTS[name].notice_whole(document)
        response = DIALECTS[name].decode_response(document)
    except (jsonio.Malformed, Refused):
        return
    for client, dialect in DIALECTS.items():
        body = dialect.encode_response(response, Reply(Request(dialect=client, model="m"), "i", 0))
        assert isinstance(jsonio.loads(body), dict)


def request(random):
    """Whatever a client asks is understood or refused, and what is sent on reads back."""
    name, document = random.choice(inputs.REQUESTS)
    document = inputs.damaged_document(random, document)
    if not isinstance(document, dict):
        return
    try:
        asked = DIALECTS[name].decode_request(document, model="m", stream=random.random() < 0.5)
        asked = CARRIER.incoming(asked)
    except (jsonio.Malformed, Refused):
        return
    for dialect in DIALECTS.values():
        try:
            encoded = dialect.encode_request(asked)
        except Refused:
            continue
        body = jsonio.load_object(encoded.body)
        dialect.decode_request(body, model="m", stream=asked.stream)


def error_body(random):
    """Whatever an error looks like, it means something."""
    body = inputs.damaged_bytes(random, inputs.as_bytes(random.choice(inputs.WHOLES)[1]))
    failure = random.choice(list(DIALECTS.values())).decode_failure(random.randint(400, 599), body)
    assert failure.message


TARGETS = (splitter, decoder, translation, whole, request, error_body)


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


def _frames(pieces):
    cutter = sse.Splitter()
    raws = [raw for piece in pieces for raw in cutter.feed(piece)]
    return [frame for frame in map(sse.parse, [*raws, cutter.close()]) if frame is not None]


def _notice(dialect, frame):
    try:
        dialect.notice(frame)
    except jsonio.Malformed:
        return
