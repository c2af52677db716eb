"""What a client's body means."""

from collections.abc import Callable
from typing import Any

import msgspec

from proxypal_core.dialects import effort, media, schemas
from proxypal_core.dialects.openai_chat.words import (
    NAME,
    content_pieces,
    legacy_id,
    read_call,
    read_function_call,
    thought,
)
from proxypal_core.dialects.openai_words import read_audio
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    CacheMark,
    File,
    FileId,
    Image,
    Opaque,
    Output,
    Part,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# The fields that the hub has words for; all others travel in extras.
_KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "tools",
        "functions",
        "function_call",
        "tool_choice",
        "parallel_tool_calls",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "n",
        "logprobs",
        "top_logprobs",
        "stop",
        "response_format",
        "verbosity",
        "reasoning_effort",
        "reasoning",
        "stream_options",
        "prompt_cache_key",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
    }
)


def decode_request(doc: JsonObject, /, *, model: str, stream: bool) -> Request:
    system, turns = _conversation(jsonio.need(doc, "messages", jsonio.arr))
    limit = jsonio.opt(doc, "max_completion_tokens", jsonio.integer)
    if limit is None:
        limit = jsonio.opt(doc, "max_tokens", jsonio.integer)
    options = jsonio.opt(doc, "stream_options", jsonio.obj) or {}
    return Request(
        dialect=NAME,
        model=model,
        stream=stream,
        system=system,
        turns=turns,
        tools=_tools(doc),
        tool_choice=_tool_choice(doc),
        parallel_tools=jsonio.opt(doc, "parallel_tool_calls", jsonio.boolean),
        max_output_tokens=limit,
        stop=_stop(doc.get("stop")),
        sampling=_sampling(doc),
        output=_output(doc),
        reasoning=_reasoning(doc),
        end_user=jsonio.opt(doc, "safety_identifier", jsonio.string)
        or jsonio.opt(doc, "user", jsonio.string)
        or "",
        metadata=jsonio.opt(doc, "metadata", jsonio.obj) or {},
        service_tier=jsonio.opt(doc, "service_tier", jsonio.string) or "",
        cache_key=jsonio.opt(doc, "prompt_cache_key", jsonio.string) or "",
        include_usage=options.get("include_usage") is True,
        extras=_extras(doc, options),
    )


def _extras(doc: JsonObject, options: JsonObject) -> JsonObject:
    extras = {key: value for key, value in doc.items() if key not in _KNOWN and value is not None}
    options = {key: value for key, value in options.items() if key != "include_usage"}
    if options:
        extras["stream_options"] = options
    if doc.get("functions"):
        # Remembered, so that the answer comes in the form such a client reads.
        extras["functions"] = doc["functions"]
    return {NAME: extras} if extras else {}


# ── messages ─────────────────────────────────────────────────────────────────────────────────


