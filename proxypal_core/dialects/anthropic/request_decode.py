"""A Messages request, read."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, cast

from proxypal_core.dialects import effort, schemas, turns
from proxypal_core.dialects.anthropic.content_decode import (
    cache_mark,
    read_content,
    read_text,
)
from proxypal_core.dialects.anthropic.words import NAME
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Output,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    Turn,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import (
    JsonObject,
    Malformed,
    arr,
    boolean,
    integer,
    join,
    need,
    number,
    obj,
    opt,
    string,
)

_READ = frozenset(
    {
        "model",
        "stream",
        "system",
        "messages",
        "tools",
        "tool_choice",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "service_tier",
    }
)


def peek(doc: JsonObject, /) -> tuple[str, bool]:
    return opt(doc, "model", string) or "", opt(doc, "stream", boolean) or False


def decode_request(doc: JsonObject, /, *, model: str, stream: bool) -> Request:
    system, billing = _system(doc.get("system"))
    conversation = _turns(need(doc, "messages", arr))
    leading = list(takewhile(lambda turn: turn.role == "system", conversation))
    system += [part for turn in leading for part in turn.parts if isinstance(part, Text)]
    tools, declared = _tools(opt(doc, "tools", arr) or [])
    choice, parallel = _tool_choice(opt(doc, "tool_choice", obj))
    config = opt(doc, "output_config", obj) or {}
    reasoning = _reasoning(opt(doc, "thinking", obj), opt(config, "effort", string) or "")
    metadata = opt(doc, "metadata", obj) or {}
    end_user = opt(metadata, "user_id", string, "metadata") or ""
    partly = {
        "system": billing,
        "tools": declared,
        "thinking": _own_thinking(doc),
        "output_config": _own_config(config, reasoning),
    }
    own = {field: value for field, value in doc.items() if field not in _READ}
    own |= {field: value for field, value in partly.items() if value}
    return Request(
        dialect=NAME,
        model=model,
        stream=stream,
        system=tuple(system),
        turns=tuple(conversation[len(leading) :]),
        tools=tools,
        tool_choice=choice,
        parallel_tools=parallel,
        max_output_tokens=opt(doc, "max_tokens", integer),
        stop=_stop(opt(doc, "stop_sequences", arr) or []),
        sampling=Sampling(
            temperature=opt(doc, "temperature", number),
            top_p=opt(doc, "top_p", number),
            top_k=opt(doc, "top_k", integer),
        ),
        output=_output(config, doc),
        reasoning=reasoning,
        end_user=end_user,
        metadata={key: value for key, value in metadata.items() if key != "user_id"},
        service_tier=opt(doc, "service_tier", string) or "",
        cache_key=_session(end_user),
        include_usage=True,
        extras={NAME: own} if own else {},
    )


def _system(value: Any) -> tuple[list[Text], list[JsonObject]]:
    """The instructions, and the blocks that are not meant for the model: these travel where only
    this dialect looks.
    """
    if value is None or value == "":
        return [], []
    if isinstance(value, str):
        return [Text(value)], []
    texts: list[Text] = []
    billing: list[JsonObject] = []
    for at, item in enumerate(arr(value, "system")):
        path = f"system[{at}]"
        block = obj(item, path)
        kind = block.get("type")
        if kind != "text":
            raise invalid(
                f"{path}: system blocks of type {kind!r} are not known here; send text", param=path
            )
        text = read_text(block, path)
        if turns.is_billing(text.text):
            billing.append(block)
        else:
            texts.append(text)
    return texts, billing


def _turns(messages: list[Any]) -> list[Turn]:
    read: list[Turn] = []
    for at, item in enumerate(messages):
        path = f"messages[{at}]"
        message = obj(item, path)
        role = need(message, "role", string, path)
        if role not in ("user", "assistant", "system"):
            raise invalid(
                f"{path}.role: must be user, assistant or system, not {role!r}",
                param=f"{path}.role",
            )
        known = cast("Role", role)
        content = read_content(message.get("content"), join(path, "content"), known)
        read.append(Turn(known, content))
    return read


# ── tools ────────────────────────────────────────────────────────────────────────────────────

_DECLARED = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})

_PATH = {"type": "string", "description": "An absolute path."}
_LINES = {"type": "array", "items": {"type": "integer"}, "description": "First and last line."}
_EDITS: Mapping[str, Any] = {
    "path": _PATH,
    "file_text": {"type": "string", "description": "For create: the whole text."},
    "old_str": {"type": "string", "description": "For str_replace: the text to replace."},
    "new_str": {"type": "string", "description": "For str_replace: what replaces it."},
    "insert_line": {"type": "integer", "description": "For insert: the line to insert after."},
    "insert_text": {"type": "string", "description": "For insert: the text to insert."},
    "view_range": _LINES,
}


_POINT = {"type": "array", "items": {"type": "integer"}}
_ACTIONS = (
    "key",
    "type",
    "mouse_move",
    "left_click",
    "left_click_drag",
    "right_click",
    "middle_click",
    "double_click",
    "triple_click",
    "left_mouse_down",
    "left_mouse_up",
    "scroll",
    "hold_key",
    "screenshot",
    "cursor_position",
    "wait",
    "zoom",
)


def _commands(*words: str, **more: Any) -> Mapping[str, Any]:
    properties = {"command": {"type": "string", "enum": list(words)}, **_EDITS, **more}
    return {"type": "object", "properties": properties, "required": ["command"]}


# Tools whose meaning Claude was taught but which the client runs: for others they are functions
# like any other, once their form is told.
_CLIENT_TOOLS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    (
        "bash_",
        "Runs a command in a shell that lives as long as the conversation.",
        {
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command to run."},
                "restart": {"type": "boolean", "description": "Starts the shell afresh."},
            },
        },
    ),
    (
        "text_editor_",
        "Views, creates and edits text files.",
        _commands("view", "create", "str_replace", "insert"),
    ),
    (
        "memory_",
        "Keeps notes in files under /memories, which last beyond this conversation.",
        _commands(
            "view",
            "create",
            "str_replace",
            "insert",
            "delete",
            "rename",
            old_path={"type": "string", "description": "For rename."},
            new_path={"type": "string", "description": "For rename."},
        ),
    ),
    (
        "computer_20",
        "Operates a computer by its screen, mouse and keyboard.",
        {
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": list(_ACTIONS)},
                "coordinate": {**_POINT, "description": "x and y, for actions of the mouse."},
                "start_coordinate": {**_POINT, "description": "For left_click_drag."},
                "text": {
                    "type": "string",
                    "description": "What to type, or for key and hold_key the keys, as in ctrl+s;"
                    " for clicks and scroll the keys held meanwhile.",
                },
                "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                "scroll_amount": {"type": "integer", "description": "For scroll: how many steps."},
                "duration": {"type": "number", "description": "Seconds, for hold_key and wait."},
                "region": {**_POINT, "description": "For zoom: x and y of two corners."},
            },
            "required": ["action"],
        },
    ),
)


def _tools(items: list[Any]) -> tuple[tuple[Tool, ...], dict[str, JsonObject]]:
    """The tools, and by name what this dialect alone says of them."""
    tools: list[Tool] = []
    declared: dict[str, JsonObject] = {}
    for at, item in enumerate(items):
        path = f"tools[{at}]"
        raw = obj(item, path)
        kind = opt(raw, "type", string, path) or "custom"
        tool = _function(raw, path) if kind == "custom" else _typed(raw, kind, path)
        tools.append(tool)
        if tool.native is None:
            own = _own_words(raw, kind)
            if own:
                declared[tool.name] = own
    return tuple(tools), declared


def _function(raw: JsonObject, path: str) -> Tool:
    return Tool(
        need(raw, "name", string, path),
        opt(raw, "description", string, path) or "",
        opt(raw, "input_schema", schemas.read, path),
        strict=opt(raw, "strict", boolean, path) or None,
        cache=cache_mark(raw, path),
    )


def _typed(raw: JsonObject, kind: str, path: str) -> Tool:
    name = opt(raw, "name", string, path) or kind
    cache = cache_mark(raw, path)
    for prefix, description, schema in _CLIENT_TOOLS:
        if kind.startswith(prefix):
            return Tool(name, description + _screen(raw, path), schema, cache=cache)
    return Tool(name, cache=cache, native=raw, dialect=NAME)


def _screen(raw: JsonObject, path: str) -> str:
    """The size of the screen, where *raw* declares a tool that has one."""
    width = opt(raw, "display_width_px", integer, path)
    height = opt(raw, "display_height_px", integer, path)
    return f" The screen has {width} by {height} pixels." if width and height else ""


def _own_words(raw: JsonObject, kind: str) -> JsonObject:
    if kind == "custom":
        return {field: value for field, value in raw.items() if field not in _DECLARED}
    return {field: value for field, value in raw.items() if field != "cache_control"}


def _tool_choice(choice: JsonObject | None) -> tuple[ToolChoice | None, bool | None]:
    if choice is None:
        return None, None
    serial = opt(choice, "disable_parallel_tool_use", boolean, "tool_choice")
    parallel = None if serial is None else not serial
    kind = need(choice, "type", string, "tool_choice")
    match kind:
        case "auto":
            return ToolChoice("auto"), parallel
        case "any":
            return ToolChoice("required"), parallel
        case "tool":
            name = need(choice, "name", string, "tool_choice")
            return ToolChoice("required", (name,)), parallel
        case "none":
            return ToolChoice("none"), parallel
        case _:
            raise invalid(
                f"tool_choice.type: must be auto, any, tool or none, not {kind!r}",
                param="tool_choice.type",
            )


# ── the rest ─────────────────────────────────────────────────────────────────────────────────


def _stop(items: list[Any]) -> tuple[str, ...]:
    return tuple(string(item, f"stop_sequences[{at}]") for at, item in enumerate(items))


def _output(config: JsonObject, doc: JsonObject) -> Output:
    """``output_format`` is the field's older place."""
    wanted = opt(config, "format", obj, "output_config") or opt(doc, "output_format", obj)
    if wanted is None or wanted.get("type") != "json_schema":
        return Output()
    return Output(
        "json_schema", schema=need(wanted, "schema", schemas.read, "output_config.format")
    )


