"""A request in this dialect's words, for OpenAI and for everything that calls itself compatible.

Compatible servers know the dialect as of some year. So the oldest word that means the same is
used, except towards OpenAI's own models, which refuse some of the old ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from proxypal_core.dialects import effort, extras, structured, tools, turns
from proxypal_core.dialects.base import Encoded
from proxypal_core.dialects.openai_chat.content_encode import (
    encode_content,
    encode_mark,
    encode_part,
)
from proxypal_core.dialects.openai_chat.words import NAME, joined, write_signature
from proxypal_core.dialects.openai_words import (
    end_user,
    is_openai,
    is_reasoning,
    is_strict,
    least_effort,
    service_tier,
)
from proxypal_core.hub.messages import (
    Audio,
    File,
    Image,
    Opaque,
    Output,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_ID_LIMIT = 40
_STOP_LIMIT = 4
_IMAGE_BELOW = "[image below]"


class _Target(NamedTuple):
    """What decides the words: whose model it is, and who asked."""

    openai: bool
    reasoning: bool
    signed: bool  # Google's own Chat endpoint, whose models want their signatures back
    own: bool  # the client speaks this dialect itself
    names: Mapping[str, str]
    freeform: bool  # has custom tools


def encode_request(request: Request, /) -> Encoded:
    names = tools.target_names(tools.flat_names(request))
    reasoning = is_reasoning(request.model)
    to = _Target(
        openai=is_openai(request.model),
        reasoning=reasoning,
        signed="gemini" in request.model,
        own=request.dialect == NAME,
        names=names,
        freeform=reasoning,
    )
    dropped: list[str] = []
    body: JsonObject = {"model": request.model, "messages": _messages(request, to, dropped)}
    body |= _tool_fields(request, to, dropped)
    body |= _limits(request, to)
    body |= _sampling(request, to, dropped)
    output, wrapped = structured.rooted(request, NAME)
    body |= _output(output, to, dropped)
    body |= _effort(request, to, dropped)
    body |= _identity(request, to, dropped)
    body |= _extras(request, dropped)
    if request.stream:
        options = body.get("stream_options", {})
        body |= {"stream": True, "stream_options": {**options, "include_usage": True}}
    else:
        body.pop("stream_options", None)
    return Encoded(
        jsonio.dumps(body),
        tuple(dict.fromkeys(dropped)),
        names=tools.renamed(to.names),
        stops=request.stop[len(body.get("stop", ())) :],
        wrapped=wrapped,
    )


def _extras(request: Request, dropped: list[str]) -> JsonObject:
    extras.refuse_state(request, NAME)
    dropped += extras.visible(request, NAME)
    own = request.extras.get(NAME, {})
    # "functions" is only remembered for the answer's form: the tools are in the hub's words.
    return {field: value for field, value in own.items() if field != "functions"}


# ── messages ─────────────────────────────────────────────────────────────────────────────────


def _messages(request: Request, to: _Target, dropped: list[str]) -> list[JsonObject]:
    role = "developer" if to.reasoning else "system"
    messages: list[JsonObject] = []
    system = turns.instructions(request)
    if system:
        messages.append({"role": role, "content": _instructions(system, to)})
    for turn in turns.paired(request.turns):
        match turn.role:
            case "system":
                texts = [part for part in turn.parts if isinstance(part, Text)]
                if texts:
                    messages.append({"role": role, "content": _instructions(texts, to)})
            case "assistant":
                messages += _assistant(turn, to, dropped)
            case "user":
                messages += _user(turn, to, dropped)
    return messages or [{"role": "user", "content": "."}]


def _instructions(blocks: Sequence[Text], to: _Target) -> Any:
    if any(encode_mark(block.cache, own=to.own) for block in blocks):
        return [encode_part(block, own=to.own) for block in blocks]
    return "\n\n".join(block.text for block in blocks)


def _user(turn: Turn, to: _Target, dropped: list[str]) -> list[JsonObject]:
    """The results, then what else the turn says: nothing may come between results."""
    messages: list[JsonObject] = []
    rest: list[turns.Said] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            message, media_parts = _result(part)
            messages.append(message)
            rest += media_parts
    rest += [part for part in turn.parts if turns.is_said(part)]
    dropped += [extras.name_of(part) for part in turn.parts if isinstance(part, Opaque)]
    if rest:
        message = {"role": "user", "content": encode_content(rest, own=to.own)}
        messages.append({**message, "name": turn.name} if turn.name else message)
    return messages


def _result(result: ToolResult) -> tuple[JsonObject, Sequence[turns.Said]]:
    """The tool message, which holds only text, and what must follow in a user message."""
    others = [part for part in result.content if isinstance(part, (Image, Audio, File))]
    lines = [part.text for part in result.content if isinstance(part, Text)]
    lines += [_IMAGE_BELOW if isinstance(part, Image) else "[file below]" for part in others]
    text = "\n".join(lines)
    if result.is_error and not text.startswith("Error"):
        text = f"Error: {text}"
    message = {"role": "tool", "tool_call_id": _id(result.call_id), "content": text}
    return message, others


def _id(call_id: str) -> str:
    # Any character is fine here, and Kimi's models want theirs back as they were.
    return call_id if len(call_id) <= _ID_LIMIT else tools.target_id(call_id, limit=_ID_LIMIT)


def _assistant(turn: Turn, to: _Target, dropped: list[str]) -> list[JsonObject]:
    text = joined(turn.parts, Text)
    refusal = "".join(part.text for part in turn.parts if isinstance(part, Refusal))
    reasoning = joined(turn.parts, Thinking)
    calls = [_call(part, to) for part in turn.parts if isinstance(part, ToolCall)]
    message: JsonObject = {"role": "assistant"}
    if refusal and not to.openai:
        text, refusal = text or refusal, ""
    message["content"] = text or None
    if refusal:
        message["refusal"] = refusal
    for part in turn.parts:
        if isinstance(part, Opaque) and part.dialect == NAME and isinstance(part.raw, Mapping):
            message |= part.raw
        elif isinstance(part, Opaque):
            dropped.append(extras.name_of(part))
        elif isinstance(part, (Image, Audio, File)):
            dropped.append(type(part).__name__.lower())
    if calls:
        message["tool_calls"] = calls
    if len(message) == 2 and not text:
        return []  # a turn that was aborted before it said anything
    if reasoning and not to.openai:
        message["reasoning_content"] = reasoning
    return [{**message, "name": turn.name} if turn.name else message]


def _call(call: ToolCall, to: _Target) -> JsonObject:
    name = to.names[tools.flat_name(call)]
    if call.freeform and to.freeform:
        custom = {"name": name, "input": call.arguments}
        return {"id": _id(call.id), "type": "custom", "custom": custom}
    arguments = call.arguments or "{}"
    if call.freeform:
        arguments = tools.freeform_arguments(call.arguments)
    return {
        "id": _id(call.id),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **(write_signature(call.blobs) if to.signed else {}),
    }


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def _tool_fields(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    choice = request.tool_choice
    wanted = set(tools.chosen_names(request))
    # One name can be forced by naming it. OpenAI's own models can be told of several; for others
    # the tools that may not be called are left out.
    narrowed = len(wanted) > (1 if choice and choice.mode == "required" else 0)
    declared: dict[str, tuple[Tool, JsonObject]] = {}
    fields: JsonObject = {}
    for tool in request.tools:
        name = tools.flat_name(tool)
        if tools.is_hosted(tool) and tool.dialect != NAME:
            if "search" in request.model and tools.is_web_search(tool):
                # Here it is no tool, and only models made for it have it.
                fields["web_search_options"] = {}
            else:
                dropped.append(name)
        elif narrowed and not to.openai and name not in wanted:
            continue
        elif name not in declared:
            declared[name] = (tool, _tool(tool, to))
    if not declared:
        return fields
    fields["tools"] = [encoded for _, encoded in declared.values()]
    if choice is not None:
        named = [_reference(declared[name][1]) for name in declared if name in wanted]
        if named and narrowed and to.openai:
            allowed = {"mode": choice.mode, "tools": named}
            fields["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
        elif named and not narrowed:
            fields["tool_choice"] = named[0]
        else:
            fields["tool_choice"] = choice.mode
    if request.parallel_tools is not None:
        fields["parallel_tool_calls"] = request.parallel_tools
    return fields


def _reference(declaration: JsonObject) -> JsonObject:
    kind = declaration["type"]
    body = declaration.get(kind)
    name = body.get("name") if isinstance(body, dict) else None
    return {"type": kind, kind: {"name": name}} if name else {"type": kind}


def _tool(tool: Tool, to: _Target) -> JsonObject:
    if tool.native is not None and tool.dialect == NAME:
        return dict(tool.native)
    name = to.names[tools.flat_name(tool)]
    if tool.freeform and to.freeform:
        custom: JsonObject = {"name": name}
        if tool.description:
            custom["description"] = tool.description
        if tool.grammar is not None:
            custom["format"] = _format(tool.grammar)
        return {"type": "custom", "custom": custom}
    if tool.freeform:
        tool = tools.as_function(tool)
    function: JsonObject = {"name": name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict and (to.own or is_strict(tool.schema))
    return {"type": "function", "function": function}


def _format(grammar: Any) -> Any:
    """The format of a custom tool, nested as this dialect has it."""
    if isinstance(grammar, Mapping) and "definition" in grammar:
        rules = {key: value for key, value in grammar.items() if key != "type"}
        return {"type": "grammar", "grammar": rules}
    return grammar


# ── the rest ─────────────────────────────────────────────────────────────────────────────────


def _limits(request: Request, to: _Target) -> JsonObject:
    fields: JsonObject = {}
    if request.max_output_tokens is not None:
        word = "max_completion_tokens" if to.reasoning else "max_tokens"
        fields[word] = request.max_output_tokens
    stop = request.stop if to.own else request.stop[: 0 if to.reasoning else _STOP_LIMIT]
    return {**fields, "stop": list(stop)} if stop else fields


_REFUSED_BY_REASONING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
# No other dialect could tell what these bring, or means the same by them.
_OWN_ONLY = ("top_k", "logit_bias", "logprobs", "top_logprobs")


def _sampling(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    """A client of another dialect does not know what the model refuses; one of this does."""
    if not to.own:
        extras.refuse_several(request)
    fields: JsonObject = {}
    unfit = () if to.own else _OWN_ONLY + (_REFUSED_BY_REASONING if to.reasoning else ())
    for field, value in msgspec.structs.asdict(request.sampling).items():
        if value is None or (field == "n" and value == 1 and not to.own):
            continue
        if field in unfit:
            dropped.append(field)
        else:
            fields[field] = value
    return fields


def _output(output: Output, to: _Target, dropped: list[str]) -> JsonObject:
    fields: JsonObject = {}
    match output.kind:
        case "json_object":
            fields["response_format"] = {"type": "json_object"}
        case "json_schema":
            form: JsonObject = {"name": output.name or "response"}
            if output.description:
                form["description"] = output.description
            if output.schema is not None:
                form["schema"] = output.schema
            if not to.own:
                form["strict"] = output.strict is not False and is_strict(output.schema)
            elif output.strict is not None:
                form["strict"] = output.strict
            fields["response_format"] = {"type": "json_schema", "json_schema": form}
        case "text":
            pass
    if output.verbosity and (to.own or to.reasoning):
        fields["verbosity"] = output.verbosity
    elif output.verbosity:
        dropped.append("verbosity")
    return fields


def _effort(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    word = effort.effort_of(request.reasoning)
    if not word:
        return {}
    if to.own:
        return {"reasoning_effort": word}
    if word == "none":
        # Others do not think unless told to, or know no such word.
        return {"reasoning_effort": least_effort(request.model)} if to.reasoning else {}
    if to.openai and not to.reasoning:
        dropped.append("reasoning_effort")
        return {}
    return {"reasoning_effort": word}


def _identity(request: Request, to: _Target, dropped: list[str]) -> JsonObject:
    fields: JsonObject = {}
    if request.end_user:
        fields["safety_identifier" if to.reasoning else "user"] = end_user(request.end_user)
    if request.cache_key and (to.own or to.openai):
        fields["prompt_cache_key"] = request.cache_key
    if request.metadata and to.own:
        fields["metadata"] = request.metadata
    elif request.metadata:
        dropped.append("metadata")
    if request.service_tier and (to.own or to.openai):
        fields["service_tier"] = service_tier(request.service_tier)
    elif request.service_tier:
        dropped.append("service_tier")
    return fields
