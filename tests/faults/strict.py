"""A client stricter than any: HTTP/1.1 on a bare socket, and every event in its dialect's own words.

Written without the product's readers, so that a fault of theirs cannot agree with itself.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.gateway.asking import question

SAID_LATER = 60
"""Seconds to stay away from which on a client must be told not to try again by itself."""


class Told(Exception):
    """The client was told of a failure, in its own words. ``status`` is 200 inside a stream; both it
    and ``headers`` are empty where an SDK told.
    """

    def __init__(self, status: int = 0, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class Garbled(Exception):
    """What came is neither an answer nor an error that a client of the dialect can read."""


class Silent(Exception):
    """It stopped short, and nothing said so: a client takes what it has for the whole."""


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes = b""
    clean: bool = True
    """Whether the body ended where its framing says."""


async def ask(port: int, dialect: str, model: str, *, stream: bool) -> str:
    """The text of a complete answer.

    Raises:
        Told, Garbled, Silent: there is none.
    """
    path, body = question(dialect, model, stream=stream)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
    try:
        said = json.dumps(body).encode()
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(said)}\r\n\r\n".encode()
            + said
        )
        reply = await read_reply(reader)
    finally:
        writer.transport.abort()
    if reply.status != 200:
        raise refused(dialect, reply)
    return (read_stream if stream else read_whole)(dialect, reply)


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────

_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [\t\x20-\x7e]*\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e]*)\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    try:
        return await _read_reply(reader)
    except ConnectionError as error:
        raise Garbled("the connection was reset before an answer's end could be told") from error


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    status = _STATUS_LINE.fullmatch(await reader.readline())
    if status is None:
        raise Garbled("no status line")
    headers: dict[str, str] = {}
    while (line := await reader.readline()) != b"\r\n":
        found = _FIELD.fullmatch(line)
        name = found[1].decode().lower() if found else ""
        if found is None or name in headers:
            raise Garbled(f"the header {line[:60]!r}")
        headers[name] = found[2].decode()
    reply = Reply(int(status[1]), headers)
    if headers.get("transfer-encoding") == "chunked":
        await _read_chunks(reader, reply)
    elif headers.get("content-length", "").isdigit():
        length = int(headers["content-length"])
        try:
            reply.body = await reader.readexactly(length)
        except asyncio.IncompleteReadError as short:
            reply.body, reply.clean = short.partial, False
    else:
        raise Garbled("the body's length is not told")
    return reply


async def _read_chunks(reader: asyncio.StreamReader, reply: Reply) -> None:
    pieces = []
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                raise Garbled(f"the chunk size {line[:60]!r}")
            data = await reader.readexactly(int(size[1], 16) + 2)
            if not data.endswith(b"\r\n"):
                raise Garbled("a chunk longer than its size")
            if data == b"\r\n":
                break
            pieces.append(data[:-2])
    except (asyncio.IncompleteReadError, ConnectionError):
        reply.clean = False
    reply.body = b"".join(pieces)


# ── errors ───────────────────────────────────────────────────────────────────────────────────


def refused(dialect: str, reply: Reply) -> Told:
    """The error that *reply* is, in place of an answer.

    Raises:
        Garbled: it is none of *dialect*.
    """
    if reply.status < 400 or not reply.clean:
        raise Garbled(f"the status {reply.status} in place of an answer or an error")
    doc = _json(reply.body)
    _check_error(dialect, doc)
    if dialect == "gemini" and doc["error"]["code"] != reply.status:
        raise Garbled(f"the status {reply.status} around {doc['error']['code']}")
    waits_long = int(reply.headers.get("retry-after", 0)) > SAID_LATER
    if waits_long and reply.headers.get("x-should-retry") != "false":
        raise Garbled("a long wait that is not said to be in vain")
    return Told(reply.status, reply.headers)


_OWN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "openai-chat": {"message": str, "type": str, "param": (str, type(None)), "code": (str, type(None))},
    "openai-responses": {"message": str, "type": str, "param": (str, type(None)), "code": (str, type(None))},
    "anthropic": {"message": str, "type": str},
    "gemini": {"message": str, "code": int, "status": str},
}  # fmt: skip
_MAY_HAVE = {"details"}


def _check_error(dialect: str, doc: Any) -> None:
    """That *doc* tells an error as *dialect*'s vendor does, and no other."""
    error = doc.get("error") if isinstance(doc, dict) else None
    if not isinstance(error, dict) or not error.get("message"):
        raise Garbled(f"no error object of {dialect}: {str(doc)[:200]}")
    own = _OWN[dialect]
    if not own.keys() <= error.keys() <= own.keys() | _MAY_HAVE:
        raise Garbled(f"the error's fields {', '.join(error)} for {dialect}")
    wrong = [name for name, kind in own.items() if not isinstance(error[name], kind)]
    if wrong:
        raise Garbled(f"the error's {wrong[0]} is {error[wrong[0]]!r}")
    if (doc.get("type") == "error") != (dialect == "anthropic") and "sequence_number" not in doc:
        raise Garbled(f"an error of type {doc.get('type')!r} for {dialect}")


def _json(data: bytes | str) -> Any:
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"no JSON: {data[:60]!r}") from error


def _no_constant(name: str) -> None:
    raise ValueError(name)


# ── whole answers ────────────────────────────────────────────────────────────────────────────


