"""Responses requests into the hub."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from proxypal_core.dialects import effort, schemas
from proxypal_core.dialects.openai_responses.content_decode import (
    call_part,
    content,
    reasoning_part,
)
from proxypal_core.dialects.openai_responses.words import NAME
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Opaque,
    Output,
    Part,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    Turn,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, boolean, integer, number, obj, opt, string

_FIELDS = frozenset(
    {
        "model",
        "stream",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "text",
        "reasoning",
        "safety_identifier",
        "user",
        "metadata",
        "service_tier",
        "prompt_cache_key",
    }
)


def decode_request(doc: JsonObject, /, *, model: str, stream: bool) -> Request:
    conversation = _Conversation()
    instructions = opt(doc, "instructions", string)
    if instructions:
        conversation.system.append(Text(instructions))
    conversation.declare(opt(doc, "tools", arr) or (), "tools")
    conversation.read(doc.get("input"))
    opt(doc, "include", arr)
    extras = {field: doc[field] for field in doc if field not in _FIELDS}
    if conversation.namespaces:
        extras["namespaces"] = conversation.namespaces
    choice = _tool_choice(doc, extras)
    end_user = opt(doc, "safety_identifier", string) or opt(doc, "user", string)
    return Request(
        dialect=NAME,
        model=model,
        stream=stream,
        system=tuple(conversation.system),
        turns=tuple(conversation.turns),
        tools=tuple(conversation.tools.values()),
        tool_choice=choice,
        parallel_tools=opt(doc, "parallel_tool_calls", boolean),
        max_output_tokens=opt(doc, "max_output_tokens", integer),
        sampling=Sampling(
            temperature=opt(doc, "temperature", number),
            top_p=opt(doc, "top_p", number),
            top_logprobs=opt(doc, "top_logprobs", integer),
        ),
        output=_output(opt(doc, "text", obj) or {}),
        reasoning=_reasoning(opt(doc, "reasoning", obj) or {}, extras),
        end_user=end_user or "",
        metadata=opt(doc, "metadata", obj) or {},
        service_tier=opt(doc, "service_tier", string) or "",
        cache_key=opt(doc, "prompt_cache_key", string) or "",
        extras={NAME: extras} if extras else {},
    )


def _tool_choice(doc: JsonObject, extras: dict[str, Any]) -> ToolChoice | None:
    """The choice among the tools; one that names a hosted tool goes to *extras*."""
    choice = doc.get("tool_choice")
    mode: Literal["auto", "none", "required"]
    match choice:
        case None:
            return None
        case "auto" | "none" | "required" as mode:
            return ToolChoice(mode)
        case {"type": "function" | "custom", "name": str(name)}:
            return ToolChoice("required", (name,))
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("required", (name,))
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(tools)}:
            allowed = [tool.get("name") for tool in tools if isinstance(tool, dict)]
            return ToolChoice(mode, tuple(name for name in allowed if isinstance(name, str)))
        case {"type": str()}:
            extras["tool_choice"] = choice
            return None
        case _:
            raise jsonio.Malformed("tool_choice", "must be auto, none, required or an object")


def _output(text: JsonObject) -> Output:
    verbosity = opt(text, "verbosity", string, "text") or ""
    form = opt(text, "format", obj, "text") or {}
    match form.get("type", "text"):
        case "text":
            return Output(verbosity=verbosity)
        case "json_object":
            return Output("json_object", verbosity=verbosity)
        case "json_schema":
            return Output(
                "json_schema",
                name=opt(form, "name", string, "text.format") or "",
                description=opt(form, "description", string, "text.format") or "",
                schema=opt(form, "schema", schemas.read, "text.format"),
                strict=opt(form, "strict", boolean, "text.format"),
                verbosity=verbosity,
            )
        case other:
            raise invalid(
                f"text.format: must be text, json_object or json_schema, not {other!r}",
                param="text.format",
            )


def _reasoning(reasoning: JsonObject, extras: dict[str, Any]) -> Reasoning:
    """What is asked of the reasoning; words that only this dialect has stay in *extras*."""
    wanted = effort.from_effort(opt(reasoning, "effort", string, "reasoning"))
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    rest = {
        key: value
        for key, value in reasoning.items()
        if key != "effort" and (key, value) != ("summary", "auto") and value is not None
    }
    if rest:
        extras["reasoning"] = rest
    return msgspec.structs.replace(wanted, show="summary" if summary else "unset")


# ── the input items ──────────────────────────────────────────────────────────────────────────


class _Conversation:
    """The items read so far: neighbours that belong to one turn are put together."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.tools: dict[tuple[str, str], Tool] = {}
        self.namespaces: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def read(self, items: Any) -> None:
        if items is None:
            return
        if isinstance(items, str):
            self.turns.append(Turn("user", (Text(items),)))
            return
        for at, item in enumerate(arr(items, "input")):
            self._item(obj(item, f"input[{at}]"), f"input[{at}]")

    def declare(self, tools: Iterable[Any], path: str) -> None:
        """Add *tools*; of two with one name the first holds."""
        for at, raw in enumerate(tools):
            where = f"{path}[{at}]"
            declared = obj(raw, where)
            if declared.get("type") == "namespace":
                self._namespace(declared, where)
            else:
                self._declare(_tool(declared, where))

    def _namespace(self, declared: JsonObject, path: str) -> None:
        name = jsonio.need(declared, "name", string, path)
        description = opt(declared, "description", string, path)
        if description:
            self.namespaces.setdefault(name, description)
        for at, raw in enumerate(opt(declared, "tools", arr, path) or ()):
            where = f"{path}.tools[{at}]"
            tool = _tool(obj(raw, where), where)
            self._declare(msgspec.structs.replace(tool, namespace=name))

    def _declare(self, tool: Tool) -> None:
        self.tools.setdefault((tool.namespace, tool.name), tool)

    def _item(self, item: JsonObject, path: str) -> None:
        kind = opt(item, "type", string, path) or ("message" if "role" in item else "")
        read = self._ITEMS.get(kind)
        if read is not None:
            read(self, item, path)
        elif kind:
            self._opaque(kind, item)
        else:
            raise invalid(f"{path}.type: is required", param=path)

    def _message(self, item: JsonObject, path: str) -> None:
        parts = content(item.get("content"), f"{path}.content")
        match item.get("role"):
            case "user":
                self._turn("user", parts)
            case "assistant":
                self._join("assistant", parts)
            case "system" | "developer":
                texts = tuple(part for part in parts if isinstance(part, Text))
                if not self.turns and len(texts) == len(parts):
                    self.system += texts
                else:
                    self._turn("system", parts)
            case role:
                raise invalid(
                    f"{path}.role: must be user, assistant, system or developer, not {role!r}",
                    param=f"{path}.role",
                )

    def _thought(self, item: JsonObject, path: str) -> None:
        thinking = reasoning_part(item, path)
        if thinking is not None:
            self._join("assistant", (thinking,))

    def _call(self, item: JsonObject, path: str) -> None:
        call = call_part(item, path)
        self._names[call.id] = call.name
        self._join("assistant", (call,))

    def _result(self, item: JsonObject, path: str) -> None:
        call_id = jsonio.need(item, "call_id", string, path)
        output = item.get("output")
        if isinstance(output, dict):
            output = jsonio.dumps_text(output)
        result = ToolResult(
            call_id,
            content(output, f"{path}.output"),
            name=self._names.get(call_id) or opt(item, "name", string, path) or "",
        )
        last = self.turns[-1].parts[-1:] if self.turns else ()
        if last and isinstance(last[0], ToolResult):
            self._join("user", (result,))
        else:
            self._turn("user", (result,))

    def _additional_tools(self, item: JsonObject, path: str) -> None:
        self.declare(opt(item, "tools", arr, path) or (), f"{path}.tools")

    def _opaque(self, kind: str, item: JsonObject) -> None:
        part = Opaque(NAME, item)
        if kind.endswith(("_output", "_response")) or kind in _CLIENT_ITEMS:
            self._turn("user", (part,))
        else:
            self._join("assistant", (part,))

    def _turn(self, role: Role, parts: tuple[Part, ...]) -> None:
        if parts:
            self.turns.append(Turn(role, parts))

    def _join(self, role: Role, parts: tuple[Part, ...]) -> None:
        """Add *parts* to the last turn if it is of *role*."""
        if self.turns and self.turns[-1].role == role:
            last = self.turns[-1]
            self.turns[-1] = msgspec.structs.replace(last, parts=last.parts + parts)
        else:
            self._turn(role, parts)

    _ITEMS: ClassVar[Mapping[str, Callable[["_Conversation", JsonObject, str], None]]] = {
        "message": _message,
        "reasoning": _thought,
        "function_call": _call,
        "custom_tool_call": _call,
        "function_call_output": _result,
        "custom_tool_call_output": _result,
        "additional_tools": _additional_tools,
    }


_CLIENT_ITEMS = frozenset({"compaction_trigger", "configuration_update", "item_reference"})


def _tool(raw: JsonObject, path: str) -> Tool:
    match raw.get("type"):
        case "function":
            # Some clients nest the declaration as Chat Completions does.
            declared = raw["function"] if isinstance(raw.get("function"), dict) else raw
            return Tool(
                jsonio.need(declared, "name", string, path),
                opt(declared, "description", string, path) or "",
                schema=opt(declared, "parameters", schemas.read, path),
                strict=opt(declared, "strict", boolean, path),
            )
        case "custom":
            form = opt(raw, "format", obj, path)
            return Tool(
                jsonio.need(raw, "name", string, path),
                opt(raw, "description", string, path) or "",
                freeform=True,
                grammar=None if form == {"type": "text"} else form,
            )
        case str(kind):
            return Tool(opt(raw, "name", string, path) or kind, native=raw, dialect=NAME)
        case _:
            raise invalid(f"{path}.type: is required", param=path)
