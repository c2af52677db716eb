"""Conversations that a Responses client continues by naming an answer instead of repeating them.

An answer is kept by the provider that gave it, if that speaks Responses and keeps answers; then it
is remembered whose account it was, and what refers to it goes there. Every other is kept here, and
what refers to it is written out before anybody is asked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

import msgspec

from proxypal_core.accounts.lease import Target
from proxypal_core.gateway.prepare import Ask, Services
from proxypal_core.gateway.surface import RESPONSES
from proxypal_core.hub.failure import Failure, Kind, Refused, invalid
from proxypal_core.store.responses_db import Kept, ResponsesDB
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject, arr, opt, string

# What only the provider that keeps it can go on with.
_PROVIDERS_OWN = ("background", "conversation", "prompt")
_PAGE, _LARGEST_PAGE = 20, 100


class Conversations:
    """``client`` is everywhere the name of the key that asks: clients do not see one another's."""

    def __init__(self, db: ResponsesDB, services: Services) -> None:
        self._db = db
        self._services = services

    async def answer(self, ask: Ask, client: str) -> bytes | None:
        """The answer to an *ask* about an answer that is kept here; None for every other."""
        if not _is_about_one(ask):
            return None
        name, part = _named(ask)
        kept = await self._get(client, name)
        if kept is None or kept.account:
            return None
        match ask.method, part:
            case "DELETE", "":
                await self._db.delete(client, name)
                return jsonio.dumps({"id": name, "object": "response", "deleted": True})
            case "GET", "":
                _refuse_replay(ask)
                return kept.document
            case "GET", "input_items":
                return jsonio.dumps(_page(list(_listed(kept)), ask.query))
            case "POST", "cancel":
                raise invalid(
                    "only a response made with background can be cancelled; this one has ended"
                )
            case method, _:
                problem = f"there is no {method} /v1/{ask.path} here"
                raise Refused(Failure(Kind.NO_ROUTE, problem))

    async def prepared(self, ask: Ask, client: str) -> Ask:
        """*ask* with what it refers to written out, and asked only of those who know the rest.

        Raises:
            Refused: nobody here knows what it refers to.
        """
        if ask.dialect.NAME != RESPONSES:
            return ask
        if _is_about_one(ask):
            return await self._about_one(ask, client)
        if ask.operation not in ("generate", "input_tokens", "compact"):
            return ask
        ask = self._asked_of_keepers(ask)
        ask = await self._dereferenced(ask, client)
        previous = opt(ask.doc, "previous_response_id", string) or ""
        ask, continued = await self._continued(ask, client, previous)
        if ask.operation == "compact":
            keepers = self._keepers(ask.targets)
            return msgspec.structs.replace(ask, targets=keepers) if keepers else _summary_of(ask)
        if ask.operation == "input_tokens":
            return ask
        return self._watched(ask, client, previous if continued else "")

    # ── who is asked ─────────────────────────────────────────────────────────────────────────

    def _keepers(self, targets: Iterable[Target]) -> Sequence[Target]:
        """Those of *targets* whose provider keeps its answers."""
        return [target for target in targets if self._keeps(target.provider)]

    def _keeps(self, name: str) -> bool:
        provider = self._services.providers.get(name)
        return provider is not None and RESPONSES in provider.endpoints and not provider.stateless

    def _pinned(self, targets: Iterable[Target], account: str) -> Sequence[Target]:
        """Those of *targets* that *account* can fulfil, of it alone."""
        provider = self._provider_of(account)
        return [
            msgspec.structs.replace(target, profile=account)
            for target in targets
            if target.provider == provider and target.profile in ("", account)
        ]

    def _provider_of(self, account: str) -> str:
        """The provider of the account of that id; empty when there is no such account any more."""
        accounts = self._services.pool.accounts
        return next((row.provider for row in accounts if row.id == account), "")

    async def _get(self, client: str, name: str) -> Kept | None:
        return self._reachable(await self._db.get(client, name))

    def _reachable(self, kept: Kept | None) -> Kept | None:
        """*kept*, unless it is at an account that is gone."""
        if kept is not None and kept.account and not self._provider_of(kept.account):
            return None
        return kept

    def _asked_of_keepers(self, ask: Ask) -> Ask:
        for field in _PROVIDERS_OWN:
            if ask.doc.get(field):
                problem = (
                    f"{field}: needs a provider that keeps it, and {ask.model} is not at one; leave"
                    " it out, or ask a model of OpenAI"
                )
                return self._narrowed(ask, None, invalid(problem, param=field))
        return ask

    def _narrowed(self, ask: Ask, kept: Kept | None, otherwise: Refused) -> Ask:
        """*ask* for the account that *kept* is at; when that is unknown, for whoever may know."""
        if kept is None:
            targets = self._keepers(ask.targets)
        else:
            targets = self._pinned(ask.targets, kept.account)
        if not targets:
            raise otherwise
        return msgspec.structs.replace(ask, targets=targets)

    async def _about_one(self, ask: Ask, client: str) -> Ask:
        name, _ = _named(ask)
        problem = f"there is no response {name} here"
        kept = await self._get(client, name)
        return self._narrowed(ask, kept, Refused(Failure(Kind.NO_ROUTE, problem)))

    # ── what is asked ────────────────────────────────────────────────────────────────────────

    async def _continued(self, ask: Ask, client: str, previous: str) -> tuple[Ask, bool]:
        """*ask* after the answer *previous*, and whether what came before is written out now."""
        if not previous:
            return ask, False
        kept = await self._get(client, previous)
        if kept is None or kept.account:
            return self._narrowed(ask, kept, _no_previous(previous, kept)), False
        items = [*_inputs(kept), *map(_said, _outputs(kept)), *_items(ask.doc)]
        doc = {key: value for key, value in ask.doc.items() if key != "previous_response_id"}
        return _with_doc(ask, {**doc, "input": items}), True

    async def _dereferenced(self, ask: Ask, client: str) -> Ask:
        """*ask* with its references to items that are kept here replaced by those items."""
        items = ask.doc.get("input")
        if not isinstance(items, list):
            return ask
        references = {at: name for at, item in enumerate(items) if (name := _referred(item))}
        if not references:
            return ask
        holders = await self._db.holding(client, references.values())
        items = list(items)
        for at, name in references.items():
            kept = self._reachable(holders.get(name))
            if kept is not None and not kept.account:
                items[at] = _output(kept, name)
            else:
                problem = f"input[{at}]: the item {name} is not kept here; send it whole"
                ask = self._narrowed(ask, kept, invalid(problem, param=f"input[{at}]"))
        return ask if items == ask.doc["input"] else _with_doc(ask, {**ask.doc, "input": items})

    # ── what is answered ─────────────────────────────────────────────────────────────────────

    def _watched(self, ask: Ask, client: str, previous: str) -> Ask:
        """*ask* with an eye on its answer, which may have to be kept.

        *previous* is the answer it goes on from, if whoever is asked knows nothing of it.
        """
        wants = opt(ask.doc, "store", jsonio.boolean) is not False
        if not wants and not previous:
            return ask
        doc = {**ask.doc, "store": True} if wants else ask.doc

        def keep(response: JsonObject, account: str, *, native: bool) -> None:
            by_provider = native and self._keeps(self._provider_of(account))
            kept = _kept(response, doc, account if by_provider else "")
            if wants and kept is not None:
                self._db.put(client, kept)

        answers = _streamed if ask.stream else _whole
        return msgspec.structs.replace(ask, doc=doc, answered=_Watch(answers, previous, keep))


