"""A request, written for an upstream that speaks Messages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from proxypal_core.dialects import effort, extras, structured, tools
from proxypal_core.dialects.anthropic.content_encode import block, cache_control
from proxypal_core.dialects.anthropic.history import history, thought_is_missing
from proxypal_core.dialects.anthropic.schema import closed, input_schema
from proxypal_core.dialects.anthropic.traits import DEFAULT_LIMIT, Traits, traits
from proxypal_core.dialects.anthropic.words import NAME
from proxypal_core.dialects.base import Encoded
from proxypal_core.hub.messages import CacheMark, Request, Text, Tool, Turn
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# With the older version sampling parameters are still taken, by the models that take them.
_VERSION = "2026-10-21"
_VERSION_WITH_SAMPLING = "2023-06-01"

_NAME_LIMIT = 128
_MARK_LIMIT = 4
_BUDGET_MIN = 1024

_PARTLY_OURS = frozenset({"system", "tools", "thinking", "output_config"})


def encode_request(request: Request, /) -> Encoded:
    return _Encoding(request).encode()


class _Thought(NamedTuple):
    """How much to think, and the room the whole answer has."""

    config: JsonObject | None
    effort: str
    max_tokens: int

    @property
    def on(self) -> bool:
        return self.config is not None and self.config["type"] != "disabled"


class _Form(NamedTuple):
    """How the model is held to a form: in words, by a format, or by a tool that it has to call."""

    told: str = ""
    format: JsonObject | None = None
    tool: Sequence[JsonObject] = ()
    wrapped: bool = False


class _Encoding:
    """One request on its way out, and what had to be dropped on the way."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.own: Mapping[str, Any] = request.extras.get(NAME) or {}
        self.takes: Traits = traits(request.model)
        self.dropped: dict[str, None] = {}
        self.turns = history(
            request.turns,
            prefill=self.takes.prefill,
            system=self.takes.system_turns,
            drop=self._drop,
        )
        self.tools = self._offered()
        self.names = self._names()

    def encode(self) -> Encoded:
        request = self.request
        thought = self._thought()
        body: JsonObject = {"model": request.model, "max_tokens": thought.max_tokens}
        if request.stream:
            body["stream"] = True
        form = self._form(thought)
        config = {**(self.own.get("output_config") or {})}
        if self.takes.thinking != "adaptive":
            config.pop("effort", None)
        if thought.effort:
            config["effort"] = thought.effort
        if form.format:
            config["format"] = form.format
        sampling = self._sampling(thought)
        parts = {
            "system": self._system(form.told),
            "messages": [self._message(turn) for turn in self.turns],
            "tools": [self._tool(tool) for tool in self.tools] or form.tool or self._stubs(),
            "tool_choice": _FORCED if form.tool else self._tool_choice(),
            "thinking": thought.config,
            "output_config": config,
            "stop_sequences": self._stop(),
            "metadata": self._metadata(),
            "service_tier": self._service_tier(),
        }
        body |= {field: value for field, value in parts.items() if value}
        body |= sampling
        body |= self._own_fields(thought)
        self._mark(body)
        self._drop_the_rest()
        return Encoded(
            jsonio.dumps(body),
            tuple(self.dropped),
            tools.renamed(self.names),
            {"anthropic-version": self._version(sampling)},
            stops=tuple(stop for stop in request.stop if not stop.strip()),
            answer_tool=_ANSWER_TOOL if form.tool else "",
            wrapped=form.wrapped,
        )

    def _drop(self, field: str) -> None:
        self.dropped[field] = None

    def _version(self, sampling: JsonObject) -> str:
        if sampling or not self.takes.claude:
            return _VERSION_WITH_SAMPLING
        return _VERSION

    # ── messages ─────────────────────────────────────────────────────────────────────────────

    def _message(self, turn: Turn) -> JsonObject:
        return {"role": turn.role, "content": [block(part, self.names) for part in turn.parts]}

    def _system(self, instructions: str) -> list[JsonObject]:
        blocks: list[JsonObject] = [*(self.own.get("system") or ())]
        texts = (*self.request.system, Text(instructions))
        blocks += [block(text, self.names) for text in texts if text.text.strip()]
        return blocks

    def _form(self, thought: _Thought) -> _Form:
        """The wanted form of the answer."""
        output, wrapped = structured.rooted(self.request, NAME)
        if output.verbosity:
            self._drop("verbosity")
        if output.kind == "text":
            return _Form()
        if output.kind == "json_object" or not output.schema:
            return _Form(told=_JSON_ONLY.format("object"))
        schema = output.schema if self.request.dialect == NAME else closed(output.schema)
        if self.takes.schemas and schema is not None:
            return _Form(format={"type": "json_schema", "schema": schema}, wrapped=wrapped)
        if self._may_force(thought):
            return _Form(tool=[_answer_tool(output.schema)], wrapped=wrapped)
        told = _JSON_ONLY.format("value")
        schema = self.request.output.schema
        return _Form(told=f"{told} It must be valid for this JSON Schema:\n{_text(schema)}")

    def _may_force(self, thought: _Thought) -> bool:
        """Whether the model can be made to call a tool of ours with its answer, which for a client
        of this dialect would pass untouched.
        """
        foreign = self.takes.claude and self.request.dialect != NAME
        talks = not self.tools and not any(tools.calls(self.turns))
        return foreign and talks and not thought.on and self.turns[-1].role == "user"

    # ── tools ────────────────────────────────────────────────────────────────────────────────

    def _offered(self) -> list[Tool]:
        """The tools that can be declared, one of each name, narrowed to those allowed."""
        choice = self.request.tool_choice
        allowed = choice.names if choice is not None else ()
        offered: dict[str, Tool] = {}
        # A tool of the request itself goes before one of the same name in a namespace.
        for tool in self.request.tools:
            if tool.native is not None and tool.dialect != NAME and not tools.is_web_search(tool):
                self._drop(f"tools.{tool.name}")
                continue
            if len(allowed) > 1 and tool.name not in allowed:
                continue
            name = tools.flat_name(tool)
            if name not in offered or (offered[name].namespace and not tool.namespace):
                offered[name] = tool
        return list(offered.values())

    def _names(self) -> dict[str, str]:
        flat = [*map(tools.flat_name, self.tools), *map(tools.flat_name, tools.calls(self.turns))]
        choice = self.request.tool_choice
        flat += choice.names if choice is not None else ()
        return tools.target_names(flat, limit=_NAME_LIMIT)

    def _tool(self, tool: Tool) -> JsonObject:
        if tool.native is not None:
            declared = _native(tool)
        else:
            declared = self._function(tools.as_function(tool) if tool.freeform else tool)
        if tool.cache is not None:
            declared["cache_control"] = cache_control(tool.cache)
        return declared

    def _function(self, tool: Tool) -> JsonObject:
        ours = (self.own.get("tools") or {}).get(tool.name) or {}
        if "type" in ours:
            return {**ours}
        schema, note = input_schema(tool.schema)
        description = "\n\n".join(text for text in (tool.description, note) if text)
        out: JsonObject = {"name": self.names[tools.flat_name(tool)]}
        if description:
            out["description"] = description
        out["input_schema"] = schema
        if tool.strict and self.takes.schemas:
            out["strict"] = True
        return out | ours

    def _stubs(self) -> list[JsonObject]:
        """A history with calls needs its tools declared, even when none is offered any more."""
        called = dict.fromkeys(
            self.names[tools.flat_name(call)] for call in tools.calls(self.turns)
        )
        return [{"name": name, "input_schema": input_schema(None)[0]} for name in called]

    def _tool_choice(self) -> JsonObject | None:
        if not self.tools:
            return {"type": "none"} if any(tools.calls(self.turns)) else None
        choice, parallel = self.request.tool_choice, self.request.parallel_tools
        out: JsonObject
        if choice is not None and choice.mode == "none":
            return {"type": "none"}
        if choice is not None and choice.mode == "required":
            one = len(choice.names) == 1
            out = (
                {"type": "tool", "name": self._chosen(choice.names[0])} if one else {"type": "any"}
            )
        elif choice is not None or parallel is not None:
            out = {"type": "auto"}
        else:
            return None
        if parallel is not None:
            out["disable_parallel_tool_use"] = not parallel
        return out

    def _chosen(self, name: str) -> str:
        tool = next((tool for tool in self.tools if tool.name == name), None)
        return self.names[tools.flat_name(tool) if tool is not None else name]

    @property
    def _forced(self) -> bool:
        choice = self.request.tool_choice
        return bool(self.tools) and choice is not None and choice.mode == "required"

    # ── thinking ─────────────────────────────────────────────────────────────────────────────

    def _thought(self) -> _Thought:
        asked, room = self.request.reasoning, self._room()
        nothing = _Thought(None, "", room)
        if asked.mode == "unset":
            return nothing
        if self.takes.thinking == "none":
            if asked.mode != "off":
                self._drop("reasoning")
            return nothing
        off = _Thought({"type": "disabled"}, "", room)
        if asked.mode == "off":
            return off
        if self._forced:
            self._drop("reasoning")
            return off
        thought = self._adaptive(room) if self.takes.thinking == "adaptive" else self._budget(room)
        if thought is None:
            self._drop("reasoning")
            return off
        if thought.config is not None and asked.show != "unset":
            display = "omitted" if asked.show == "none" else "summarized"
            thought.config["display"] = display
        return thought

    def _adaptive(self, room: int) -> _Thought:
        asked = self.request.reasoning
        config = self.own.get("thinking") if asked.mode == "auto" else None
        word = effort.effort_of(asked)
        word = _EFFORTS.get(word, word)
        if word == "xhigh" and not self.takes.xhigh:
            word = "high"
        return _Thought({**(config or {"type": "adaptive"})}, word, room)

    def _budget(self, room: int) -> _Thought | None:
        """Thinking takes its tokens from the answer's room, so one of them gives way."""
        if thought_is_missing(self.turns):
            return None
        asked = self.request.reasoning
        if asked.mode == "effort" and asked.effort == "max":
            budget = max(_BUDGET_MIN, room - _BUDGET_MIN)
        elif asked.mode == "auto":
            budget = effort.budget_of(effort.from_effort("medium"))
        else:
            budget = effort.budget_of(asked)
        if budget <= 0:
            return None
        budget = max(_BUDGET_MIN, budget)
        if budget >= room:
            room = min(budget + room, self.takes.limit or budget + room)
            budget = min(budget, room - 1)
        if budget < _BUDGET_MIN:
            return None
        return _Thought({"type": "enabled", "budget_tokens": budget}, "", room)

    def _room(self) -> int:
        asked, limit = self.request.max_output_tokens, self.takes.limit
        if asked is None:
            return limit or DEFAULT_LIMIT
        if self.takes.hard_limit and self.request.dialect != NAME:
            return min(asked, limit)
        return asked

    # ── the rest ─────────────────────────────────────────────────────────────────────────────

    def _sampling(self, thought: _Thought) -> JsonObject:
        asked = self.request.sampling
        given: JsonObject = {
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "top_k": asked.top_k,
        }
        given = {field: value for field, value in given.items() if value is not None}
        if "temperature" in given:
            given["temperature"] = min(max(given["temperature"], 0), 1)
        if self.takes.sampling == "none" or thought.on:
            kept: JsonObject = {}
        elif self.takes.sampling == "one" and "temperature" in given:
            kept = {field: value for field, value in given.items() if field != "top_p"}
        else:
            kept = given
        for field, value in given.items():
            # A temperature or top_p of 1 is what the model does anyway.
            if field not in kept and (value != 1 or field == "top_k"):
                self._drop(field)
        return kept

    def _stop(self) -> list[str]:
        return [stop for stop in self.request.stop if stop.strip()]

    def _metadata(self) -> JsonObject:
        user = self.request.end_user
        if not user:
            return {}
        if self.request.dialect != NAME:
            # Others put names and addresses there, which Anthropic does not want to see.
            user = tools.digest(user)
        return {"user_id": user}

    def _service_tier(self) -> str:
        tier = self.request.service_tier
        if tier in ("", "auto", "standard_only"):
            return tier
        if tier == "default":
            return "standard_only"
        self._drop("service_tier")
        return ""

    def _own_fields(self, thought: _Thought) -> JsonObject:
        fields = {f: value for f, value in self.own.items() if f not in _PARTLY_OURS}
        management = fields.get("context_management")
        asked = management.get("edits") if isinstance(management, Mapping) else None
        if isinstance(management, Mapping) and isinstance(asked, list) and not thought.on:
            # Without thinking, an edit that clears thoughts is an error.
            edits = [edit for edit in asked if not _clears_thoughts(edit)]
            fields["context_management"] = {**management, "edits": edits}
            if not edits:
                del fields["context_management"]
        return fields

    def _drop_the_rest(self) -> None:
        request, sampling = self.request, self.request.sampling
        extras.refuse_several(request)
        for field, given in (
            ("seed", sampling.seed is not None),
            ("presence_penalty", bool(sampling.presence_penalty)),
            ("frequency_penalty", bool(sampling.frequency_penalty)),
            ("logit_bias", bool(sampling.logit_bias)),
            ("logprobs", bool(sampling.logprobs)),
            ("top_logprobs", bool(sampling.top_logprobs)),
            ("metadata", bool(request.metadata)),
            ("prompt_cache_key", bool(request.cache_key) and request.dialect != NAME),
            ("detail", extras.asks_detail(request)),
            ("name", any(turn.name for turn in request.turns)),
        ):
            if given:
                self._drop(field)
        extras.refuse_state(request, NAME)
        for field in extras.visible(request, NAME):
            self._drop(field)

    # ── cache marks ──────────────────────────────────────────────────────────────────────────

    def _mark(self, body: JsonObject) -> None:
        """At most four marks.

        A client of another dialect mostly cannot mark anything; the conversation of an agent is
        marked for it, since it will be sent again, longer, and would be paid in full each time.
        """
        shared = _marked((*body.get("tools", ()), *body.get("system", ())))
        turns = _marked(_blocks(body["messages"]))
        agent = self.takes.claude and self.request.dialect != NAME and bool(self.request.tools)
        if agent and not shared and not turns:
            _mark_ends(body)
            return
        room = _MARK_LIMIT - (1 if self.own.get("cache_control") else 0)
        # The prompt begins with tools and system, which all turns share; of the marks in the
        # messages the earliest are worth the least.
        for surplus in [*turns, *shared][: max(0, len(shared) + len(turns) - room)]:
            del surplus["cache_control"]
        _order_lifetimes(_marked((*shared, *turns)))


