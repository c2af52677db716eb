"""The faults, each with what a client must get of it.

``RECOVERS``: the complete answer, its text byte for byte. ``FAILS``: an error in the client's own
words, as a status where nothing was sent yet, else inside the stream, which is then cut.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.fault_server import (
    SCENARIOS,
    CleanEndAfter,
    CutAfter,
    Empty,
    ErrorInside,
    Gzip,
    Html,
    JsonErrorInside,
    Malformed,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Scenario,
    Split,
    Stall,
    Status,
    Step,
    Whole,
    Wire,
    errors,
)
from tests.fault_server.steps import Answer
from tests.faults.site import Site, chunk
from tests.running import free_port

RECOVERS, FAILS = "recovers", "fails"
ALL = ("openai-chat", "openai-responses", "anthropic", "gemini")

STATUSES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        kind: dict(zip(ALL, (openai, openai, anthropic, gemini), strict=True))
        for kind, (openai, anthropic, gemini) in {
            "invalid": (400, 400, 400),
            "model": (404, 404, 404),
            "too large": (413, 413, 413),
            # The client's own key is good: only 401 and 403 would say that it is not.
            "credential": (503, 503, 503),
            "limited": (429, 429, 429),
            "overloaded": (503, 529, 503),
            "broken": (502, 502, 503),
            "slow": (504, 504, 504),
        }.items()
    }
)
"""The status that tells a failure, by what it is and by the client's dialect."""


@dataclass(frozen=True)
class Fault:
    """``stream`` and ``whole``: what becomes of a question asked in this way; None: it makes no sense.

    ``kind`` is what a failure is that must be told by a status; where it is empty, a stream may have
    begun. ``wait`` is how many seconds, at the least, a client must be told to stay away. ``origin`` is where the provider is said to be, made from where
    it is; ``heavy`` ones are met one at a time.
    """

    name: str
    step: Callable[[Site], Step]
    stream: str | None = FAILS
    whole: str | None = None
    kind: str = ""
    wait: float = 0.0
    upstreams: tuple[str, ...] = ALL
    scenario: Scenario = SCENARIOS["text"]
    timeouts: str = ""
    origin: Callable[[str], str] = str
    heavy: bool = False


def _always(step: Step) -> Callable[[Site], Step]:
    return lambda _: step


def _status(status: int, kind: str, **options: object) -> Fault:
    return Fault(f"{status}", _always(Status(status)), FAILS, FAILS, kind, **options)  # type: ignore[arg-type]  # by name


def _limit(field: str, value: str, wait: float = 61.0) -> Fault:
    step = Status(429, headers={field: value})
    return Fault(f"429, {field}: {value}", _always(step), FAILS, FAILS, "limited", wait)


def _both(
    name: str, step: Callable[[Site], Step], outcome: str = FAILS, **options: object
) -> Fault:
    return Fault(name, step, outcome, outcome, **options)  # type: ignore[arg-type]  # by name


def _before(
    name: str, step: Callable[[Site], Step], outcome: str = FAILS, **options: object
) -> Fault:
    """A fault that shows before the first event of a stream."""
    return _both(name, step, outcome, **{"kind": "broken", **options})


def _wire(*pieces: bytes) -> Callable[[Site], Step]:
    return _always(Wire(pieces))


SHORT = "timeouts: {first_byte: 300ms, idle: 300ms}"
MiB = 1024 * 1024

# ── no answer ────────────────────────────────────────────────────────────────────────────────

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

