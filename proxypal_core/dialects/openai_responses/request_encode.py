"""Requests for an upstream that speaks Responses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxypal_core.dialects import effort, extras, structured, tools, turns
from proxypal_core.dialects.base import Encoded
from proxypal_core.dialects.openai_responses.content_encode import write_part
from proxypal_core.dialects.openai_responses.words import NAME
from proxypal_core.dialects.openai_words import (
    ORIGIN,
    end_user,
    is_dialect,
    is_openai,
    is_reasoning,
    is_strict,
    service_tier,
)
from proxypal_core.hub.messages import (
    Opaque,
    Output,
    Part,
    Refusal,
    Request,
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

_ID_LIMIT = 64
_MIN_OUTPUT_TOKENS = 16
_ENCRYPTED = "reasoning.encrypted_content"
_CONTINUE = "Continue from where you stopped; do not repeat what you already said."

_UNKNOWN_SAMPLING = (
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
)


def encode_request(request: Request, /) -> Encoded:
    names = tools.target_names(_all_names(request))
    dropped: list[str] = []
    body: JsonObject = {"model": request.model}
    body |= _conversation(request, names, dropped)
    body |= _tool_fields(request, names, dropped)
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = max(_MIN_OUTPUT_TOKENS, request.max_output_tokens)
    if any(turn.name for turn in request.turns):
        dropped.append("name")
    body |= _sampling(request, dropped)
    output, wrapped = structured.rooted(request, NAME)
    body |= _text(output)
    body |= _identity(request, dropped)
    body |= _extras(request, dropped)
    body["stream"] = request.stream
    return Encoded(
        jsonio.dumps(body),
        tuple(dict.fromkeys(dropped)),
        names=tools.renamed(names),
        stops=request.stop,
        wrapped=wrapped,
    )


def _all_names(request: Request) -> Iterator[str]:
    yield from (tool.name for tool in request.tools if not tools.is_hosted(tool))
    yield from (call.name for call in tools.calls(request.turns))


# ── the conversation ─────────────────────────────────────────────────────────────────────────


def _conversation(request: Request, names: Mapping[str, str], dropped: list[str]) -> JsonObject:
    system = turns.instructions(request)
    history = request.turns
    if history and _is_left_open(history[-1], own=request.dialect == NAME):
        history = turns.continued(history, _CONTINUE)
    encoder = _Items(names, dropped, own=is_dialect(request.dialect))
    for turn in turns.paired(history):
        encoder.add(turn)
    if not encoder.items:
        # An input is required.
        encoder.add(Turn("system", system))
        return {"input": encoder.items}
    instructions = "\n\n".join(block.text for block in system)
    fields: JsonObject = {"instructions": instructions} if system else {}
    return {**fields, "input": encoder.items}


def _is_left_open(last: Turn, *, own: bool) -> bool:
    """Whether a history ending in *last* is refused (a call without output) or, of a client that
    means it as the beginning of the answer, would be taken for a finished one.
    """
    if last.role != "assistant":
        return False
    return not own or any(isinstance(part, ToolCall) for part in last.parts)


class _Items:
    """The input items of the turns added so far."""

    def __init__(self, names: Mapping[str, str], dropped: list[str], *, own: bool) -> None:
        self.items: list[JsonObject] = []
        self._names = names
        self._dropped = dropped
        self._own = own
        self._freeform: set[str] = set()

    def add(self, turn: Turn) -> None:
        match turn.role:
            case "assistant":
                self._assistant(turn.parts)
            case "user":
                self._user(turn.parts)
            case "system":
                self._message("developer", [part for part in turn.parts if turns.is_said(part)])

    def _user(self, parts: Iterable[Part]) -> None:
        said: list[turns.Said] = []
        for part in parts:
            if not isinstance(part, (ToolResult, Opaque)):
                said += [part] if turns.is_said(part) else []
                continue
            self._message("user", said)
            said = []
            if isinstance(part, ToolResult):
                self.items.append(self._result(part))
            else:
                self._opaque(part)
        self._message("user", said)

    def _assistant(self, parts: Sequence[Part]) -> None:
        for at, part in enumerate(parts):
            match part:
                case Text(text=text) | Refusal(text=text):
                    if text:
                        item = {"type": "message", "role": "assistant", "content": text}
                        self.items.append(item)
                case Thinking():
                    # Reasoning that nothing came of is refused.
                    if any(not isinstance(later, Thinking) for later in parts[at + 1 :]):
                        self._thought(part)
                case ToolCall():
                    self.items.append(self._call(part))
                case Opaque():
                    self._opaque(part)
                case _:
                    self._dropped.append(type(part).__name__.lower())

    def _message(self, role: str, parts: Sequence[turns.Said]) -> None:
        if parts:
            content = [write_part(part, own=self._own) for part in parts]
            self.items.append({"type": "message", "role": role, "content": content})

    def _thought(self, part: Thinking) -> None:
        """Without its id: nothing is stored under it, and the encrypted content stands for it."""
        encrypted = extras.blob_of(part.blobs, ORIGIN)
        if encrypted:
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            self.items.append(
                {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}
            )

    def _call(self, call: ToolCall) -> JsonObject:
        item: JsonObject = {
            "type": "custom_tool_call" if call.freeform else "function_call",
            "call_id": tools.target_id(call.id, limit=_ID_LIMIT),
            "name": self._names[call.name],
        }
        if call.namespace:
            item["namespace"] = call.namespace
        if call.freeform:
            self._freeform.add(call.id)
            return {**item, "input": call.arguments}
        return {**item, "arguments": call.arguments or "{}"}

    def _result(self, result: ToolResult) -> JsonObject:
        freeform = result.call_id in self._freeform
        return {
            "type": "custom_tool_call_output" if freeform else "function_call_output",
            "call_id": tools.target_id(result.call_id, limit=_ID_LIMIT),
            "output": self._output(result),
        }

    def _output(self, result: ToolResult) -> Any:
        """Plain text where it can be: many servers take nothing else."""
        parts: Sequence[turns.Said] = [part for part in result.content if turns.is_said(part)]
        if result.is_error:
            parts = _marked_as_error(parts)
        if all(isinstance(part, Text) for part in parts) and len(parts) <= 1:
            return parts[0].text if parts and isinstance(parts[0], Text) else ""
        return [write_part(part, own=self._own) for part in parts]

    def _opaque(self, part: Opaque) -> None:
        if part.dialect == NAME:
            self.items.append(part.raw)
        else:
            self._dropped.append(extras.name_of(part))


def _marked_as_error(parts: Sequence[turns.Said]) -> Sequence[turns.Said]:
    first = parts[0] if parts else Text("")
    if not isinstance(first, Text):
        return [Text("Error:"), *parts]
    if first.text.startswith("Error"):
        return parts
    return [Text(f"Error: {first.text}"), *parts[1:]]


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def _tool_fields(request: Request, names: Mapping[str, str], dropped: list[str]) -> JsonObject:
    descriptions = request.extras.get(NAME, {}).get("namespaces", {})
    declared: list[JsonObject] = []
    namespaces: dict[str, JsonObject] = {}
    for tool in request.tools:
        encoded = _tool(tool, names)
        if encoded is None:
            dropped.append(tool.name)
        elif not tool.namespace:
            declared.append(encoded)
        else:
            if tool.namespace not in namespaces:
                namespaces[tool.namespace] = {
                    "type": "namespace",
                    "name": tool.namespace,
                    "description": descriptions.get(tool.namespace, ""),
                    "tools": [],
                }
                declared.append(namespaces[tool.namespace])
            namespaces[tool.namespace]["tools"].append(encoded)
    if not declared:
        return {}
    fields: JsonObject = {"tools": declared}
    choice = request.tool_choice
    if choice is not None and not set(choice.names) & set(dropped):
        fields["tool_choice"] = tool_choice(choice, request.tools, names)
    if request.parallel_tools is not None:
        fields["parallel_tool_calls"] = request.parallel_tools
    return fields


def _tool(tool: Tool, names: Mapping[str, str]) -> JsonObject | None:
    if tools.is_hosted(tool):
        return _native(tool)
    encoded: JsonObject = {"type": "custom" if tool.freeform else "function"}
    encoded["name"] = names.get(tool.name, tool.name)
    if tool.description:
        encoded["description"] = tool.description
    if tool.freeform:
        return encoded | ({"format": _format(tool.grammar)} if tool.grammar is not None else {})
    schema = tool.schema or {"type": "object", "properties": {}}
    # Without the word OpenAI tries to be strict by itself.
    strict = tool.strict is True and is_strict(schema)
    return {**encoded, "parameters": schema, "strict": strict}


def _native(tool: Tool) -> JsonObject | None:
    """A tool that the provider runs: our own as it was, another's web search as ours."""
    if tool.dialect == NAME:
        return dict(tool.native)
    return {"type": "web_search"} if tools.is_web_search(tool) else None