def read_whole(dialect: str, reply: Reply) -> str:
    if not reply.clean:
        raise Garbled("a whole answer that is not whole")
    doc = _json(reply.body)
    try:
        ended, text = _WHOLE[dialect](doc)
    except (KeyError, IndexError, TypeError) as error:
        raise Silent(f"an answer without its fields: {error!r}") from error
    if not ended:
        raise Silent("an answer that does not say why it ended")
    return text


def _texts(parts: Any) -> str:
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


_WHOLE = {
    "openai-chat": lambda doc: (
        doc["choices"][0]["finish_reason"],
        doc["choices"][0]["message"]["content"] or "",
    ),
    "openai-responses": lambda doc: (
        doc["status"] == "completed",
        "".join(_texts(item["content"]) for item in doc["output"] if item["type"] == "message"),
    ),
    "anthropic": lambda doc: (doc["stop_reason"], _texts(doc["content"])),
    "gemini": lambda doc: (
        doc["candidates"][0]["finishReason"],
        _texts(doc["candidates"][0]["content"].get("parts", [])),
    ),
}


# ── streams ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Heard:
    """What the events of a stream have told so far."""

    text: str = ""
    proven: bool = False
    """Why the answer ended was said."""
    terminals: int = 0
    failed: bool = False
    after: list[str] = field(default_factory=list)
    """What came after the end or the error."""
    numbers: list[int] = field(default_factory=list)


def read_stream(dialect: str, reply: Reply) -> str:
    if reply.headers.get("content-type", "").partition(";")[0] != "text/event-stream":
        raise Garbled(f"a stream called {reply.headers.get('content-type')!r}")
    heard = Heard()
    for name, data in events(reply.body, bare=dialect == "gemini"):
        if heard.terminals or heard.failed:
            heard.after.append(data[:60])
        _STREAM[dialect](heard, name, data)
    if heard.numbers != sorted(set(heard.numbers)):
        raise Garbled("the sequence numbers do not rise")
    if heard.failed:
        if reply.clean:
            raise Silent("a clean end after an error")
        if heard.terminals or heard.after:
            raise Garbled(f"an error, and then {heard.after}")
        raise Told(200, reply.headers)
    if not reply.clean:
        raise Garbled("a cut without a word")
    if not (heard.terminals and heard.proven):
        raise Silent("a clean end without the terminal event")
    if heard.terminals > 1 or heard.after:
        raise Garbled(f"after the terminal event came {heard.after}")
    return heard.text


_LINE_END = re.compile("\r\n|\n|\r")


def events(body: bytes, *, bare: bool) -> Iterator[tuple[str, str]]:
    """The name and data of each event of *body*; *bare* allows no line but ``data: …``, since
    google-genai can read no other.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Garbled(f"no UTF-8: {error}") from error
    name, data = "", []
    lines = _LINE_END.split(text)
    for line in lines:
        if bare and line and not line.startswith("data: "):
            raise Garbled(f"the line {line[:60]!r}")
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match key:
            case "data":
                data.append(value)
            case "event":
                name = value
    if data or lines[-1]:
        raise Garbled("the last event does not end")


def _chat(heard: Heard, name: str, data: str) -> None:
    if data == "[DONE]":
        heard.terminals += 1
        return
    doc = _object(data)
    if doc.get("error"):
        heard.failed = True
        _check_error("openai-chat", doc)
        return
    for choice in doc.get("choices", ()):
        heard.text += choice["delta"].get("content") or ""
        heard.proven = heard.proven or choice.get("finish_reason") is not None


def _responses(heard: Heard, name: str, data: str) -> None:
    doc = _object(data)
    if not doc:
        return
    if name and name != doc.get("type"):
        raise Garbled(f"the event {name} of type {doc.get('type')}")
    if doc.get("type") == "response.failed" and not heard.failed:
        return  # the error that openai's SDK raises must follow
    if _is_error(name, doc):
        heard.failed = True
        _check_error("openai-responses", doc)
        return
    if isinstance(doc.get("sequence_number"), int):
        heard.numbers.append(doc["sequence_number"])
    if doc.get("type") == "response.output_text.delta":
        heard.text += doc["delta"]
    elif doc.get("type") == "response.completed":
        heard.terminals += 1
        heard.proven = doc["response"]["status"] == "completed"


def _anthropic(heard: Heard, name: str, data: str) -> None:
    doc = _object(data)
    if not doc:
        return
    if name != doc.get("type"):
        raise Garbled(f"the event {name!r} of type {doc.get('type')!r}")
    if _is_error(name, doc):
        heard.failed = True
        _check_error("anthropic", doc)
        return
    match name:
        case "content_block_delta" if doc["delta"]["type"] == "text_delta":
            heard.text += doc["delta"]["text"]
        case "message_delta":
            heard.proven = heard.proven or doc["delta"].get("stop_reason") is not None
        case "message_stop":
            heard.terminals += 1


def _gemini(heard: Heard, name: str, data: str) -> None:
    doc = _object(data)
    if doc.get("error"):
        heard.failed = True
        _check_error("gemini", doc)
        return
    for candidate in doc.get("candidates", ()):
        heard.text += _texts(candidate.get("content", {}).get("parts", []))
        if candidate.get("finishReason") is not None:
            heard.proven = True
            heard.terminals += 1


_STREAM = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
}


def _is_error(name: str, doc: dict[str, Any]) -> bool:
    """Whether it tells an error, in whosever words, to clients that go by an event's name."""
    return name == "error" or doc.get("type") == "error" or bool(doc.get("error"))


def _object(data: str) -> dict[str, Any]:
    doc = _json(data)
    if not isinstance(doc, dict):
        raise Garbled(f"an event that is no object: {data[:60]!r}")
    return doc
