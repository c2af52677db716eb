"""The life of one request: resolve, lease, prepare, send, judge, relay, settle, record.

Another account is tried until the first piece of content has reached the client, and for every
failure that is the account's or the provider's; after that a failure is told in the stream, which
is then cut. Nothing ends cleanly without the provider's own terminal event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from proxypal_core.accounts import limits
from proxypal_core.accounts.account import Account, masked
from proxypal_core.accounts.pool import Lease, NoneReady, Pool, Wish
from proxypal_core.accounts.verdict import VERDICTS
from proxypal_core.dialects import DIALECTS, TRANSLATES, effort
from proxypal_core.dialects.base import Dialect, Encoded, Reply
from proxypal_core.dialects.pipe import Passthrough, Pipe, Seen, Translation
from proxypal_core.gateway import headers as passing
from proxypal_core.gateway.downstream import Downstream, Reframe
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import unfold
from proxypal_core.hub.messages import Request, Response, ToolCall
from proxypal_core.metering import Attempt, Record
from proxypal_core.providers.provider import (
    Operation,
    Provider,
    credential_headers,
    endpoint_url,
)
from proxypal_core.upstream import transport as way_out
from proxypal_core.wire import jsonio

T = TypeVar("T")

JSON_OPERATIONS = ("generate", "count_tokens", "input_tokens")
"""Operations whose answers are looked into; every other is forwarded byte for byte."""
ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of a whole answer; images come inline."""
_ERROR_LIMIT = 256 * 1024
_LINGER = 5.0
"""Seconds to wait for the end of a stream whose terminal event has come."""
SOONEST_RETRY = 61
"""The least retry-after, in seconds, when every account rests: OpenClaw turns to its fallback at
once above 60 and keeps asking for minutes below (measured on 2026.9.6)."""


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds. ``first_byte`` runs until content comes, ``idle`` between pieces after that."""

    first_byte: float = 300.0
    idle: float = 120.0
    hold: float = 10.0
    heartbeat: float = 15.0


class Services(msgspec.Struct, frozen=True):
    """What every exchange uses; made once, by ``app``."""

    pool: Pool
    providers: Mapping[str, Provider]
    transports: Mapping[str, way_out.Transport]
    timeouts: Timeouts
    attempts: int
    clock: Callable[[], float]
    proxy_for: Callable[[Account, str], str]
    agent: str
    """Our own User-Agent."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks, as far as the path and a first look at the body tell.

    ``operation`` is a row of the dialect's operations in ``providers.provider``; ``model`` is the
    client's own name for it and ``doc`` the body, parsed.
    """

    id: str
    dialect: Dialect
    operation: Operation
    model: str
    stream: bool
    wishes: Sequence[Wish]
    doc: jsonio.JsonObject
    body: bytes
    headers: Sequence[tuple[str, str]]
    method: str = "POST"
    path: str = ""
    """The rest of the address of a ``passthrough``."""
    query: str = ""
    reframe: Callable[[], Reframe] | None = None
    reshape: Callable[[bytes], bytes] | None = None
    """Turns a whole answer into a form of the dialect that only this path speaks."""


class _Prepared(msgspec.Struct, frozen=True):
    """One attempt, ready to be sent. ``encoded`` is None where both sides speak the same."""

    call: way_out.Call
    speaks: Dialect
    rename: bool
    encoded: Encoded | None = None


class Exchange:
    """One request on its way. ``record`` fills as it goes."""

    def __init__(self, services: Services, ask: Ask, record: Record) -> None:
        self._services = services
        self._ask = ask
        self._record = record
        self._decoded: Request | None = None
        self._dropped: Sequence[str] = ()
        self._upstream_headers: Mapping[str, str] = {}
        self._down: Downstream | None = None
        self._ended: Failure | None = None
        """What ended an answer in its middle."""

    async def run(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer *request*.

        Raises:
            Refused: nothing was sent, and this is why.
        """
        if not self._ask.stream:
            return await self._attempts(request)
        down = self._down = Downstream(
            request,
            heartbeat=self._ask.dialect.HEARTBEAT,
            headers=self._headers,
            hold=self._services.timeouts.hold,
            interval=self._services.timeouts.heartbeat,
            reframe=self._ask.reframe() if self._ask.reframe else None,
        )
        try:
            return await self._attempts(request)
        except Refused as refused:
            if not down.started:
                raise
            return await self._break_off(self._encoder_fails(refused.failure), refused.failure)
        finally:
            down.close()

    async def _attempts(self, request: web.BaseRequest) -> web.StreamResponse:
        tried: list[Lease] = []
        last: Failure | None = None
        while len(tried) < self._services.attempts:
            try:
                lease = self._services.pool.lease(self._ask.wishes, tried=tried)
            except NoneReady as none:
                raise Refused(self._nobody(none, last)) from None
            tried.append(lease)
            result = await self._attempt(lease, request)
            if not isinstance(result, Failure):
                return result
            last = result
            if not VERDICTS[result.kind].elsewhere:
                break
        if last is None:
            raise Refused(Failure(Kind.NO_ACCOUNT, "routing.max_attempts is 0"))
        raise Refused(self._final(last))

    async def _attempt(
        self, lease: Lease, request: web.BaseRequest
    ) -> web.StreamResponse | Failure:
        """One account asked: the finished answer, or how it failed before anything was sent."""
        record = self._record
        record.served_by, record.served_model = lease.account.id, lease.model
        answer: web.StreamResponse | Failure | None = None
        try:
            answer = await self._answer(lease, request)
            return answer
        finally:
            failure = answer if isinstance(answer, Failure) else self._ended
            if failure is not None:
                outcome = failure.kind.value
                self._services.pool.settle(lease, failure)
            elif answer is None:
                outcome = "abandoned"
                self._services.pool.settle(lease, None)
            else:
                outcome = "served"
                self._services.pool.served(lease)
            record.outcome = outcome
            record.attempts.append(Attempt(lease.account.id, lease.model, outcome))

    async def _answer(self, lease: Lease, request: web.BaseRequest) -> web.StreamResponse | Failure:
        try:
            return await self._send(self._prepare(lease), request)
        except Refused as refused:
            return refused.failure
        except way_out.Broken as broken:
            return broken.failure

    # ── the call ─────────────────────────────────────────────────────────────────────────────

    def _prepare(self, lease: Lease) -> _Prepared:
        ask = self._ask
        provider = self._services.providers[lease.account.provider]
        dialect = ask.dialect.NAME
        if dialect in provider.endpoints:
            rename = lease.model != ask.model
            body = ask.body
            if lease.thinking:
                body = ask.dialect.encode_request(self._meant(lease)).body
            elif rename:
                body = jsonio.replace_string(body, ("model",), lease.model)
            head = passing.upward(dialect, ask.headers)
            head["content-type"] = next(
                (v for n, v in ask.headers if n.lower() == "content-type"), "application/json"
            )
            return _Prepared(self._call(lease, provider, dialect, body, head), ask.dialect, rename)
        speaks = next((d for d in provider.endpoints if (dialect, d) in TRANSLATES), None)
        if speaks is None or ask.operation != "generate":
            raise Refused(
                Failure(
                    Kind.UNSUPPORTED,
                    f"{provider.name} speaks {' and '.join(provider.endpoints)};"
                    f" {ask.operation} in {dialect} is not translated to it",
                )
            )
        encoded = DIALECTS[speaks].encode_request(self._meant(lease))
        self._dropped = encoded.dropped
        head = {"content-type": "application/json", **encoded.headers}
        return _Prepared(
            self._call(lease, provider, speaks, encoded.body, head),
            DIALECTS[speaks],
            rename=True,
            encoded=encoded,
        )

    def _call(
        self,
        lease: Lease,
        provider: Provider,
        dialect: str,
        body: bytes,
        head: Mapping[str, str],
    ) -> way_out.Call:
        account = lease.account
        url = endpoint_url(
            provider.endpoints[dialect],
            dialect,
            self._ask.operation,
            model=lease.model,
            path=self._ask.path,
            stream=self._ask.stream,
        )
        accept = "text/event-stream" if self._ask.stream else "application/json"
        if self._ask.query:
            url += ("&" if "?" in url else "?") + self._ask.query
        return way_out.Call(
            self._ask.method,
            url,
            {
                "user-agent": self._services.agent,
                "accept": accept,
                **head,
                **credential_headers(provider.auth_in(dialect), account.secret.reveal()),
                **provider.headers,
                **account.headers,
            },
            body,
            self._services.proxy_for(account, url),
        )

    def _request(self) -> Request:
        if self._decoded is None:
            ask = self._ask
            self._decoded = ask.dialect.decode_request(ask.doc, model=ask.model, stream=ask.stream)
        return self._decoded

    def _meant(self, lease: Lease) -> Request:
        """The request as it is meant for the lease's model, with what its name says of thinking."""
        meant = msgspec.structs.replace(self._request(), model=lease.model)
        if not lease.thinking:
            return meant
        thinking = effort.from_suffix(lease.thinking)
        return msgspec.structs.replace(
            meant, reasoning=msgspec.structs.replace(thinking, show=meant.reasoning.show)
        )

    def _reply(self) -> Reply:
        """What an encoder is told; a request that passes through is not decoded for it."""
        ask = self._ask
        request = self._decoded or Request(
            dialect=ask.dialect.NAME, model=ask.model, stream=ask.stream
        )
        return Reply(request, ask.id, int(self._record.at))

    # ── the answer ───────────────────────────────────────────────────────────────────────────

    async def _send(
        self, prepared: _Prepared, request: web.BaseRequest
    ) -> web.StreamResponse | Failure:
        scheme = prepared.call.url.partition(":")[0]
        opening = self._services.transports[scheme].open(prepared.call)
        reply = await _within(self._services.timeouts.first_byte, opening)
        try:
            if not 200 <= reply.status < 300:
                return await self._refusal(prepared, reply)
            if prepared.encoded is None:
                self._upstream_headers = passing.downward(prepared.speaks.NAME, reply.headers)
            if self._ask.operation not in JSON_OPERATIONS:
                return await self._forward(reply, request)
            if not self._ask.stream:
                return await self._whole(prepared, reply, request)
            if reply.headers.get("content-type", "").startswith("application/json"):
                return await self._whole_as_stream(prepared, reply)
            return await self._stream(prepared, reply)
        finally:
            reply.close()

    async def _refusal(self, prepared: _Prepared, reply: way_out.Reply) -> Failure:
        if reply.status < 400:
            return Failure(
                Kind.BAD_REPLY, f"the provider redirects ({reply.status}); redirects are refused"
            )
        body = await self._read_all(reply, _ERROR_LIMIT)
        failure = prepared.speaks.decode_failure(reply.status, body)
        stated = limits.retry_after(reply.headers, self._services.clock())
        if stated is None:
            return failure
        return msgspec.structs.replace(failure, retry_after=stated)

    async def _whole(
        self, prepared: _Prepared, reply: way_out.Reply, request: web.BaseRequest
    ) -> web.StreamResponse | Failure:
        body = await self._read_all(reply, ANSWER_LIMIT)
        doc = _answer_object(body)
        if self._ask.operation == "generate":
            notice = prepared.speaks.notice_whole(doc)
            if notice.failure is not None:
                return notice.failure
            if notice.usage is not None:
                self._record.usage = notice.usage
        if prepared.encoded is not None:
            response = _restore_names(prepared.speaks.decode_response(doc), prepared.encoded)
            body = self._ask.dialect.encode_response(response, self._reply())
        elif prepared.rename:
            for path in prepared.speaks.MODEL_PATHS:
                body = jsonio.replace_string(body, path, self._ask.model)
        if self._ask.reshape is not None:
            body = self._ask.reshape(body)
        self._first_content()
        answer = web.Response(body=body, headers=self._headers(), content_type="application/json")
        await answer.prepare(request)
        await answer.write_eof()
        return answer

    async def _whole_as_stream(
        self, prepared: _Prepared, reply: way_out.Reply
    ) -> web.StreamResponse | Failure:
        """A provider that answers a wish for a stream with JSON: an error inside a 200, or the
        whole answer at once.
        """
        doc = _answer_object(await self._read_all(reply, ANSWER_LIMIT))
        notice = prepared.speaks.notice_whole(doc)
        if notice.failure is not None:
            return notice.failure
        response = prepared.speaks.decode_response(doc)
        if prepared.encoded is not None:
            response = _restore_names(response, prepared.encoded)
        self._request()
        encoder = self._ask.dialect.encoder(self._reply())
        self._record.usage = response.usage
        self._first_content()
        down = self._downstream()
        await down.write(b"".join([encoder.write(event) for event in unfold(response)]))
        return await down.finish()

    async def _stream(
        self, prepared: _Prepared, reply: way_out.Reply
    ) -> web.StreamResponse | Failure:
        pipe = self._pipe(prepared)
        seen = pipe.seen
        down = self._downstream()
        held: list[bytes] = []
        while True:
            try:
                data = await self._read(reply, seen)
            except way_out.Broken as broken:
                if not seen.begun:
                    raise
                if not seen.finished:
                    return await self._break_off(pipe.fail(broken.failure), broken.failure)
                data = b""  # the terminal event had come
            out = pipe.feed(data) if data else pipe.close()
            self._record.usage = seen.usage
            if not seen.begun and not seen.finished:
                if seen.failure is not None:
                    return seen.failure
                held.append(out)
                continue
            if held or not self._record.first_content:
                self._first_content()
                out = b"".join((*held, out))
                held.clear()
            if seen.failure is not None:
                return await self._break_off(out, seen.failure)
            await down.write(out)
            if not data:
                return await down.finish()

    async def _read(self, reply: way_out.Reply, seen: Seen) -> bytes:
        timeouts = self._services.timeouts
        if seen.finished:
            return await _within(_LINGER, reply.read())
        return await _within(timeouts.idle if seen.begun else timeouts.first_byte, reply.read())

    def _pipe(self, prepared: _Prepared) -> Pipe:
        if prepared.encoded is None:
            return Passthrough(prepared.speaks, self._reply(), rename=prepared.rename)
        return Translation(prepared.speaks, self._ask.dialect, self._reply(), prepared.encoded)

    async def _forward(self, reply: way_out.Reply, request: web.BaseRequest) -> web.StreamResponse:
        """An answer in nobody's dialect (a file, speech, embeddings), byte for byte."""
        answer = web.StreamResponse(status=reply.status, headers=self._headers())
        for name in ("content-type", "content-length", "content-disposition"):
            if name in reply.headers:
                answer.headers[name] = reply.headers[name]
        self._first_content()
        await answer.prepare(request)
        while data := await _within(self._services.timeouts.idle, reply.read()):
            await answer.write(data)
        await answer.write_eof()
        return answer

    async def _read_all(self, reply: way_out.Reply, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while data := await _within(self._services.timeouts.first_byte, reply.read()):
            size += len(data)
            if size > limit:
                raise way_out.Broken(
                    Kind.BAD_REPLY, f"the provider's answer is larger than {limit} bytes"
                )
            pieces.append(data)
        return b"".join(pieces)

    # ── what the client is told ──────────────────────────────────────────────────────────────

    def _downstream(self) -> Downstream:
        if self._down is None:
            raise RuntimeError("a whole answer has no stream")
        return self._down

    async def _break_off(self, last: bytes, failure: Failure) -> web.StreamResponse:
        self._ended = failure
        return await self._downstream().break_off(last)

    def _first_content(self) -> None:
        self._record.first_content = self._services.clock() - self._record.at

    def _headers(self) -> dict[str, str]:
        """The headers of a proxied answer."""
        headers = {
            **self._upstream_headers,
            **proxied_headers(self._record, attempts=len(self._record.attempts) + 1),
        }
        if self._dropped:
            headers["x-proxypal-dropped"] = passing.printable(", ".join(self._dropped))
        return headers

    def _nobody(self, none: NoneReady, last: Failure | None) -> Failure:
        """Why no account can be asked (any more)."""
        if last is not None:
            return self._final(last)
        if none.resumes_at is None:
            return Failure(
                Kind.NO_ACCOUNT,
                f"no account can serve {self._ask.model!r} now; see GET /v1/models for what can be"
                " asked, or add an account",
            )
        seconds = none.resumes_at - self._services.clock()
        reasons = ", ".join(f"{masked(rest.account)} ({rest.reason})" for rest in none.resting)
        return Failure(
            Kind.RESTING,
            f"every account that could answer is resting: {reasons}",
            retry_after=max(SOONEST_RETRY, seconds),
            code="all_accounts_cooling",
        )

    def _final(self, failure: Failure) -> Failure:
        """*failure* as the last word: nobody else is left to ask."""
        if failure.kind in (Kind.RATE_LIMIT, Kind.BILLING):
            wait = max(SOONEST_RETRY, failure.retry_after or 0)
            return msgspec.structs.replace(failure, retry_after=wait)
        return failure

    def _encoder_fails(self, failure: Failure) -> bytes:
        return self._ask.dialect.encoder(self._reply()).write(failure)


def proxied_headers(record: Record, *, attempts: int) -> dict[str, str]:
    """Who answered, in the headers of every answer that a provider was asked for."""
    provider = record.served_by.partition(":")[0]
    return {
        "x-request-id": record.id,
        "x-proxypal-account": passing.printable(masked(record.served_by)),
        "x-proxypal-model": passing.printable(f"{provider}/{record.served_model}"),
        "x-proxypal-attempts": str(attempts),
        "server": "proxypal",
    }


async def _within(seconds: float, waiting: Awaitable[T]) -> T:
    """What *waiting* gives, if it does in time."""
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    except TimeoutError:
        raise way_out.Broken(
            Kind.TIMEOUT, f"the provider sent nothing for {seconds:g} seconds"
        ) from None


def _answer_object(body: bytes) -> jsonio.JsonObject:
    try:
        return jsonio.load_object(body)
    except jsonio.Malformed as error:
        raise way_out.Broken(Kind.BAD_REPLY, f"the provider's answer is no JSON: {error}") from None


def _restore_names(response: Response, encoded: Encoded) -> Response:
    """*response* with the client's own tool names."""
    if not encoded.names:
        return response
    return msgspec.structs.replace(
        response,
        parts=tuple(
            msgspec.structs.replace(part, name=encoded.names.get(part.name, part.name))
            if isinstance(part, ToolCall)
            else part
            for part in response.parts
        ),
    )