def _format(grammar: Any) -> Any:
    """The format of a custom tool, flat as this dialect has it."""
    if isinstance(grammar, Mapping) and isinstance(grammar.get("grammar"), Mapping):
        return {"type": "grammar", **grammar["grammar"]}
    if isinstance(grammar, Mapping) and "definition" in grammar:
        return {**grammar, "type": "grammar"}
    return grammar


def tool_choice(choice: ToolChoice, declared: Iterable[Tool], names: Mapping[str, str]) -> Any:
    if not choice.names or choice.mode == "none":
        return choice.mode
    known = {tool.name: tool for tool in declared}
    references = [_reference(name, known.get(name), names) for name in choice.names]
    if choice.mode == "required" and len(references) == 1:
        return references[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": references}


def _reference(name: str, tool: Tool | None, names: Mapping[str, str]) -> JsonObject:
    if tool is not None and tools.is_hosted(tool):
        return {"type": (_native(tool) or {}).get("type", name)}
    kind = "custom" if tool is not None and tool.freeform else "function"
    return {"type": kind, "name": names.get(name, name)}


# ── the rest ─────────────────────────────────────────────────────────────────────────────────


def _sampling(request: Request, dropped: list[str]) -> JsonObject:
    sampling = request.sampling
    own = request.dialect == NAME
    extras.refuse_several(request)
    dropped += [field for field in _UNKNOWN_SAMPLING if getattr(sampling, field) is not None]
    fields: JsonObject = {}
    # A client of another dialect cannot know what a model that reasons refuses.
    picky = not own and is_reasoning(request.model)
    for field in ("temperature", "top_p", "top_logprobs"):
        value = getattr(sampling, field)
        if value is None:
            continue
        # The log probabilities would come back in words that no other dialect reads.
        if picky or (field == "top_logprobs" and not own):
            dropped.append(field)
        else:
            fields[field] = value
    return fields


def _text(output: Output) -> JsonObject:
    text: JsonObject = {}
    if output.kind != "text":
        text["format"] = text_format(output)
    if output.verbosity:
        text["verbosity"] = output.verbosity
    return {"text": text} if text else {}


def text_format(output: Output) -> JsonObject:
    if output.kind != "json_schema":
        return {"type": output.kind}
    form: JsonObject = {"type": "json_schema", "name": output.name or "response"}
    if output.description:
        form["description"] = output.description
    form["schema"] = output.schema or {}
    form["strict"] = output.strict is True and is_strict(output.schema)
    return form


_KNOWN_TIERS = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")


def _identity(request: Request, dropped: list[str]) -> JsonObject:
    fields: JsonObject = {}
    if request.end_user:
        fields["safety_identifier"] = end_user(request.end_user)
    if request.cache_key:
        fields["prompt_cache_key"] = request.cache_key
    if request.metadata and is_dialect(request.dialect):
        fields["metadata"] = request.metadata
    elif request.metadata:
        dropped.append("metadata")
    tier = service_tier(request.service_tier)
    if tier in _KNOWN_TIERS:
        fields["service_tier"] = tier
    elif tier:
        dropped.append("service_tier")
    return fields


def _extras(request: Request, dropped: list[str]) -> JsonObject:
    """What only this dialect has: the client's own words, and what keeps reasoning alive."""
    extras.refuse_state(request, NAME)
    dropped += extras.visible(request, NAME)
    ours = request.extras.get(NAME, {})
    own = {
        field: value for field, value in ours.items() if field not in ("namespaces", "reasoning")
    }
    include = own.get("include") or []
    reasoning = _reasoning(request, ours.get("reasoning") or {})
    wanted = [] if _ENCRYPTED in include else [_ENCRYPTED]
    if request.dialect != NAME and is_openai(request.model) and not is_reasoning(request.model):
        # Those of OpenAI's models that do not reason refuse to be asked about it.
        dropped += ["reasoning"] if "effort" in reasoning.get("reasoning", {}) else []
        reasoning, wanted = {}, []
    return {**reasoning, "store": False, **own, "include": [*include, *wanted]}


def _reasoning(request: Request, own: Mapping[str, Any]) -> JsonObject:
    word = effort.effort_of(request.reasoning)
    reasoning: JsonObject = {"effort": word} if word else {}
    if request.reasoning.show in ("summary", "full") and word != "none":
        reasoning["summary"] = "auto"
    reasoning |= own
    return {"reasoning": reasoning} if reasoning else {}


def reasoning_words(request: Request) -> JsonObject:
    """What an answer says about how it was reasoned."""
    asked = _reasoning(request, request.extras.get(NAME, {}).get("reasoning") or {})
    return {"effort": None, "summary": None, **asked.get("reasoning", {})}