class _Watch:
    """Keeps what a client is sent, and names in it the answer it goes on from, if no provider was
    told of *previous*.
    """

    def __init__(self, answers: "_Answers", previous: str, keep: "_Keep") -> None:
        self._answers = answers
        self._previous = jsonio.dumps(previous) if previous else b""
        self._keep = keep

    def __call__(self, data: bytes, /, *, account: str, native: bool) -> bytes:
        if self._previous:
            data = _NO_PREVIOUS.sub(lambda match: match[1] + self._previous, data)
        # What cannot be kept is told all the same.
        with suppress(jsonio.Malformed):
            for response in self._answers(data, native=native):
                self._keep(response, account, native=native)
        return data


class _Answers(Protocol):
    def __call__(self, data: bytes, /, *, native: bool) -> Iterable[JsonObject]: ...


class _Keep(Protocol):
    def __call__(self, response: JsonObject, account: str, /, *, native: bool) -> None: ...


_NO_PREVIOUS = re.compile(rb'("previous_response_id"\s*:\s*)null')
# The second tells early where the answer is, for a client that loses the stream; the others are
# whole. The most frequent is looked for first.
_TOLD_IN = ("response.completed", "response.created", "response.incomplete")
_TOLD = [jsonio.dumps(kind) for kind in _TOLD_IN]
_ANSWER = b'"response"'
"""The key of an event that has one; inside a text its quotes would be escaped."""