def _conversation(messages: list[Any]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    if not messages:
        raise invalid("messages: must hold at least one message", param="messages")
    system: list[Text] = []
    turns: list[Turn] = []
    for index, value in enumerate(messages):
        path = f"messages[{index}]"
        message = jsonio.obj(value, path)
        turn = _turn(message, path)
        if turn.role == "system" and not turns:
            system += [part for part in turn.parts if isinstance(part, Text)]
        elif _is_results(turn) and turns and _is_results(turns[-1]):
            turns[-1] = Turn("user", turns[-1].parts + turn.parts)
        elif turn.parts:
            turns.append(turn)
    return tuple(system), tuple(turns)


def _is_results(turn: Turn) -> bool:
    return all(isinstance(part, ToolResult) for part in turn.parts)


def _turn(message: JsonObject, path: str) -> Turn:
    role = jsonio.need(message, "role", jsonio.string, path)
    name = jsonio.opt(message, "name", jsonio.string, path) or ""
    match role:
        case "user":
            return Turn("user", _content(message, path), name)
        case "assistant":
            return Turn("assistant", _assistant(message, path), name)
        case "system" | "developer":
            parts = _content(message, path)
            return Turn("system", tuple(part for part in parts if isinstance(part, Text)))
        case "tool":
            call_id = jsonio.need(message, "tool_call_id", jsonio.string, path)
            return Turn("user", (_result(call_id, name, message, path),))
        case "function":
            return Turn("user", (_result(legacy_id(name), name, message, path),))
        case _:
            raise invalid(
                f"{path}.role: must be system, user, assistant or tool, not {role!r}",
                param=f"{path}.role",
            )


def _result(call_id: str, name: str, message: JsonObject, path: str) -> ToolResult:
    content = _content(message, path)
    marks = [part.cache for part in content if isinstance(part, (Text, Image, File)) and part.cache]
    return ToolResult(call_id, content, name, cache=marks[-1] if marks else None)


def _assistant(message: JsonObject, path: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    reasoning = thought(message)
    if reasoning:
        parts.append(Thinking(reasoning))
    parts += _content(message, path)
    refusal = jsonio.opt(message, "refusal", jsonio.string, path)
    if refusal:
        parts.append(Refusal(refusal))
    if isinstance(message.get("audio"), dict):
        parts.append(Opaque(NAME, {"audio": message["audio"]}))
    calls = jsonio.opt(message, "tool_calls", jsonio.arr, path) or []
    for index, value in enumerate(calls):
        place = f"{path}.tool_calls[{index}]"
        parts.append(_named(read_call(jsonio.obj(value, place), place), place))
    if message.get("function_call") is not None:
        place = f"{path}.function_call"
        parts.append(_named(read_function_call(message["function_call"], place), place))
    return tuple(parts)


def _named(call: ToolCall, path: str) -> ToolCall:
    if not call.name:
        raise invalid(f"{path}: a call needs a name", param=path)
    if not call.id:
        raise invalid(f"{path}.id: is required", param=f"{path}.id")
    return call


# ── content parts ────────────────────────────────────────────────────────────────────────────


def _content(message: JsonObject, path: str) -> tuple[Part, ...]:
    content = message.get("content")
    path += ".content"
    if content is None or isinstance(content, str):
        parts: tuple[Part, ...] = tuple(content_pieces(content, path))
    else:
        parts = tuple(
            part
            for index, value in enumerate(jsonio.arr(content, path))
            if (part := _part(jsonio.obj(value, f"{path}[{index}]"), f"{path}[{index}]"))
        )
    # Some clients mark a message where others mark its last part.
    mark = _cache(message)
    if mark and parts and isinstance(parts[-1], (Text, Image, File)):
        parts = (*parts[:-1], msgspec.structs.replace(parts[-1], cache=mark))
    return parts


def _part(part: JsonObject, path: str) -> Part | None:
    kind = part.get("type")
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise invalid(f"{path}: unknown content part type {kind!r}; leave it out", param=path)
    return read(part, path)


def _text(part: JsonObject, path: str) -> Part | None:
    text = jsonio.need(part, "text", jsonio.string, path)
    return Text(text, cache=_cache(part)) if text else None


def _refusal(part: JsonObject, path: str) -> Part:
    return Refusal(jsonio.need(part, "refusal", jsonio.string, path))


def _image(part: JsonObject, path: str) -> Part:
    path += ".image_url"
    value = part.get("image_url")
    if isinstance(value, str):
        value = {"url": value}
    image = jsonio.obj(value, path)
    url = jsonio.need(image, "url", jsonio.string, path)
    detail = jsonio.opt(image, "detail", jsonio.string, path) or ""
    return Image(media.addressed(url, f"{path}.url"), detail, _cache(part))


def _file(part: JsonObject, path: str) -> Part:
    file = jsonio.need(part, "file", jsonio.obj, path)
    path += ".file"
    name = jsonio.opt(file, "filename", jsonio.string, path) or ""
    file_id = jsonio.opt(file, "file_id", jsonio.string, path)
    if file_id:
        return File(FileId(file_id, NAME), name, _cache(part))
    data = jsonio.need(file, "file_data", jsonio.string, path)
    return File(media.attached(data, f"{path}.file_data"), name, _cache(part))


_PARTS: dict[str, Callable[[JsonObject, str], Part | None]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": read_audio,
    "file": _file,
}


# What a breakpoint's lifetime comes to where only 5m and 1h exist.
_LIFETIMES = {"30m": "5m", "12h": "1h", "5m": "5m", "1h": "1h"}


def _cache(part: JsonObject) -> CacheMark | None:
    """OpenAI's breakpoint, or the mark that clients made for Anthropic models put there."""
    mark = part.get("prompt_cache_breakpoint") or part.get("cache_control")
    return CacheMark(_LIFETIMES.get(str(mark.get("ttl")), "")) if isinstance(mark, dict) else None


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def _tools(doc: JsonObject) -> tuple[Tool, ...]:
    tools = [
        _tool(jsonio.obj(value, f"tools[{index}]"), f"tools[{index}]")
        for index, value in enumerate(jsonio.opt(doc, "tools", jsonio.arr) or [])
    ]
    tools += [
        _function(jsonio.obj(value, f"functions[{index}]"), f"functions[{index}]", None)
        for index, value in enumerate(jsonio.opt(doc, "functions", jsonio.arr) or [])
    ]
    return tuple(tools)


def _tool(tool: JsonObject, path: str) -> Tool:
    kind = jsonio.need(tool, "type", jsonio.string, path)
    match kind:
        case "function":
            # Some clients send the flat form of the Responses API.
            body = tool if "name" in tool else jsonio.need(tool, "function", jsonio.obj, path)
            return _function(body, path if body is tool else f"{path}.function", _cache(tool))
        case "custom":
            body = jsonio.need(tool, "custom", jsonio.obj, path)
            return Tool(
                name=jsonio.need(body, "name", jsonio.string, f"{path}.custom"),
                description=jsonio.opt(body, "description", jsonio.string, f"{path}.custom") or "",
                freeform=True,
                grammar=_grammar(body.get("format")),
                cache=_cache(tool),
            )
        case _:
            name = tool.get("name")
            return Tool(name if isinstance(name, str) else kind, native=tool, dialect=NAME)


def _function(body: JsonObject, path: str, cache: CacheMark | None) -> Tool:
    return Tool(
        name=jsonio.need(body, "name", jsonio.string, path),
        description=jsonio.opt(body, "description", jsonio.string, path) or "",
        schema=jsonio.opt(body, "parameters", schemas.read, path),
        strict=jsonio.opt(body, "strict", jsonio.boolean, path),
        cache=cache,
    )


def _grammar(declared: Any) -> Any:
    """The format of a freeform tool, flat: ``{type, syntax, definition}``."""
    if isinstance(declared, dict) and isinstance(declared.get("grammar"), dict):
        return {"type": "grammar", **declared["grammar"]}
    return declared


def _tool_choice(doc: JsonObject) -> ToolChoice | None:
    for field in ("tool_choice", "function_call"):
        if doc.get(field) is not None:
            return _choice(doc[field], field)
    return None


def _choice(value: Any, path: str) -> ToolChoice:
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case "any":
            return ToolChoice("required")
        case {"type": "allowed_tools"}:
            return _allowed(value, path)
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}}:
            return ToolChoice("required", (name,))
        case {"name": str(name)}:
            return ToolChoice("required", (name,))
        case _:
            raise invalid(f"{path}: must be auto, none, required or name a function", param=path)