NO_ANSWER = (
    _before("connection refused", _always(Answer()), origin=lambda _: f"http://127.0.0.1:{free_port()}"),
    _before("no TLS where it is expected", _always(Answer()), origin=lambda at: at.replace("http", "https")),
    _before("closed without a byte", _always(Refuse())),
    _before("reset without a byte", _always(Refuse(reset=True))),
    _before("closed inside the status line", _wire(b"HTTP/1.1 20")),
    _before("closed inside the headers", _wire(_HEAD + b"X-A: ")),
    _before("another protocol's greeting", _wire(b"SSH-2.0-OpenSSH_9.6\r\n")),
    _before("a status that is no number", _wire(b"HTTP/1.1 OK OK\r\n\r\n")),
    _before("a header line of 1 MiB", _wire(_HEAD + b"X-A: " + b"a" * MiB + b"\r\n\r\n")),
    _before("50,000 headers", _wire(_HEAD + b"X-A: a\r\n" * 50_000 + b"\r\n")),
    _before("a line end inside a header", _wire(_HEAD + b"X-A: a\rb\r\n\r\n")),
    _before("silence before the headers", _always(Stall()), kind="slow", timeouts=SHORT),
    _before("silence after the headers", lambda s: Wire([s.head("Transfer-Encoding: chunked")], "stall"), kind="slow", timeouts=SHORT),
)  # fmt: skip

# ── statuses ─────────────────────────────────────────────────────────────────────────────────

_PAGE = b"<html><head><title>Sign in</title></head><body><h1>Welcome</h1></body></html>"
_ELSEWHERE = "http://127.0.0.2:1/elsewhere"