def _whole(data: bytes, *, native: bool) -> Iterator[JsonObject]:
    yield jsonio.load_object(data)


def _streamed(data: bytes, *, native: bool) -> Iterator[JsonObject]:
    """The answers in *data*, whole events: it is announced by the first event that has one, of which
    only its own provider can keep anything, and stands whole in the last.
    """
    end = 0
    for found in (data.find(_ANSWER) if native else -1, data.rfind(_ANSWER)):
        if found < end:
            continue  # there is none, or it is the same event
        # Nearly all end with line feeds, and are passed over at once.
        blank = data.rfind(b"\n\n", end, found)
        start = blank + 2 if blank >= 0 else end
        start += len(sse.Splitter().block(data[start:found]))
        end = sse.end_of_event(data, start)
        raw = data[start:end]
        frame = sse.parse(raw) if any(told in raw for told in _TOLD) else None
        if frame is None:
            continue
        event = jsonio.load_object(frame.data)
        response = event.get("response")
        if event.get("type") in _TOLD_IN and isinstance(response, dict):
            yield response


def _kept(response: JsonObject, doc: JsonObject, account: str) -> Kept | None:
    """What to keep of *response*, the answer to *doc*; None for nothing.

    *account* is set where its provider may keep it, who has the last word on that.
    """
    name = response.get("id")
    if not isinstance(name, str) or not name:
        return None
    outputs = [item for item in opt(response, "output", arr) or () if isinstance(item, dict)]
    ids = tuple(item["id"] for item in outputs if isinstance(item.get("id"), str))
    if account and response.get("store") is not False:
        return Kept(name, account=account, items=ids)
    if response.get("status") not in ("completed", "incomplete"):
        return None
    said = jsonio.dumps(_items(doc))
    return Kept(name, input=said, document=jsonio.dumps(response), items=ids)


# ── items ────────────────────────────────────────────────────────────────────────────────────


def _items(doc: JsonObject) -> list[Any]:
    """What *doc* says, as items."""
    value = doc.get("input")
    if isinstance(value, str):
        return [_message("user", value)]
    return [] if value is None else arr(value, "input")


def _message(role: str, text: str) -> JsonObject:
    part: JsonObject = {"type": "input_text", "text": text}
    if role == "assistant":
        part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": role, "content": [part]}


def _with_doc(ask: Ask, doc: JsonObject) -> Ask:
    return msgspec.structs.replace(ask, doc=doc, body=jsonio.dumps(doc))


def _inputs(kept: Kept) -> list[Any]:
    return arr(jsonio.loads(kept.input), "input")


def _outputs(kept: Kept) -> list[JsonObject]:
    outputs = opt(jsonio.load_object(kept.document), "output", arr) or ()
    return [item for item in outputs if isinstance(item, dict)]


def _output(kept: Kept, name: str) -> JsonObject:
    return next(_said(item) for item in _outputs(kept) if item.get("id") == name)


_SAYS_ALL = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


def _said(item: JsonObject) -> JsonObject:
    """An output *item* as input: a provider would look for an id among what it keeps itself."""
    if item.get("type") not in _SAYS_ALL:
        return item
    return {key: value for key, value in item.items() if key not in ("id", "status")}


