"""A Gemini request into the hub's words."""

from collections.abc import Callable, Mapping
from typing import Any

from proxypal_core.dialects import effort, schemas, tools
from proxypal_core.dialects.gemini import schema as own_schema
from proxypal_core.dialects.gemini import words
from proxypal_core.dialects.gemini.words import NAME
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Blob,
    Opaque,
    Output,
    Part,
    Reasoning,
    Request,
    Role,
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
from proxypal_core.wire.jsonio import JsonObject, arr, need, obj, opt, string

# The fields that the hub has words for; all others travel in extras.
_TOP = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"}
)
_SAMPLING: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "temperature": ("temperature", jsonio.number),
    "topP": ("top_p", jsonio.number),
    "topK": ("top_k", jsonio.integer),
    "seed": ("seed", jsonio.integer),
    "presencePenalty": ("presence_penalty", jsonio.number),
    "frequencyPenalty": ("frequency_penalty", jsonio.number),
    "candidateCount": ("n", jsonio.integer),
    "responseLogprobs": ("logprobs", jsonio.boolean),
    "logprobs": ("top_logprobs", jsonio.integer),
}
_FORM = ("responseMimeType", "responseSchema", "responseJsonSchema")
_GENERATION = frozenset({*_SAMPLING, *_FORM, "maxOutputTokens", "stopSequences", "thinkingConfig"})

_ROLES: Mapping[str, Role] = {"": "user", "user": "user", "function": "user", "model": "assistant"}

# What stands below these keys is the user's or a schema: its keys are not field names.
_NOT_OURS = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "metadata",
        "partMetadata",
    }
)
_DEPTH_LIMIT = 200

# Fields that say more about the part they stand in, and are no part themselves.
_BESIDE = frozenset(
    {"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"}
)
_SERVER_SIDE = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})


def peek(doc: JsonObject, /) -> tuple[str, bool]:
    """The path says both."""
    return "", False


def decode_request(doc: JsonObject, /, *, model: str, stream: bool) -> Request:
    doc = _camel(doc)
    config = opt(doc, "generationConfig", obj) or {}
    extras = {key: value for key, value in doc.items() if key not in _TOP and value is not None}
    rest = {key: value for key, value in config.items() if key not in _GENERATION}
    output = _output(config, rest)
    if rest:
        extras["generationConfig"] = rest
    return Request(
        dialect=NAME,
        model=model,
        stream=stream,
        system=_system(doc.get("systemInstruction")),
        turns=_turns(need(doc, "contents", arr)),
        tools=tuple(_tools(doc)),
        tool_choice=_tool_choice(opt(doc, "toolConfig", obj) or {}, extras),
        max_output_tokens=opt(config, "maxOutputTokens", jsonio.integer, "generationConfig"),
        stop=tuple(
            string(one, f"generationConfig.stopSequences[{at}]")
            for at, one in enumerate(opt(config, "stopSequences", arr, "generationConfig") or ())
        ),
        sampling=_sampling(config),
        output=output,
        reasoning=_reasoning(opt(config, "thinkingConfig", obj, "generationConfig") or {}),
        service_tier=opt(doc, "serviceTier", string) or "",
        extras={NAME: extras} if extras else {},
    )


def _camel(value: Any, depth: int = 0) -> Any:
    """*value* with the one spelling of field names; proto3 JSON, and so the SDKs, know two."""
    if depth > _DEPTH_LIMIT:
        raise invalid("the request is nested too deeply; send flatter data")
    if isinstance(value, list):
        return [_camel(one, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        (name := own_schema.camel(key)): field if name in _NOT_OURS else _camel(field, depth + 1)
        for key, field in value.items()
    }


# ── the conversation ─────────────────────────────────────────────────────────────────────────


def _system(value: Any) -> tuple[Text, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),) if value else ()
    parts = opt(obj(value, "systemInstruction"), "parts", arr, "systemInstruction") or ()
    texts = (
        opt(obj(part, path), "text", string, path)
        for path, part in _numbered(parts, "systemInstruction.parts")
    )
    return tuple(Text(text) for text in texts if text)


def _numbered(values: Any, path: str) -> list[tuple[str, Any]]:
    return [(f"{path}[{at}]", value) for at, value in enumerate(values)]


