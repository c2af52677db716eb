"""The built-in ``demo`` provider: an upstream inside the process, without account or network.

It speaks all four dialects on its own side of the transport, status lines, streams and failures
included, so that what answers a newcomer's first request takes the same way as any provider.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from proxypal_core.dialects import DIALECTS
from proxypal_core.dialects.base import Dialect
from proxypal_core.dialects.base import Reply as Told
from proxypal_core.hub.events import Event, PartDelta
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import unfold
from proxypal_core.hub.messages import (
    FinishReason,
    Part,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from proxypal_core.providers.provider import Provider
from proxypal_core.upstream.transport import Broken, Call, Reply
from proxypal_core.wire import jsonio

SCHEME = "demo"
MODELS = ("echo", "tool", "think", "fail-429", "fail-529", "fail-cut")
PROVIDER = Provider(
    name="demo",
    label="Built-in demo (no account, no network)",
    endpoints={dialect: f"{SCHEME}://built-in/{dialect}" for dialect in DIALECTS},
    auth="none",
    models=MODELS,
    key_optional=True,
    stateless=True,
)
LONGEST = 20.0
"""Seconds that an answer takes at most, however long it is."""
PACE = 0.04
"""Seconds from word to word: about what a hosted model needs."""
RETRY_AFTER = 30
"""Seconds that ``fail-429`` asks to be left alone."""

_COMMAND = re.compile(r"(?:^|\s)/(tool|think|fail-429|fail-529|fail-cut)\b")
_CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"
"""What OpenClaw puts behind a prompt, and takes out of an answer again."""
_GREETING = (
    "This is ProxyPal's demo model. It repeats what you say. Write /tool, /think, /fail-429,"
    " /fail-529 or /fail-cut in a message to see a tool call, thinking or a failure."
)


class DemoTransport:
    """``pace`` is in seconds from word to word, ``clock`` gives Unix seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        pace: float = PACE,
    ) -> None:
        self._clock = clock
        self._new_id = new_id
        self._pace = pace

    async def open(self, call: Call, /) -> Reply:
        path = urlsplit(call.url).path
        dialect = DIALECTS[path.split("/")[1]]
        try:
            return self._answer(dialect, path, bytes(call.body))
        except jsonio.Malformed as error:
            return self._failure(dialect, Failure(Kind.INVALID, str(error), param=error.path))
        except Refused as refused:
            return self._failure(dialect, refused.failure)

    def _answer(self, dialect: Dialect, path: str, body: bytes) -> Reply:
        if not _generates(path) and not _counts(path):
            raise Refused(
                Failure(
                    Kind.NO_ROUTE,
                    "the demo provider only generates text; ask a model of another provider",
                )
            )
        doc = jsonio.load_object(body)
        model, stream = dialect.peek(doc)
        if not model:  # Gemini says it in the path
            name, _, method = unquote(path).rpartition("/models/")[2].rpartition(":")
            model, stream = name, method == "streamGenerateContent"
        request = dialect.decode_request(doc, model=model, stream=stream)
        if _counts(path):
            return _json(200, dialect.count_reply(_prompt_tokens(request)))
        behaviour = _behaviour(request)
        if behaviour == "fail-429":
            return self._failure(
                dialect, Failure(Kind.RATE_LIMIT, "the demo account is rate-limited, as asked")
            )
        if behaviour == "fail-529":
            return self._failure(
                dialect, Failure(Kind.OVERLOADED, "the demo provider is overloaded, as asked")
            )
        response = _respond(request, behaviour, self._new_id())
        told = Told(request, response.id, int(self._clock()))
        cut = behaviour == "fail-cut"
        if not stream:
            return _json(200, dialect.encode_response(response, told), cut=cut)
        pieces = list(_chunks(dialect, response, told, cut=cut))
        pace = min(self._pace, LONGEST / len(pieces))
        return DemoReply(200, "text/event-stream", iter(pieces), pace)

    def _failure(self, dialect: Dialect, failure: Failure) -> Reply:
        status, body = dialect.encode_failure(failure, request_id=self._new_id())
        headers = {"retry-after": str(RETRY_AFTER)} if failure.kind is Kind.RATE_LIMIT else {}
        return _json(status, body, headers=headers)


class DemoReply:
    """An answer whose pieces come at the demo's pace; a piece of None is a broken connection."""

    pour = None

    def __init__(
        self,
        status: int,
        content_type: str,
        pieces: Iterator[bytes | None],
        pace: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type, **(headers or {})}
        self._pieces = pieces
        self._pace = pace

    def whole(self) -> None:
        """It comes in pieces."""

    async def read(self) -> bytes:
        await asyncio.sleep(self._pace)
        piece = next(self._pieces, b"")
        if piece is None:
            raise Broken(Kind.TRUNCATED, "the demo provider cut the connection, as asked")
        return piece

    def close(self) -> None:
        self._pieces = iter(())


