"""One handler for every request: guard, route, then what the route says.

Whatever goes wrong before an answer has begun leaves here in the client's own dialect.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import structlog
from aiohttp import web

from proxypal_core import routing
from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.accounts.lease import Target
from proxypal_core.dialects import DIALECTS, openai_legacy
from proxypal_core.dialects.base import Dialect
from proxypal_core.gateway import access, answers, api, dashboard_files, dashboard_session, surface
from proxypal_core.gateway import headers as passing
from proxypal_core.gateway.answers import refusal
from proxypal_core.gateway.downstream import JsonArray, LegacyCompletions, Reframe
from proxypal_core.gateway.exchange import Exchange, proxied_headers
from proxypal_core.gateway.front import Front
from proxypal_core.gateway.glance import glance
from proxypal_core.gateway.heads import Headers
from proxypal_core.gateway.prepare import Ask
from proxypal_core.gateway.request import BODY_LIMIT, Answer, Request, TooLarge
from proxypal_core.gateway.sessions import session_of
from proxypal_core.gateway.surface import Access, Match, Operation
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import ModelInfo
from proxypal_core.metering import Record, is_failure, summary
from proxypal_core.metering.agents import agent_of
from proxypal_core.store.bodies_db import Heard
from proxypal_core.telemetry import log as lines
from proxypal_core.wire import jsonio

_LONGEST_NAME = 512
"""Characters of a model's name: it is repeated in the log, in messages and in the records."""
_BASES = "a base URL ends in /v1 for OpenAI's clients, and has no path for the others"
_MANAGED = "GET /api/openapi.json lists what is"

log = structlog.get_logger(__name__)