def _turns(contents: list[Any]) -> tuple[Turn, ...]:
    ids = _CallIds()
    return tuple(_turn(obj(raw, path), path, ids) for path, raw in _numbered(contents, "contents"))


def _turn(content: JsonObject, path: str, ids: "_CallIds") -> Turn:
    role = opt(content, "role", string, path) or ""
    if role not in _ROLES:
        raise invalid(f"{path}.role: must be user or model, not {role!r}", param=f"{path}.role")
    parts: list[Part] = []
    for place, raw in _numbered(opt(content, "parts", arr, path) or (), f"{path}.parts"):
        part = obj(raw, place)
        signature = words.blobs(part)
        decoded = _part(part, place, ids)
        if decoded is not None:
            parts.append(decoded)
        elif signature:
            _sign(parts, signature)
    return Turn(_ROLES[role], tuple(parts))


def _sign(parts: list[Part], signature: tuple[Blob, ...]) -> None:
    """A part that is only a signature signs the text before it."""
    if parts and isinstance(parts[-1], (Text, Thinking)) and not parts[-1].blobs:
        last = parts[-1]
        parts[-1] = type(last)(last.text, signature)
    else:
        parts.append(Text("", signature))


class _CallIds:
    """Ids for calls and results that came without one, the same at every turn.

    Older Gemini models and several clients leave ids out; results then belong to the calls of
    their name in order.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[str]] = {}
        self._made: set[str] = set()

    def call(self, given: str, name: str, path: str) -> str:
        call_id = given or tools.made_id(f"{path} {name}")
        if not given:
            self._made.add(call_id)
        self._waiting.setdefault(name, []).append(call_id)
        return call_id

    def result(self, given: str, name: str, path: str) -> str:
        waiting = self._waiting.get(name, [])
        mine = (one for one in waiting if not given or one in self._made)
        found = given if given in waiting else next(mine, "")
        if not found:
            return given or tools.made_id(f"{path} {name}")
        waiting.remove(found)
        return found


def _part(part: JsonObject, path: str, ids: _CallIds) -> Part | None:
    """The hub's part, or None for one that says nothing but perhaps a signature."""
    kind = next((key for key, value in part.items() if key in _PARTS and value is not None), None)
    if kind is not None:
        return _PARTS[kind](part, f"{path}.{kind}", ids)
    if any(part.get(key) is not None for key in _SERVER_SIDE):
        return Opaque(NAME, part)
    unknown = next((key for key in part if key not in _BESIDE), None)
    if unknown is not None:
        raise invalid(
            f"{path}: unknown part type {unknown!r}; text, inlineData, fileData and the like are known",
            param=path,
        )
    return None


def _text(part: JsonObject, path: str, ids: _CallIds) -> Part | None:
    text = string(part["text"], path)
    if not text:
        return None
    kind = Thinking if part.get("thought") is True else Text
    return kind(text, words.blobs(part))


def _inline(part: JsonObject, path: str, ids: _CallIds) -> Part:
    return words.with_detail(words.read_inline(part["inlineData"], path), part)


def _file(part: JsonObject, path: str, ids: _CallIds) -> Part:
    return words.with_detail(words.read_file(part["fileData"], path), part)


def _call(part: JsonObject, path: str, ids: _CallIds) -> Part:
    call = obj(part["functionCall"], path)
    name = need(call, "name", string, path)
    return ToolCall(
        id=ids.call(opt(call, "id", string, path) or "", name, path),
        name=name,
        arguments=jsonio.dumps_text(opt(call, "args", obj, path) or {}),
        blobs=words.blobs(part),
    )


def _result(part: JsonObject, path: str, ids: _CallIds) -> Part:
    raw = obj(part["functionResponse"], path)
    name = need(raw, "name", string, path)
    text, is_error = _said(opt(raw, "response", obj, path) or {}, name)
    content: list[Part] = [Text(text)] if text else []
    for place, media in _numbered(opt(raw, "parts", arr, path) or (), f"{path}.parts"):
        decoded = _part(obj(media, place), place, ids)
        if decoded is not None:
            content.append(decoded)
    return ToolResult(
        call_id=ids.result(opt(raw, "id", string, path) or "", name, path),
        content=tuple(content),
        name=name,
        is_error=is_error,
    )