def _allowed(value: JsonObject, path: str) -> ToolChoice:
    inner = value.get("allowed_tools", value)
    path = f"{path}.allowed_tools"
    allowed = jsonio.obj(inner, path)
    names: list[str] = []
    for index, tool in enumerate(jsonio.need(allowed, "tools", jsonio.arr, path)):
        names += _choice(jsonio.obj(tool, f"{path}.tools[{index}]"), f"{path}.tools[{index}]").names
    return ToolChoice("required" if allowed.get("mode") == "required" else "auto", tuple(names))


# ── the rest ─────────────────────────────────────────────────────────────────────────────────


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(
        jsonio.string(item, f"stop[{index}]")
        for index, item in enumerate(jsonio.arr(value, "stop"))
    )


def _sampling(doc: JsonObject) -> Sampling:
    return Sampling(
        temperature=jsonio.opt(doc, "temperature", jsonio.number),
        top_p=jsonio.opt(doc, "top_p", jsonio.number),
        top_k=jsonio.opt(doc, "top_k", jsonio.integer),
        seed=jsonio.opt(doc, "seed", jsonio.integer),
        presence_penalty=jsonio.opt(doc, "presence_penalty", jsonio.number),
        frequency_penalty=jsonio.opt(doc, "frequency_penalty", jsonio.number),
        logit_bias=jsonio.opt(doc, "logit_bias", jsonio.obj),
        n=jsonio.opt(doc, "n", jsonio.integer),
        logprobs=jsonio.opt(doc, "logprobs", jsonio.boolean),
        top_logprobs=jsonio.opt(doc, "top_logprobs", jsonio.integer),
    )


def _output(doc: JsonObject) -> Output:
    verbosity = jsonio.opt(doc, "verbosity", jsonio.string) or ""
    wanted = jsonio.opt(doc, "response_format", jsonio.obj) or {}
    match wanted.get("type"):
        case None | "text":
            return Output(verbosity=verbosity)
        case "json_object":
            return Output("json_object", verbosity=verbosity)
        case "json_schema":
            path = "response_format.json_schema"
            form = jsonio.need(wanted, "json_schema", jsonio.obj, "response_format")
            return Output(
                "json_schema",
                name=jsonio.opt(form, "name", jsonio.string, path) or "",
                description=jsonio.opt(form, "description", jsonio.string, path) or "",
                schema=jsonio.opt(form, "schema", schemas.read, path),
                strict=jsonio.opt(form, "strict", jsonio.boolean, path),
                verbosity=verbosity,
            )
        case other:
            raise invalid(
                f"response_format.type: must be text, json_object or json_schema, not {other!r}",
                param="response_format.type",
            )


def _reasoning(doc: JsonObject) -> Reasoning:
    word = jsonio.opt(doc, "reasoning_effort", jsonio.string)
    if word:
        return effort.from_effort(word)
    # OpenRouter's form, which its clients send everywhere.
    form = doc.get("reasoning")
    if not isinstance(form, dict):
        return Reasoning()
    if form.get("enabled") is False:
        return Reasoning(mode="off")
    if form.get("effort") is not None:
        return effort.from_effort(jsonio.opt(form, "effort", jsonio.string, "reasoning"))
    budget = jsonio.opt(form, "max_tokens", jsonio.integer, "reasoning")
    return Reasoning() if budget is None else effort.from_budget(budget)