def _json(
    status: int, body: bytes, *, cut: bool = False, headers: Mapping[str, str] | None = None
) -> DemoReply:
    pieces: Iterator[bytes | None] = iter([body[:40], None] if cut else [body])
    return DemoReply(status, "application/json", pieces, headers=headers)


def _chunks(
    dialect: Dialect, response: Response, told: Told, *, cut: bool
) -> Iterator[bytes | None]:
    encoder = dialect.encoder(told)
    events = [piece for event in unfold(response) for piece in _by_word(event)]
    shown = events[: len(events) // 2] if cut else events
    for event in shown:
        if data := encoder.write(event):
            yield data
    if cut:
        yield None


def _by_word(event: Event) -> Sequence[Event]:
    if not isinstance(event, PartDelta):
        return [event]
    return [PartDelta(event.at, word) for word in re.findall(r"\s*\S+|\s+$", event.text)]


# ── what it says ─────────────────────────────────────────────────────────────────────────────


def _generates(path: str) -> bool:
    return path.endswith(("/messages", "/chat/completions", "/responses", "enerateContent"))


def _counts(path: str) -> bool:
    return path.endswith(("count_tokens", "input_tokens", ":countTokens"))


def _behaviour(request: Request) -> str:
    """What the model's name asks for, or a command in the last message."""
    name = request.model.rpartition("/")[2]
    if name not in MODELS:
        raise Refused(
            Failure(
                Kind.MODEL,
                f"the demo provider has no model {name!r}; GET /v1/models lists those that it has",
            )
        )
    command = _COMMAND.search(_last_user_text(request))
    return command[1] if command and name == "echo" else name


def _respond(request: Request, behaviour: str, response_id: str) -> Response:
    text = _last_user_text(request) or _GREETING
    parts: tuple[Part, ...] = (Text(text),)
    finish = FinishReason.STOP
    if behaviour == "think":
        parts = (Thinking(f"The user wrote {len(text)} characters. I will repeat them."), *parts)
    elif behaviour == "tool":
        results = _last_results(request)
        if results:
            parts = (Text("The tool answered: " + "\n".join(results)),)
        elif request.tools:
            tool = request.tools[0]
            arguments = jsonio.dumps_text(_sample(tool.schema or {}))
            if tool.freeform:
                arguments = text
            parts = (
                ToolCall(
                    f"call_{response_id[-12:]}",
                    tool.name,
                    arguments,
                    namespace=tool.namespace,
                    freeform=tool.freeform,
                ),
            )
            finish = FinishReason.TOOL_CALLS
        else:
            parts = (Text("I would call a tool, but the request declares none."),)
    return Response(
        id=response_id,
        model=request.model,
        parts=parts,
        finish=finish,
        usage=Usage(
            input_total=_prompt_tokens(request),
            output_total=sum(_tokens(_part_text(part)) for part in parts),
            output_reasoning=sum(_tokens(p.text) for p in parts if isinstance(p, Thinking)),
        ),
    )


def _last_user_text(request: Request) -> str:
    """What the user said last. Agents put reminders of their own before it, as other parts."""
    for turn in reversed(request.turns):
        if turn.role == "user":
            texts = [
                part.text
                for part in turn.parts
                if isinstance(part, Text) and not part.text.startswith(_CONTEXT)
            ]
            if texts:
                return texts[-1]
    return ""


def _last_results(request: Request) -> list[str]:
    """The texts of the tool results that the last turn brings."""
    if not request.turns or request.turns[-1].role != "user":
        return []
    return [
        "\n".join(_part_text(inner) for inner in part.content)
        for part in request.turns[-1].parts
        if isinstance(part, ToolResult)
    ]


def _part_text(part: Part) -> str:
    match part:
        case Text(text=text) | Thinking(text=text) | ToolCall(arguments=text):
            return text
        case ToolResult(content=content):
            return " ".join(_part_text(inner) for inner in content)
        case _:
            return ""


def _prompt_tokens(request: Request) -> int:
    texts = [part.text for part in request.system]
    texts += [_part_text(part) for turn in request.turns for part in turn.parts]
    return sum(_tokens(text) for text in texts)


def _tokens(text: str) -> int:
    """About four characters a token; a demo needs no tokenizer."""
    return (len(text) + 3) // 4


def _sample(schema: Any) -> Any:
    """A small value that *schema* allows, as far as its types tell. Clients send all kinds of
    things as schemas, so whatever is not understood is passed over.
    """
    if not isinstance(schema, Mapping):
        return "demo"
    if "const" in schema:
        return schema["const"]
    if choices := _list(schema, "enum"):
        return choices[0]
    if alternatives := _list(schema, "anyOf") or _list(schema, "oneOf"):
        return _sample(alternatives[0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    match str(kind).lower():  # Gemini's are upper case
        case "object":
            properties = schema.get("properties")
            known = properties if isinstance(properties, Mapping) else {}
            names = [name for name in _list(schema, "required") if isinstance(name, str)]
            return {name: _sample(known.get(name)) for name in names}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "demo"


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []
