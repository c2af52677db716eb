"""The hub's request in Gemini's words."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from proxypal_core.dialects import effort, extras, media, tools, turns
from proxypal_core.dialects.base import Encoded
from proxypal_core.dialects.gemini import schema as schemas
from proxypal_core.dialects.gemini import words
from proxypal_core.dialects.gemini.words import NAME
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.inline import shown
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    File,
    FileId,
    Image,
    Opaque,
    Part,
    PlainText,
    Refusal,
    Request,
    Source,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_STOP_LIMIT = 5
_ID_LIMIT = 64
_CONTINUE = "Continue your last message from exactly where it stopped."

# Tools that a vendor runs itself and that Google has too, by how their type begins.
_HOSTED = (("web_search", "googleSearch"), ("web_fetch", "urlContext"))

_TIERS = {"flex": "flex", "standard": "standard", "priority": "priority", "fast": "priority"}
_OWN_TIER = ("", "auto", "default")

_LEVELS = {
    "none": "MINIMAL",  # cannot be off
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
_BUDGETS = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


class _Target(NamedTuple):
    """What decides the words: the model's generation, and who asked."""

    generation: float  # 0.0 for a model that does not think
    pro: bool
    own: bool  # the client speaks this dialect itself
    names: Mapping[str, str]


def encode_request(request: Request, /) -> Encoded:
    names = tools.target_names(tools.flat_names(request))
    to = _Target(_generation(request.model), "pro" in request.model, request.dialect == NAME, names)
    dropped: list[str] = []
    body: JsonObject = {"contents": _contents(request, to, dropped)}
    declared = _functions(request, to)
    system, form = _system(request), _output(request, dropped)
    if form and declared and to.generation < 3:
        # Before Gemini 3 a fixed form and functions exclude each other.
        system.append(_form_in_words(form))
        form = {}
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    body |= _tool_fields(request, to, declared, dropped)
    config = _limits(request) | _sampling(request, to, dropped) | form
    config |= _thinking(request, to, dropped)
    _put_extras(request, body, config, dropped)
    if config:
        body["generationConfig"] = config
    body |= _identity(request, dropped)
    return Encoded(
        jsonio.dumps(body),
        tuple(dict.fromkeys(dropped)),
        names=tools.renamed(to.names),
        stops=request.stop[_STOP_LIMIT:],
    )


def _generation(model: str) -> float:
    """2.5 for gemini-2.5-pro; names without a number mean the newest."""
    if "gemma" in model or "learnlm" in model:
        return 0.0
    match = _VERSION.search(model)
    return float(f"{match[1]}.{match[2] or 0}") if match else 3.0


def _put_extras(request: Request, body: JsonObject, config: JsonObject, dropped: list[str]) -> None:
    extras.refuse_state(request, NAME)
    dropped += extras.visible(request, NAME)
    if extras.asks_detail(request):
        dropped.append("detail")
    if any(tool.strict for tool in request.tools):
        dropped.append("tools.strict")
    for field, value in request.extras.get(NAME, {}).items():
        if field == "generationConfig":
            config |= value
        elif field == "toolConfig":
            calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
            mode = value.get("functionCallingConfig", {})
            both = {"functionCallingConfig": calling | mode} if calling else {}
            merged = {key: one for key, one in value.items() if key != "functionCallingConfig"}
            if merged or both:
                body["toolConfig"] = merged | both
        else:
            body[field] = value


# ── the conversation ─────────────────────────────────────────────────────────────────────────


def _system(request: Request) -> list[str]:
    return [block.text for block in turns.instructions(request) if block.text]


def _contents(request: Request, to: _Target, dropped: list[str]) -> list[JsonObject]:
    called: dict[str, ToolCall] = {}
    contents: list[JsonObject] = []
    said = [_sayable(turn, dropped) for turn in request.turns]
    for turn in turns.tidy(turns.continued(said, _CONTINUE)):
        parts: list[JsonObject] = []
        for part in turn.parts if to.own else _settled(turn.parts):
            if isinstance(part, ToolCall):
                called[part.id] = part
            parts += _part(part, called, to)
        if parts:
            contents.append(
                {"role": "model" if turn.role == "assistant" else "user", "parts": parts}
            )
    if to.generation >= 3:
        _excuse_missing_signatures(contents)
    return contents or [{"role": "user", "parts": [{"text": "."}]}]


def _sayable(turn: Turn, dropped: list[str]) -> Turn:
    """*turn* without the parts that only another dialect understands."""
    foreign = [p for p in turn.parts if isinstance(p, Opaque) and p.dialect != NAME]
    dropped += map(extras.name_of, foreign)
    return Turn(turn.role, tuple(part for part in turn.parts if part not in foreign))


def _settled(parts: Sequence[Part]) -> Iterator[Part]:
    """*parts* with each signature where Gemini put it.

    Other dialects have room for one only on a thought, so it comes back on the thought before the
    part that it signs.
    """
    held: tuple[Blob, ...] = ()
    for part in parts:
        own = tuple(b for b in getattr(part, "blobs", ()) if b.origin == NAME)
        if isinstance(part, Thinking):
            held = own or held
            continue
        if held and not own and isinstance(part, Text):
            yield Text(part.text, held)
        elif held and not own and isinstance(part, ToolCall):
            yield ToolCall(part.id, part.name, part.arguments, part.namespace, part.freeform, held)
        else:
            yield part
        held = ()


def _excuse_missing_signatures(contents: Sequence[JsonObject]) -> None:
    """Gemini 3 refuses unsigned calls since the last words of the user; the first of each step
    has to be signed, and Google documents what stands in for a signature nobody has.
    """
    last_words = max(
        (
            at
            for at, content in enumerate(contents)
            if content["role"] == "user"
            and any("functionResponse" not in part for part in content["parts"])
        ),
        default=-1,
    )
    for content in contents[last_words + 1 :]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = words.NO_SIGNATURE


def _part(part: Part, called: Mapping[str, ToolCall], to: _Target) -> list[JsonObject]:
    match part:
        case Text(text=text, blobs=blobs):
            signature = words.signature(blobs)
            return [{"text": text, **signature}] if text or signature else []
        case Thinking(text=text, blobs=blobs):
            return [{"text": text, "thought": True, **words.signature(blobs)}] if text else []
        case Refusal(text=text):
            return [{"text": text}] if text else []
        case Image(source=source, detail=detail):
            level = words.RESOLUTIONS.get(detail) if to.generation >= 3 else None
            shown = {"mediaResolution": {"level": level}} if level else {}
            return [{**_media(source, "", to), **shown}]
        case Audio(mime=mime, data=data):
            return [words.inline_part(mime, data)]
        case File(source=source, name=name):
            return [_media(source, name, to)]
        case ToolCall():
            return [_call(part, to)]
        case ToolResult():
            return _result(part, called, to)
        case Opaque(dialect=dialect, raw=raw):
            return [raw] if dialect == NAME else []


def _call(call: ToolCall, to: _Target) -> JsonObject:
    arguments = tools.freeform_arguments(call.arguments) if call.freeform else call.arguments
    return {
        "functionCall": {
            "id": tools.target_id(call.id, limit=_ID_LIMIT),
            "name": to.names[tools.flat_name(call)],
            "args": tools.arguments_value(arguments),
        },
        **words.signature(call.blobs),
    }


def _result(result: ToolResult, called: Mapping[str, ToolCall], to: _Target) -> list[JsonObject]:
    call = called.get(result.call_id)
    name = tools.flat_name(call) if call else result.name
    text = "\n".join(part.text for part in result.content if isinstance(part, Text))
    beside = [
        encoded
        for part in result.content
        if not isinstance(part, Text)
        for encoded in _part(part, called, to)
    ]
    response: JsonObject = {
        "id": tools.target_id(result.call_id, limit=_ID_LIMIT),
        "name": to.names.get(name, name),
        "response": {"error" if result.is_error else "output": text},
    }
    inside = [part for part in beside if "inlineData" in part] if to.generation >= 3 else []
    if inside:
        response["parts"] = inside
    return [{"functionResponse": response}, *(part for part in beside if part not in inside)]


def _media(source: Source, name: str, to: _Target) -> JsonObject:
    match source:
        case Base64():
            return words.inline_part(media.true_mime(source), source.data)
        case PlainText(text=text) if to.own:
            data = base64.b64encode(text.encode()).decode()
            return words.inline_part("text/plain", data)
        case PlainText(text=text):
            return {"text": media.titled(name, text)}
        case FileId(id=uri, origin="gemini", mime=mime):
            return _file_data(uri, mime)
        case Url(url=uri, mime=mime) if to.own or words.is_googles(uri):
            return _file_data(uri, mime)
        case Url(url=uri):
            raise invalid(f"{shown(uri)}: Gemini does not fetch addresses: send the file's bytes")
        case FileId():
            raise media.stored_elsewhere("a file")


def _file_data(uri: str, mime: str) -> JsonObject:
    return {"fileData": {"mimeType": mime, "fileUri": uri} if mime else {"fileUri": uri}}


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def _functions(request: Request, to: _Target) -> dict[str, JsonObject]:
    """The functions by their name for Gemini; of two with one name the first holds."""
    declared: dict[str, JsonObject] = {}
    for tool in request.tools:
        if tools.is_hosted(tool):
            continue
        name = to.names[tools.flat_name(tool)]
        declared.setdefault(name, _function(tool, name))
    return declared


def _function(tool: Tool, name: str) -> JsonObject:
    if tool.freeform:
        tool = tools.as_function(tool)
    function: JsonObject = {"name": name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema:
        function["parametersJsonSchema"] = schemas.to_gemini(tool.schema)
    return function


def _hosted(request: Request, dropped: list[str]) -> list[JsonObject]:
    """The tools that Google runs itself."""
    found: list[JsonObject] = []
    for tool in request.tools:
        if not tools.is_hosted(tool):
            continue
        kind = str(tool.native.get("type", "")) if isinstance(tool.native, Mapping) else ""
        ours = next((name for begin, name in _HOSTED if kind.startswith(begin)), None)
        if tool.dialect == NAME:
            found.append(dict(tool.native))
        elif ours and tool.native.get("external_web_access") is not False:
            found.append({ours: {}})
        else:
            dropped.append(f"tools.{kind or tool.name}")
    return found


def _tool_fields(
    request: Request, to: _Target, declared: Mapping[str, JsonObject], dropped: list[str]
) -> JsonObject:
    hosted = _hosted(request, dropped)
    if declared and hosted and to.generation < 3 and not to.own:
        # Before Gemini 3 functions and Google's own tools exclude each other.
        dropped += [f"tools.{next(iter(tool))}" for tool in hosted]
        hosted = []
    if request.parallel_tools is False and declared:
        dropped.append("parallel_tool_calls")
    listed = [{"functionDeclarations": list(declared.values())}] if declared else []
    fields: JsonObject = {"tools": listed + hosted} if listed or hosted else {}
    config: JsonObject = {}
    if declared and request.tool_choice is not None:
        config["functionCallingConfig"] = _calling(request, to)
    if declared and hosted and not to.own:
        config["includeServerSideToolInvocations"] = True  # without it the mix is refused
    return {**fields, "toolConfig": config} if config else fields


def _calling(request: Request, to: _Target) -> JsonObject:
    choice = request.tool_choice
    if choice is None or choice.mode == "none":
        return {"mode": "NONE"}
    names = [to.names[name] for name in tools.chosen_names(request) if name in to.names]
    # A choice among some only exists where calls are checked.
    mode = "ANY" if choice.mode == "required" else "VALIDATED" if names else "AUTO"
    return {"mode": mode, "allowedFunctionNames": names} if names else {"mode": mode}


# ── generationConfig ─────────────────────────────────────────────────────────────────────────


def _limits(request: Request) -> JsonObject:
    return _present(
        maxOutputTokens=request.max_output_tokens,
        stopSequences=list(request.stop[:_STOP_LIMIT]) or None,
    )


def _sampling(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    asked = request.sampling
    if asked.logit_bias:
        dropped.append("logit_bias")
    fields = _present(
        temperature=asked.temperature,
        topP=asked.top_p,
        topK=asked.top_k,
        seed=asked.seed,
        presencePenalty=asked.presence_penalty,
        frequencyPenalty=asked.frequency_penalty,
    )
    if to.own:
        return fields | _present(
            candidateCount=asked.n, responseLogprobs=asked.logprobs, logprobs=asked.top_logprobs
        )
    extras.refuse_several(request)
    # An answer in the hub is without probabilities.
    dropped += [
        name
        for name, value in (("logprobs", asked.logprobs), ("top_logprobs", asked.top_logprobs))
        if value
    ]
    return fields


def _output(request: Request, dropped: list[str]) -> JsonObject:
    if request.output.verbosity:
        dropped.append("verbosity")
    if request.output.kind == "text":
        return {}
    form: JsonObject = {"responseMimeType": "application/json"}
    if request.output.kind == "json_schema" and request.output.schema:
        form["responseJsonSchema"] = schemas.to_gemini(request.output.schema)
    return form


def _form_in_words(form: Mapping[str, Any]) -> str:
    schema = form.get("responseJsonSchema")
    if schema is None:
        return "Answer with one JSON object and nothing else."
    return f"Answer only with JSON that fits this schema:\n{jsonio.dumps_text(schema)}"


def _thinking(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    asked = request.reasoning
    if to.generation < 2.5:
        if asked.mode in ("effort", "budget"):
            dropped.append("reasoning_effort")
        return {}
    config: JsonObject = {}
    # Foreign clients that ask for thought expect to see it unless they say otherwise.
    if asked.show == "unset":
        if not to.own and asked.mode in ("effort", "budget", "auto"):
            config["includeThoughts"] = True
    else:
        config["includeThoughts"] = asked.show != "none"
    config |= _level(request) if to.generation >= 3 else _budget(request, to)
    return {"thinkingConfig": config} if config else {}


def _level(request: Request) -> JsonObject:
    word = effort.effort_of(request.reasoning)
    return {"thinkingLevel": _LEVELS.get(word, word.upper())} if word else {}


def _budget(request: Request, to: _Target) -> JsonObject:
    asked = request.reasoning
    if asked.mode == "unset":
        return {}
    if asked.mode == "auto":
        return {"thinkingBudget": -1}
    named = _BUDGETS.get(effort.effort_of(asked), _BUDGETS["high"])
    budget = asked.budget if asked.mode == "budget" else named
    # Pro models cannot stop thinking, the others think shorter.
    low, high = (128, 32768) if to.pro else (0, 24576)
    return {"thinkingBudget": max(low, min(budget, high))}


def _identity(request: Request, dropped: list[str]) -> JsonObject:
    if request.end_user:
        dropped.append("user")
    if any(turn.name for turn in request.turns):
        dropped.append("name")
    if request.metadata:
        dropped.append("metadata")
    if request.cache_key:
        dropped.append("prompt_cache_key")
    if request.service_tier in _OWN_TIER:
        return {}
    if request.service_tier not in _TIERS:
        dropped.append("service_tier")
        return {}
    return {"serviceTier": _TIERS[request.service_tier]}


def _present(**fields: Any) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