STATUS = (
    _status(400, "invalid"),
    _status(401, "credential"),
    _status(402, "limited", wait=61.0),
    _status(403, "credential"),
    _status(404, "model"),
    _before("408", _always(Status(408, body={"error": {"message": "Too slow."}})), kind="slow"),
    _status(413, "too large"),
    _before("422", _always(Status(422, body={"error": {"message": "No."}})), kind="invalid"),
    _status(429, "limited", wait=61.0),
    _limit("retry-after", "1"),
    _limit("retry-after", "1.5"),
    _limit("retry-after", "300", 300.0),
    _limit("retry-after", "3600", 3600.0),
    _limit("retry-after", "-5"),
    _limit("retry-after", "soon"),
    _limit("retry-after", "Sat, 21 Nov 2026 12:00:00 GMT"),
    _limit("retry-after-ms", "100"),
    _before("429, HTML", _always(Html(429)), kind="limited", wait=61.0),
    _status(500, "broken"),
    _before("502, HTML", _always(Html(502))),
    _status(503, "overloaded"),
    _status(504, "slow"),
    _before("520, nothing", _always(Status(520, body=b""))),
    _status(529, "overloaded"),
    _before("500, cut inside its body", lambda s: Wire([s.head("Content-Length: 90", status="500 Oh"), b'{"error":'])),
    _before("500, a body of 9 MiB", _always(Status(500, body=b"x" * 9 * MiB))),
    _before("100 and 103 before the answer", lambda s: Wire([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", s.head("Connection: close"), s.body]), RECOVERS),
    _before("101", _wire(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")),
    _before("204", _wire(b"HTTP/1.1 204 No Content\r\n\r\n")),
    _before("302", _always(Redirect(_ELSEWHERE, 302))),
    _before("304", _wire(b"HTTP/1.1 304 Not Modified\r\n\r\n")),
    _before("307", _always(Redirect(_ELSEWHERE))),
    _before("308", _always(Redirect(_ELSEWHERE, 308))),
)  # fmt: skip

# ── a good status, and another body ──────────────────────────────────────────────────────────


def _json(body: bytes) -> Callable[[Site], Step]:
    return _always(Raw(200, {"Content-Type": "application/json"}, [body]))


OTHER_BODY = (
    _before("200, nothing", _always(Empty())),
    _before("200, Content-Length: 0", lambda s: s.until_closed(b"", "Content-Length: 0")),
    _before("200, a page", _always(Raw(200, {"Content-Type": "text/html"}, [_PAGE]))),
    _before("200, an error in JSON", _always(JsonErrorInside(500))),
    _before("200, a limit in JSON", _always(JsonErrorInside(429)), kind="limited", wait=61.0),
    _before("200, {}", _json(b"{}")),
    _before("200, null", _json(b"null")),
    _before("200, []", _json(b"[]")),
    _before("200, a string", _json(b'"Hello"')),
    _before("200, half a document", _json(b'{"id": "1", "choices": [{"message": {"content": "He')),
    _before("200, 100,000 arrays in each other", _json(b"[" * 100_000 + b"]" * 100_000)),
    Fault("the whole answer in place of a stream", lambda s: Whole(s.scenario), RECOVERS),
    Fault("a stream in place of the whole answer", lambda s: Raw(200, {"Content-Type": "text/event-stream"}, Site(s.dialect, stream=True).events), None, FAILS, kind="broken"),
    _before("no content type", lambda s: Raw(200, {}, s.events), RECOVERS),
    Fault("a stream called text/plain", lambda s: Raw(200, {"Content-Type": "text/plain"}, s.events), RECOVERS),
    Fault("a stream called JSON", lambda s: Raw(200, {"Content-Type": "application/json"}, s.events), kind="broken"),
)  # fmt: skip

# ── framing and encoding ─────────────────────────────────────────────────────────────────────


def _gzip(site: Site, damage: Callable[[bytes], bytes]) -> Step:
    packed = damage(gzip.compress(site.body, mtime=0))
    return Raw(200, {"Content-Type": site.content_type, "Content-Encoding": "gzip"}, [packed])


def _bomb(opening: bytes, size: int) -> bytes:
    """*opening* and then *size* MiB of spaces, packed into a few KiB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(opening), *(packer.compress(b" " * MiB) for _ in range(size))]
    return b"".join([*pieces, packer.flush()])


def _chunks(site: Site, *tail: bytes, extension: bytes = b"") -> Step:
    head = site.head("Transfer-Encoding: chunked")
    pieces = [chunk(event).replace(b"\r\n", extension + b"\r\n", 1) for event in site.events]
    return Wire([head, *pieces, *tail])


def _in_bytes(site: Site) -> Step:
    """An event with text of more than ASCII in single bytes; whole, all of it."""
    events, at = site.events, site.begun
    single = [bytes([byte]) for byte in events[at]]
    return site.told(*events[:at], *single, *events[at + 1 :])


_BOMB = _bomb(b'data: {"a": "', 100)

FRAMING = (
    _both("until the connection closes", lambda s: s.until_closed(s.body), RECOVERS),
    _both("HTTP/1.0", lambda s: s.until_closed(s.body, version="1.0"), RECOVERS),
    _both("until the connection closes, too soon", lambda s: s.until_closed(s.body[: s.middle])),
    _both("Content-Length not reached", lambda s: s.until_closed(s.body[: s.middle], f"Content-Length: {len(s.body)}")),
    Fault("Content-Length beyond the end", lambda s: s.until_closed(s.body, f"Content-Length: {len(s.body) + 9}"), RECOVERS, FAILS),
    _both("Content-Length passed", lambda s: s.until_closed(s.body, f"Content-Length: {s.middle}")),
    _both("a chunk size that is no number", lambda s: Wire([s.head("Transfer-Encoding: chunked"), chunk(s.body[: s.middle]), b"zz\r\n"])),
    _both("chunk extensions and trailers", lambda s: _chunks(s, b"0;a=b\r\nX-A: a\r\n\r\n", extension=b";a=b"), RECOVERS),
    _both("text a byte a piece", _in_bytes, RECOVERS),
    _both("pieces of 7, 1 and 100 bytes", lambda s: Split((7, 1, 100), scenario=s.scenario), RECOVERS),
    _both("all in one piece", lambda s: s.told(s.body), RECOVERS),
    _both("gzip, not asked for", lambda s: Gzip(s.scenario), RECOVERS),
    _both("gzip, corrupt", lambda s: _gzip(s, lambda packed: packed[:40] + b"\xff" * 20 + packed[60:])),
    _both("gzip, cut", lambda s: _gzip(s, lambda packed: packed[: len(packed) // 2])),
    _both("gzip, which it is not", lambda s: Raw(200, {"Content-Type": s.content_type, "Content-Encoding": "gzip"}, [s.body])),
    _both("gzip, a bomb of 100 MiB", lambda s: Raw(200, {"Content-Type": s.content_type, "Content-Encoding": "gzip"}, [_BOMB]), heavy=True),
)  # fmt: skip

# ── cut short ────────────────────────────────────────────────────────────────────────────────

_CALL = SCENARIOS["tool"]

CUT_SHORT = (
    Fault("a clean end after the first event", _always(CleanEndAfter(frames=1))),
    Fault("a clean end amid the text", lambda s: CleanEndAfter(frames=s.begun)),
    Fault("a clean end just before the proof", lambda s: CleanEndAfter(frames=s.evidence)),
    _both("a clean end inside an event", lambda s: CleanEndAfter(bytes=s.middle)),
    Fault("a clean end amid a call", lambda s: CleanEndAfter(bytes=s.middle, scenario=_CALL), scenario=_CALL),
    _both("cut inside an event", lambda s: CutAfter(bytes=s.middle)),
    Fault("cut after the first event", _always(CutAfter(frames=1))),
    Fault("cut amid the text", lambda s: CutAfter(frames=s.begun)),
    Fault("cut amid a call", lambda s: CutAfter(bytes=s.middle, scenario=_CALL), scenario=_CALL),
    Fault("reset amid the text", lambda s: Reset(frames=s.begun)),
    Fault("silence before the first event", _always(Stall(frames=0)), kind="slow", timeouts=SHORT),
    Fault("silence amid the text", lambda s: Stall(frames=s.begun), timeouts=SHORT),
    Fault("silence inside an event", lambda s: Wire([s.head(), s.body[: s.middle]], "stall"), timeouts=SHORT),
    Fault("silence after the end", lambda s: Wire([s.head(), s.body], "stall"), RECOVERS),
    Fault("no last event, after the proof", lambda s: s.told(*s.events[:-1]), RECOVERS, upstreams=("openai-chat", "anthropic")),
    Fault("no blank line at the end", lambda s: s.told(s.body.rstrip()), RECOVERS),
)  # fmt: skip

# ── errors inside the stream ─────────────────────────────────────────────────────────────────


def _foreign(dialect: str) -> Fault:
    return Fault(
        f"an error in {dialect}'s words",
        lambda s: ErrorInside(s.begun, event=errors.event(dialect, 503, s.begun)),
    )


_ITS_OWN_FAILURE = {
    "openai-chat": b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"Gone."}}]}\n\n',
    "openai-responses": b'event: response.failed\ndata: {"type":"response.failed","sequence_number":9,"response":{"id":"resp_1","object":"response","created_at":1,"model":"m","status":"failed","output":[],"error":{"code":"server_error","message":"Gone."}}}\n\n',
}  # fmt: skip

ERRORS = (
    Fault("its error as the first event", _always(ErrorInside(0, 500)), kind="broken"),
    Fault("its limit as the first event", _always(ErrorInside(0, 429)), kind="limited", wait=61.0),
    Fault("its error amid the text", lambda s: ErrorInside(s.begun)),
    Fault("its limit amid the text", lambda s: ErrorInside(s.begun, 429)),
    *map(_foreign, ALL),
    Fault("an ending that failed", lambda s: s.told(*s.events[: s.begun], _ITS_OWN_FAILURE[s.dialect]), upstreams=tuple(_ITS_OWN_FAILURE)),
    Fault("an ending that failed, at once", lambda s: s.told(_ITS_OWN_FAILURE[s.dialect]), upstreams=tuple(_ITS_OWN_FAILURE)),
    Fault("its error, then a cut", lambda s: Wire([s.head("Transfer-Encoding: chunked"), *map(chunk, s.events[: s.begun]), chunk(errors.event(s.dialect, 503, 9))], "reset")),
)  # fmt: skip

# ── events that are not as they should be ────────────────────────────────────────────────────

_ODD_TEXT = Scenario(
    text=("The\x00lake \u2028is\u2029 calm\x85", " \x01\x1f\x7f", " \U0001f30a\ufeff\r\n\t.")
)
_SILENT = Scenario(text=(), output_tokens=1)


def _rewritten(*changes: tuple[bytes, bytes]) -> Callable[[Site], Step]:
    def step(site: Site) -> Step:
        body = site.body
        for old, new in changes:
            body = body.replace(old, new)
        return site.told(body)

    return step


def _lines(end: bytes) -> Callable[[Site], Step]:
    return _rewritten((b"\r\n", b"\n"), (b"\n", end))


def _after_each(text: bytes) -> Callable[[Site], Step]:
    return lambda s: s.told(*(piece for event in s.events for piece in (text, event)))


def _amid(event: bytes) -> Callable[[Site], Step]:
    return lambda s: s.with_event(event, s.begun)


def _in_two_lines(site: Site) -> Step:
    """Each event's data as two lines, which its reader joins by a line feed."""
    return site.told(*(event.replace(b'{"', b'{\ndata: "', 1) for event in site.events))


_LONG = (b'data: {"a": "', *[b"a" * MiB] * 33)

EVENTS = (
    Fault("an event that is no JSON, first", _always(Malformed(0))),
    Fault("an event that is no JSON, amid the text", lambda s: Malformed(s.begun)),
    Fault("an event that is an array", _amid(b"data: [1]\n\n")),
    Fault("an event that is a string", _amid(b'data: "a"\n\n')),
    Fault("an event that is a word", _amid(b"data: hello\n\n")),
    Fault("an event of 33 MiB that does not end", lambda s: s.told(*s.events[: s.begun], *_LONG), heavy=True),
    Fault("100,000 arrays in each other", _amid(b'data: {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n")),
    _both("invalid UTF-8 in the text", _rewritten(("°".encode(), b"\xff\xfe"))),
    _both("half a surrogate pair in the text", _rewritten(("°".encode(), b"\\ud83c"))),
    _both("a NUL byte in the text", _rewritten(("°".encode(), b"\x00"))),
    _both("control characters, escaped", lambda s: s.told(s.body), RECOVERS, scenario=_ODD_TEXT),
    Fault("lines that end with CR LF", _lines(b"\r\n"), RECOVERS),
    Fault("lines that end with CR", _lines(b"\r"), RECOVERS),
    Fault("comments", _after_each(b": still here\n\n"), RECOVERS),
    Fault("comments inside events", _after_each(b": still here\n"), RECOVERS),
    Fault("blank lines", _after_each(b"\n\n\n"), RECOVERS),
    Fault("no space after the colon", _rewritten((b"data: ", b"data:"), (b"event: ", b"event:")), RECOVERS),
    Fault("ids and reconnection times", _after_each(b"id: 1\nretry: 100\n"), RECOVERS),
    Fault("a byte order mark", lambda s: s.told(b"\xef\xbb\xbf" + s.body), RECOVERS),
    Fault("data over two lines", _in_two_lines, RECOVERS),
    Fault("events without names", lambda s: s.told(*(event[event.index(b"data:") :] for event in s.events)), RECOVERS),
    Fault("an event of an unknown name", _amid(b'event: weather\ndata: {"type":"weather","wind":0}\n\n'), RECOVERS),
    Fault("an event without data", _amid(b"event: weather\n\n"), RECOVERS),
    Fault("data: {}", _amid(b"data: {}\n\n"), RECOVERS),
    Fault("nothing but the end", lambda s: s.told(s.body), RECOVERS, scenario=_SILENT),
    Fault("the last event twice", lambda s: s.told(*s.events, s.events[-1]), RECOVERS, upstreams=ALL[:3]),
    Fault("text after the end", lambda s: s.told(*s.events, s.events[s.begun - 1]), RECOVERS, upstreams=ALL[:3]),
    Fault("an error after the end", lambda s: s.told(*s.events, errors.event(s.dialect, 503, 9)), RECOVERS, upstreams=ALL[:3]),
)  # fmt: skip

FAULTS = (*NO_ANSWER, *STATUS, *OTHER_BODY, *FRAMING, *CUT_SHORT, *ERRORS, *EVENTS)