class Gateway:
    """The handler of a ``server``."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self._asking: dict[str, tuple[Request, ClientKey]] = {}
        """What is being answered, by its id, and who asks."""

    def use(self, front: Front) -> None:
        """Go by *front* from the next request on. Those that have begun keep theirs, but for clients
        whose keys were taken away: they are cut off.
        """
        self.front = front
        for request, client in self._asking.values():
            if client not in front.keyring and request.transport is not None:
                request.transport.abort()

    def close(self) -> None:
        """End what would go on for ever, so that the server can stop."""
        self.front.recorder.feed.close()

    async def __call__(self, request: Request) -> Answer:
        request_id = self.front.new_id()
        path = request.path
        dialect = DIALECTS[surface.guess_dialect(path)]
        try:
            self._guard(request)
            match = surface.match(request.method, path)
            dialect = DIALECTS[_list_dialect(match, request.named)]
            shown = _shown_keys(request, match)
            if match.route.access is Access.ADMIN:
                return await api.serve(self.front, request, shown)
            client = None
            if match.route.access is Access.CLIENT:
                client = self.front.keyring.admit(shown, match.route.dialect)
            answer = self._of_ours(request, match, dialect, request_id, client)
            if answer is not None:
                return answer
            return await self._exchange(request, match, dialect, request_id, client)
        except surface.WrongMethod as wrong:
            if request.method == "OPTIONS":
                return web.Response(status=204, headers={"allow": ", ".join(wrong.allowed)})
            failure = Failure(
                Kind.METHOD, f"{path} takes {' or '.join(wrong.allowed)}, not {request.method}"
            )
            answer = refusal(DIALECTS[wrong.dialect], failure, request_id)
            answer.headers["allow"] = ", ".join(wrong.allowed)
            return answer
        except surface.NotFound:
            failure = Failure(Kind.NO_ROUTE, _no_route(request.method, path))
            return refusal(dialect, failure, request_id)
        except access.OverLimit as over:
            answer = refusal(dialect, over.failure, request_id)
            answer.headers.update(over.headers)
            return answer
        except Refused as refused:
            return refusal(dialect, refused.failure, request_id)
        except jsonio.Malformed as error:
            return refusal(dialect, _malformed(error), request_id)
        except TooLarge:
            failure = Failure(
                Kind.TOO_LARGE, f"the body is larger than {BODY_LIMIT} bytes; send less"
            )
            return refusal(dialect, failure, request_id)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("internal error", request=request_id)
            failure = Failure(Kind.INTERNAL, "the proxy failed on this request; its log says why")
            return refusal(dialect, failure, request_id)

    def _guard(self, request: Request) -> None:
        host = request.named.get("host")
        if not request.target.startswith("/"):
            raise Refused(
                Failure(Kind.INVALID, "this is no forward proxy; take its address as base URL")
            )
        access.check_host(host, self.front.allowed_hosts)
        request.headers.once(_is_from_here)

    def _of_ours(
        self,
        request: Request,
        match: Match,
        dialect: Dialect,
        request_id: str,
        client: ClientKey | None,
    ) -> Answer | None:
        """The answer to what no provider is asked for."""
        match match.route.operation:
            case Operation.HEALTH | Operation.ROOT:
                return answers.as_json(self.front.health)
            case Operation.REALTIME:
                return answers.upgrade_refused(dialect, request_id)
            case Operation.MODELS:
                return answers.json_bytes(dialect.encode_models(self._listed(client)))
            case Operation.MODEL:
                return answers.json_bytes(dialect.encode_model(self._model(match.model, client)))
            case Operation.DASHBOARD:
                return self._dashboard(request, match.suffix)
            case _:
                return None

    def _dashboard(self, request: Request, name: str) -> Answer:
        if not name and "code" in request.query:
            return dashboard_session.entered(self.front.sessions, request)
        file = dashboard_files.answer(name, request.named)
        if file is None:
            raise surface.NotFound(surface.CHAT)
        return file

    # ── exchanges ────────────────────────────────────────────────────────────────────────────

    async def _exchange(
        self,
        request: Request,
        match: Match,
        dialect: Dialect,
        request_id: str,
        client: ClientKey | None,
    ) -> Answer:
        front = self.front
        clock = front.services.clock
        record = Record(
            id=request_id,
            at=clock(),
            dialect=dialect.NAME,
            path=request.path,
            client=client.name if client else "",
            agent=request.headers.once(_agent),
        )
        keeps = front.settings.usage.capture_bodies
        heard = None if keeps == "none" else Heard()
        if client is not None:
            self._asking[request_id] = request, client
        try:
            answer = await self._answer(request, match, dialect, record, client, heard)
            record.status = answer.status
            if heard and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                heard.told.add(answer.body)
            return answer
        except (asyncio.CancelledError, ConnectionError):
            if record.outcome in ("", "abandoned"):
                record.outcome = "client_gone"
            record.status = 200 if record.outcome == "served" else 499
            raise
        finally:
            self._asking.pop(request_id, None)
            record.duration = max(0.0, clock() - record.at)  # or the clock was set back
            front.recorder.note(record, client)
            if heard and (keeps == "all" or is_failure(record.outcome)):
                front.recorder.bodies.put(record.id, heard)
            lines.exchange(record.id, summary(record), __name__)

    async def _answer(
        self,
        request: Request,
        match: Match,
        dialect: Dialect,
        record: Record,
        client: ClientKey | None,
        heard: Heard | None,
    ) -> Answer:
        try:
            ask = await self._ask(request, match, dialect, record, heard)
            _check_model(client, ask.model)
            if dialect.NAME == surface.RESPONSES:  # the others refer to no earlier answer
                kept = await self.front.conversations.answer(ask, record.client)
                if kept is not None:
                    record.outcome = "served"
                    answer = answers.json_bytes(kept)
                    answer.headers["x-request-id"] = record.id
                    return answer
                ask = await self.front.conversations.prepared(ask, record.client)
            sent = heard.told.add if heard else None
            return await Exchange(self.front.services, ask, record, sent).run(request)
        except (Refused, jsonio.Malformed) as error:
            failure = error.failure if isinstance(error, Refused) else _malformed(error)
            record.outcome = failure.kind.value
            answer = refusal(dialect, failure, record.id)
            if record.attempts:
                answer.headers.update(proxied_headers(record, attempts=len(record.attempts)))
            return answer

    async def _ask(
        self,
        request: Request,
        match: Match,
        dialect: Dialect,
        record: Record,
        heard: Heard | None,
    ) -> Ask:
        has_body = request.method == "POST"
        forms = match.route.operation is Operation.PASS
        if has_body:
            access.check_content_type(request.named.get("content-type"), forms=forms)
        body = await request.read()
        if heard is not None:
            heard.asked.add(body)
        doc: jsonio.JsonObject = {}
        # Where all of it is looked at anyhow, it is parsed.
        whole = dialect.NAME == surface.RESPONSES or match.route.operation is Operation.COMPLETIONS
        if has_body and not (forms and _is_form(request.named)):
            doc = jsonio.load_object(body) if whole else glance(body)
        model, stream = match.model, False
        reframe: Callable[[], Reframe] | None = None
        reshape: Callable[[bytes], bytes] | None = None
        match match.route.operation:
            case Operation.GENERATE if match.method:
                stream = match.method == "streamGenerateContent"
                if stream and request.query.get("alt") != "sse":
                    reframe = JsonArray
            case Operation.GENERATE:
                model, stream = dialect.peek(doc)
                _refuse_threads(doc)
            case Operation.COMPLETIONS:
                doc = openai_legacy.to_chat(doc)
                body = jsonio.dumps(doc)
                model, stream = dialect.peek(doc)
                reframe, reshape = LegacyCompletions, openai_legacy.from_chat
            case _:
                model = model or _model_in(doc, body)
        if len(model) > _LONGEST_NAME:
            raise Refused(Failure(Kind.INVALID, "model: is too long", param="model"))
        session = session_of(request.named, doc, client=record.client)
        record.model, record.stream = model, stream
        record.session = session.key if session else ""
        return Ask(
            record.id,
            dialect,
            match.route.upstream,
            model,
            stream=stream,
            targets=self._targets(model, match, dialect),
            session=session,
            doc=doc,
            glanced=not whole,
            body=body,
            headers=request.headers.once(_going_up, dialect.NAME),
            method=request.method,
            path=match.suffix,
            query=_query(request.query),
            reframe=reframe,
            reshape=reshape,
        )

    def _targets(self, model: str, match: Match, dialect: Dialect) -> Sequence[Target]:
        """The targets of *model*; for a request that names none, whoever speaks the dialect."""
        front = self.front
        if not model and match.route.operation is Operation.PASS:
            speakers = [
                account.provider
                for account in front.services.pool.accounts
                if dialect.NAME in front.services.providers[account.provider].endpoints
            ]
            speakers.sort(key=lambda name: name != match.prefix)
            return [Target(name, "") for name in dict.fromkeys(speakers)]
        if not model:
            raise Refused(
                Failure(
                    Kind.INVALID, "model: is required; GET /v1/models lists them", param="model"
                )
            )
        try:
            return routing.resolve(model, book=front.book, prefer=match.prefix)
        except routing.UnknownModel as unknown:
            raise Refused(Failure(Kind.MODEL, str(unknown), code="model_not_found")) from None

    # ── lists ────────────────────────────────────────────────────────────────────────────────

    def _listed(self, client: ClientKey | None) -> Sequence[ModelInfo]:
        if client is None:
            return self.front.models
        return [model for model in self.front.models if client.allows(model.id)]

    def _model(self, name: str, client: ClientKey | None) -> ModelInfo:
        listed = self._listed(client)
        for model in listed:
            if model.id == name:
                return model
        for model in listed:
            if model.id.partition("/")[2] == name:
                return model
        raise Refused(
            Failure(Kind.MODEL, f"no model {name!r} is listed; see the list without an id")
        )


def _shown_keys(request: Request, match: Match) -> Sequence[bytes]:
    # Gemini's clients put their key into the query; the owner's has no business in a history.
    dialect = match.route.dialect
    if request.query_string and match.route.access is Access.CLIENT:
        return access.shown_keys(request.named, request.query, dialect)
    return request.headers.once(_keys_in, dialect)


# What is found in the headers alone, of which a connection asks once: no settings, no clock.


def _keys_in(headers: Headers, dialect: str) -> Sequence[bytes]:
    return access.shown_keys(headers.named, {}, dialect)


def _is_from_here(headers: Headers) -> bool:
    access.check_origin(headers.named, headers.named.get("host", ""))
    return True


def _agent(headers: Headers) -> str:
    return agent_of(headers.named)


def _going_up(headers: Headers, dialect: str) -> Mapping[str, str]:
    return passing.upward(dialect, headers.joined)


def _malformed(error: jsonio.Malformed) -> Failure:
    message = str(error) if error.path else f"the body: {error.problem}"
    return Failure(Kind.INVALID, message, param=error.path)


def _no_route(method: str, path: str) -> str:
    return f"there is no {method} {path} here; {_MANAGED if path.startswith('/api/') else _BASES}"


def _check_model(client: ClientKey | None, model: str) -> None:
    if client is not None and not client.allows(model):
        raise Refused(
            Failure(
                Kind.MODEL,
                f"the client key {client.name!r} may not use {model!r}; GET /v1/models lists what it may",
            )
        )


def _list_dialect(match: Match, headers: Mapping[str, str]) -> str:
    """A model list has no dialect of its own where three share the path: a client says who it is
    by a header of its vendor.
    """
    listing = match.route.operation in (Operation.MODELS, Operation.MODEL)
    if listing and match.route.dialect == surface.CHAT:
        if "anthropic-version" in headers:
            return surface.ANTHROPIC
        if "x-goog-api-client" in headers or "x-goog-api-key" in headers:
            return surface.GEMINI
    return match.route.dialect


def _model_in(doc: Mapping[str, Any], body: bytes) -> str:
    model = doc.get("model") or doc.get("generateContentRequest", {}).get("model", "")
    if isinstance(model, str) and model:
        return model.removeprefix("models/")
    marker = body.find(b'name="model"\r\n\r\n')  # a form's field
    if marker < 0:
        return ""
    return body[marker:].split(b"\r\n", 3)[2].decode("utf-8", "replace")


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lstrip().lower().startswith("multipart/form-data")


def _query(query: Mapping[str, str]) -> str:
    """The client's query, without its key and without what the way out says by itself."""
    if not query:
        return ""
    kept = [(name, value) for name, value in query.items() if name not in ("key", "alt", "beta")]
    return urlencode(kept)


def _refuse_threads(doc: Mapping[str, Any]) -> None:
    """Anthropic's Threads keep the conversation at the vendor, at one account. A client that is
    told so sends it whole; dropping the field would lose the conversation silently.
    """
    if doc.get("thread") is not None:
        raise Refused(
            Failure(
                Kind.INVALID,
                "thread: conversations are not kept here; send the whole conversation",
                param="thread",
                details={
                    "error_code": "thread_unsupported_request",
                    "unsupported": ["thread"],
                },
            )
        )