def _reasoning(thinking: JsonObject | None, word: str) -> Reasoning:
    by_effort = effort.from_effort(word)
    if thinking is None:
        return by_effort
    show = _SHOWN.get(str(thinking.get("display")), "unset")
    match thinking.get("type"):
        case "disabled":
            return Reasoning(mode="off")
        case "enabled":
            budget = need(thinking, "budget_tokens", integer, "thinking")
            return Reasoning(mode="budget", budget=budget, show=show)
        case _ if by_effort.mode == "effort":
            return Reasoning(mode="effort", effort=word, show=show)
        case _:
            return Reasoning(mode="auto", show=show)


_SHOWN: Mapping[str, Any] = {"summarized": "summary", "omitted": "none"}


def _own_thinking(doc: JsonObject) -> Any:
    """A way of thinking that the hub has no word for."""
    thinking = doc.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") in (
        "adaptive",
        "enabled",
        "disabled",
    ):
        return None
    return thinking


def _own_config(config: JsonObject, reasoning: Reasoning) -> JsonObject:
    """What ``output_config`` says beyond the format and an effort that the reasoning carries."""
    told = {"format"} | ({"effort"} if reasoning.mode == "effort" else set())
    return {field: value for field, value in config.items() if field not in told}


def _session(end_user: str) -> str:
    """The session in Claude Code's ``user_id``, which is JSON text."""
    if not end_user.startswith("{"):
        return ""
    try:
        session = jsonio.load_object(end_user).get("session_id")
    except Malformed:
        return ""
    return session if isinstance(session, str) else ""