def _said(response: JsonObject, name: str) -> tuple[str, bool]:
    """What a function's answer says, and whether it is an error."""
    is_error = bool(response.get("error"))
    # Some clients repeat the function's name beside the content.
    if len(response) == 2 and response.get("name") == name:
        response = {key: value for key, value in response.items() if key != "name"}
    if not response:
        return "", False
    if len(response) == 1:
        key, value = next(iter(response.items()))
        if key in ("output", "result", "content", "error") and isinstance(value, str):
            return value, is_error
    return jsonio.dumps_text(response), is_error


_PARTS: Mapping[str, Callable[[JsonObject, str, _CallIds], Part | None]] = {
    "text": _text,
    "inlineData": _inline,
    "fileData": _file,
    "functionCall": _call,
    "functionResponse": _result,
}


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def _tools(doc: JsonObject) -> list[Tool]:
    found: list[Tool] = []
    for path, raw in _numbered(opt(doc, "tools", arr) or (), "tools"):
        for key, value in obj(raw, path).items():
            if value is None:
                continue
            if key == "functionDeclarations":
                place = f"{path}.{key}"
                found += [
                    _tool(obj(one, at), at) for at, one in _numbered(arr(value, place), place)
                ]
            else:
                found.append(Tool(key, native={key: value}, dialect=NAME))
    return found


def _tool(declared: JsonObject, path: str) -> Tool:
    schema = opt(declared, "parametersJsonSchema", schemas.read, path)
    if schema is None:
        schema = opt(declared, "parameters", _openapi, path) or None
    return Tool(
        name=need(declared, "name", string, path),
        description=opt(declared, "description", string, path) or "",
        schema=schema,
    )


def _openapi(value: Any, path: str) -> JsonObject:
    return schemas.read(own_schema.from_openapi(obj(value, path)), path)


def _tool_choice(config: JsonObject, extras: dict[str, Any]) -> ToolChoice | None:
    path = "toolConfig.functionCallingConfig"
    calling = opt(config, "functionCallingConfig", obj, "toolConfig") or {}
    rest = {key: value for key, value in config.items() if key != "functionCallingConfig"}
    if rest:
        extras["toolConfig"] = rest
    names = tuple(
        string(name, f"{path}.allowedFunctionNames[{at}]")
        for at, name in enumerate(opt(calling, "allowedFunctionNames", arr, path) or ())
    )
    match opt(calling, "mode", string, path):
        case "ANY":
            return ToolChoice("required", names)
        case "NONE":
            return ToolChoice("none")
        case "AUTO":
            return ToolChoice("auto")
        case "VALIDATED":
            extras.setdefault("toolConfig", {})["functionCallingConfig"] = {"mode": "VALIDATED"}
            return ToolChoice("auto", names)
        case _:
            return None


# ── generationConfig ─────────────────────────────────────────────────────────────────────────


def _sampling(config: JsonObject) -> Sampling:
    return Sampling(
        **{
            word: opt(config, field, read, "generationConfig")
            for field, (word, read) in _SAMPLING.items()
            if field in config
        }
    )


def _output(config: JsonObject, rest: dict[str, Any]) -> Output:
    """The wanted form; one that only Gemini has (``text/x.enum``) goes to *rest*."""
    mime = opt(config, "responseMimeType", string, "generationConfig") or ""
    schema = opt(config, "responseJsonSchema", schemas.read, "generationConfig")
    subset = opt(config, "responseSchema", _openapi, "generationConfig")
    if mime not in ("", "text/plain", "application/json"):
        rest.update((key, config[key]) for key in _FORM if config.get(key) is not None)
        return Output()
    schema = subset if schema is None else schema
    if schema:
        return Output("json_schema", schema=schema)
    return Output("json_object" if mime == "application/json" else "text")


def _reasoning(config: JsonObject) -> Reasoning:
    path = "generationConfig.thinkingConfig"
    show = opt(config, "includeThoughts", jsonio.boolean, path)
    level = (opt(config, "thinkingLevel", string, path) or "").lower()
    budget = opt(config, "thinkingBudget", jsonio.integer, path)
    wanted = Reasoning()
    if level and level != "thinking_level_unspecified":
        wanted = effort.from_effort(level)
    elif budget is not None:
        wanted = effort.from_budget(budget)
    return Reasoning(
        wanted.mode,
        wanted.effort,
        wanted.budget,
        "unset" if show is None else "summary" if show else "none",
    )