def _referred(item: Any) -> str:
    """The id of the item that *item* stands for; empty for an item that is one itself."""
    if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference":
        return ""
    name = item.get("id")
    return name if isinstance(name, str) and "role" not in item else ""


def _no_previous(name: str, kept: Kept | None) -> Refused:
    problem = f"previous_response_id: {name} is not known here; send the whole conversation"
    if kept is not None:
        problem = f"previous_response_id: {name} is kept at an account that cannot serve this model"
    return Refused(
        Failure(
            Kind.INVALID,
            problem,
            code="previous_response_not_found",
            param="previous_response_id",
        )
    )


# ── one answer ───────────────────────────────────────────────────────────────────────────────


def _is_about_one(ask: Ask) -> bool:
    return (
        ask.dialect.NAME == RESPONSES
        and ask.operation == "passthrough"
        and ask.path.startswith("responses/")
    )


def _named(ask: Ask) -> tuple[str, str]:
    """The id in the path of *ask*, and what follows it."""
    _, name, *rest = ask.path.split("/")
    return unquote(name), "/".join(rest)


def _refuse_replay(ask: Ask) -> None:
    if parse_qs(ask.query).get("stream") == ["true"]:
        raise invalid(
            "stream: this response is not kept as a stream; ask without it", param="stream"
        )


def _listed(kept: Kept) -> Iterator[JsonObject]:
    """The input of *kept* as it is listed: every item has an id, every message a list of parts."""
    for at, item in enumerate(_inputs(kept)):
        if isinstance(item, dict):
            kind = item.get("type") or "message"
            full = {"id": f"in_{kept.id}_{at}", **item, "type": kind}
            if kind == "message" and isinstance(item.get("content"), str):
                full |= _message(item.get("role", "user"), item["content"])
            yield full


def _page(items: list[JsonObject], query: str) -> Mapping[str, Any]:
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    if given.get("order", "desc") == "desc":
        items.reverse()
    names = [item["id"] for item in items]
    after = given.get("after")
    start = names.index(after) + 1 if after in names else 0
    limit = given.get("limit", "")
    size = min(int(limit), _LARGEST_PAGE) if limit.isdecimal() else _PAGE
    data = items[start : start + max(1, size)]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": start + len(data) < len(items),
    }


# ── compaction ───────────────────────────────────────────────────────────────────────────────

_SUMMARISE = (
    "The conversation so far will be replaced by a summary, which is all that whoever continues it"
    " will see. Write this summary now, and nothing else: what was asked for and why, what was"
    " decided and done, the facts, names, paths and values that were found, what failed, and what"
    " remains to be done next. Do not call tools and do not continue the work itself."
)
_SUMMARY = "The conversation before this point was replaced by this summary of it:\n\n"


def _summary_of(ask: Ask) -> Ask:
    """An *ask* to compact a conversation as one for its summary: only OpenAI itself compacts."""
    doc = {key: value for key, value in ask.doc.items() if key != "stream"}
    doc |= {"input": [*_items(doc), _message("user", _SUMMARISE)], "store": False}
    if doc.get("tools"):
        doc["tool_choice"] = "none"
    return msgspec.structs.replace(
        ask, operation="generate", stream=False, doc=doc, body=jsonio.dumps(doc), reshape=_compacted
    )


def _compacted(body: bytes) -> bytes:
    """A whole answer, which is a summary, as what takes the conversation's place."""
    answer = jsonio.load_object(body)
    text = "".join(
        part.get("text", "")
        for item in answer["output"]
        if item["type"] == "message"
        for part in item["content"]
    )
    if not text:
        raise Refused(Failure(Kind.BAD_REPLY, "the provider's model gave no summary"))
    message = _message("assistant", _SUMMARY + text)
    return jsonio.dumps(
        {
            "id": answer["id"],
            "object": "response.compaction",
            "created_at": answer.get("created_at"),
            "output": [{"id": f"msg_{answer['id']}", "status": "completed", **message}],
            "usage": answer.get("usage"),
        }
    )