_EFFORTS = {"minimal": "low"}
_JSON_ONLY = "Answer with one JSON {} and nothing else: no prose, no code fence."
_ANSWER_TOOL = "json_output"
_FORCED = {"type": "tool", "name": _ANSWER_TOOL}


def _answer_tool(schema: Mapping[str, Any]) -> JsonObject:
    root, note = input_schema(schema)
    description = f"Gives the answer. {note}".strip()
    return {"name": _ANSWER_TOOL, "description": description, "input_schema": root}


def _text(value: Any) -> str:
    return jsonio.dumps_text(value)


def _native(tool: Tool) -> JsonObject:
    if tool.dialect == NAME:
        return {field: value for field, value in tool.native.items() if field != "cache_control"}
    return {"type": "web_search_20250305", "name": "web_search"}


def _clears_thoughts(edit: Any) -> bool:
    return isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking")


def _blocks(messages: list[JsonObject]) -> list[JsonObject]:
    return [item for message in messages for item in message["content"]]


def _marked(blocks: Iterable[JsonObject]) -> list[JsonObject]:
    return [item for item in blocks if "cache_control" in item]


def _mark_ends(body: JsonObject) -> None:
    for blocks in (body.get("tools"), body.get("system"), body["messages"][-1]["content"]):
        if blocks:
            blocks[-1]["cache_control"] = cache_control(CacheMark())


def _order_lifetimes(marked: list[JsonObject]) -> None:
    """A mark of an hour may not come after one of five minutes."""
    short = False
    for item in marked:
        if short and item["cache_control"].get("ttl") == "1h":
            item["cache_control"] = cache_control(CacheMark())
        short = short or item["cache_control"].get("ttl") != "1h"
