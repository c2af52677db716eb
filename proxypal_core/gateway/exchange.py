"""The life of one request: resolve, lease, prepare, send, judge, relay, settle, record.

Another account is tried until the first piece of content has reached the client, and for every
failure that is the account's or the provider's; after that a failure is told in the stream, which
is then cut. Nothing ends cleanly without the provider's own terminal event.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from proxypal_core.accounts import limits, rules
from proxypal_core.accounts.account import masked
from proxypal_core.accounts.attempts import Attempts
from proxypal_core.accounts.lease import Lease, NoneReady
from proxypal_core.dialects.base import Notice
from proxypal_core.dialects.pipe import Passthrough, Pipe, Seen, Translation, translated
from proxypal_core.gateway import headers as passing
from proxypal_core.gateway import nobody
from proxypal_core.gateway.deadline import Deadline
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.gateway.prepare import COUNTS, Ask, Estimated, Preparation, Prepared, Services
from proxypal_core.gateway.request import Answer, Request
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import unfold
from proxypal_core.hub.messages import Response
from proxypal_core.metering import Attempt, Record
from proxypal_core.upstream import transport as way_out
from proxypal_core.wire import jsonio

T = TypeVar("T")

JSON_OPERATIONS = ("generate", *COUNTS)
"""Operations whose answers are looked into; every other is forwarded byte for byte."""
ANSWER_LIMIT = 48 * 1024 * 1024
"""Bytes of a whole answer; images come inline."""
_ERROR_LIMIT = 256 * 1024
_SHORTEST = 6
"""A shorter "credential" is a placeholder, and would blot out ordinary words."""
_LINGER = 5.0
"""Seconds to wait for the end of a stream that is complete."""


class Exchange:
    """One request on its way. ``record`` fills as it goes; ``sent`` is told every byte of the body of
    an answer that is not given back whole.
    """

    def __init__(
        self,
        services: Services,
        ask: Ask,
        record: Record,
        sent: Callable[[bytes], None] | None = None,
    ) -> None:
        self._sent = sent
        self._services = services
        self._ask = ask
        self._record = record
        self._preparation = Preparation(services, ask, created=int(record.at))
        self._dropped: Sequence[str] = ()
        self._upstream_headers: Mapping[str, str] = {}
        self._answered_with: Mapping[str, str] = {}
        """The headers of the attempt's answer."""
        self._asked_at = 0.0
        """When the attempt began, in Unix seconds."""
        self._deadline: Deadline
        """Of the task that answers, once it does."""
        self._down: Downstream | None = None
        self._ended: Failure | None = None
        """What ended an answer in its middle."""
        self._complete = False
        """Whether the client was sent all of it; many hang up as soon as they have."""

    def run(self, request: Request) -> Awaitable[Answer]:
        """Answer *request*.

        Raises:
            Refused: nothing was sent, and this is why.
        """
        self._deadline = request.connection.deadline
        return self._streamed(request) if self._ask.stream else self._attempts(request)

    async def _streamed(self, request: Request) -> Answer:
        down = self._down = Downstream(
            request,
            heartbeat=self._ask.dialect.HEARTBEAT,
            headers=self._headers,
            hold=self._services.timeouts.hold,
            interval=self._services.timeouts.heartbeat,
            reframe=self._ask.reframe() if self._ask.reframe else None,
            sent=self._sent,
        )
        try:
            return await self._attempts(request)
        except Refused as refused:
            if not down.started:
                raise
            return await self._break_off(self._encoder_fails(refused.failure), refused.failure)
        finally:
            down.close()
            self._down = None  # they know each other: nothing else would free them at once

    async def _attempts(self, request: Request) -> Answer:
        services, ask = self._services, self._ask
        attempts = Attempts(services.attempts, services.patience)
        ends = 0.0
        while not attempts.over:
            try:
                lease = services.pool.lease(
                    ask.targets, tried=attempts.tried, avoid=attempts.avoid, session=ask.session
                )
            except NoneReady as none:
                ends = ends or services.queue.ends()
                await self._wait(none, attempts, ends)
                continue
            ends = 0.0
            self._begin(lease)
            answer: Answer | Failure | None = None
            try:
                answer = await self._answer(lease, request)
            finally:
                failure = self._settle(lease, answer)
            if not isinstance(answer, Failure):
                return answer
            attempts.failed(lease, failure or answer)
        raise Refused(nobody.exhausted(attempts.last, services.clock()))

    async def _wait(self, none: NoneReady, attempts: Attempts, ends: float) -> None:
        """Return when an account may be ready; one that is busy is waited for until *ends*, by the
        loop's clock.

        Raises:
            Refused: it is not worth while to wait.
        """
        services = self._services
        now = services.clock()
        pause = attempts.pause(none, now=now, jitter=services.jitter())
        if pause is not None:
            await services.sleep(pause)
        elif not (none.busy and await services.queue.wait(ends)):
            failure = nobody.ready(none, attempts.last, model=self._ask.model, now=now)
            raise Refused(failure) from None

    def _begin(self, lease: Lease) -> None:
        """Note who is asked now."""
        account, record = lease.account, self._record
        record.served_by, record.served_model = account.id, lease.model
        record.provider = account.provider
        self._answered_with = {}
        self._asked_at = self._services.clock()

    def _settle(self, lease: Lease, answer: Answer | Failure | None) -> Failure | None:
        """Give *lease* back and say how it went; the failure, as its owner wants it understood."""
        services, record = self._services, self._record
        now = services.clock()
        failure = answer if isinstance(answer, Failure) else self._ended
        if failure is not None:
            timed = limits.timed(failure, self._answered_with, now)
            failure, rest = rules.apply(services.rules, timed, lease.account.provider)
            outcome = failure.kind.value
            services.pool.failed(lease, failure, rest=rest)
        elif answer is None and not self._complete:
            outcome = "abandoned"
            services.pool.released(lease)
        else:
            outcome = "served"
            services.pool.served(lease)
        services.queue.given_back()
        record.outcome = outcome
        took = now - self._asked_at
        if took < 0:  # the clock was set back
            took = 0.0
        record.attempts.append(Attempt(record.served_by, record.served_model, outcome, took))
        return failure

    async def _answer(self, lease: Lease, request: Request) -> Answer | Failure:
        """One account asked: the finished answer, or how it failed before anything was sent."""
        try:
            prepared = await self._preparation.prepare(lease)
            answer = await self._send(lease, prepared, request)
            if isinstance(answer, Failure) and await self._mended(lease, prepared, answer):
                prepared = await self._preparation.prepare(lease)
                answer = await self._send(lease, prepared, request)
            return _unsaid(answer, prepared) if isinstance(answer, Failure) else answer
        except jsonio.Malformed as error:
            return Failure(Kind.INVALID, str(error), param=error.path)
        except Estimated as estimated:
            return self._estimated(estimated.tokens, request)
        except Refused as refused:
            return refused.failure
        except way_out.Broken as broken:
            return broken.failure

    async def _mended(self, lease: Lease, prepared: Prepared, failure: Failure) -> bool:
        """Whether what *failure* complains of is otherwise now, so that the same may be asked again."""
        if prepared.asks_usage and _minds_usage(failure):
            self._services.silent_on_usage.add(lease.account.provider)
            return True
        if failure.kind is Kind.AUTH:
            return await self._services.credentials.renew(lease.account, prepared.secret)
        return False

    # ── the answer ───────────────────────────────────────────────────────────────────────────

    async def _send(self, lease: Lease, prepared: Prepared, request: Request) -> Answer | Failure:
        scheme = prepared.call.url.partition(":")[0]
        opening = self._services.transports[scheme].open(prepared.call)
        reply = await self._deadline.within(self._services.timeouts.first_byte, opening)
        self._answered_with = reply.headers
        try:
            now = self._services.clock()
            if gauges := limits.gauges(reply.headers, now):
                self._services.pool.note(lease, gauges)
            if not 200 <= reply.status < 300:
                return await self._refusal(prepared, reply)
            if prepared.encoded is not None:
                self._dropped = prepared.encoded.dropped
            else:
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

    async def _refusal(self, prepared: Prepared, reply: way_out.Reply) -> Failure:
        if reply.status < 400:
            return Failure(
                Kind.BAD_REPLY,
                f"the provider redirects ({reply.status}), which is not followed. {_SEE_URL}",
            )
        body = await self._read_all(reply, _ERROR_LIMIT)
        return prepared.speaks.decode_failure(reply.status, body)

    async def _whole(
        self, prepared: Prepared, reply: way_out.Reply, request: Request
    ) -> Answer | Failure:
        body = reply.whole()
        if body is None:
            body = await self._read_all(reply, ANSWER_LIMIT)
        doc = _answer_object(body)
        if self._ask.operation in COUNTS:
            if prepared.encoded is not None:
                body = self._ask.dialect.count_reply(_read(prepared.speaks.decode_count, doc))
            return self._json(body, request)
        notice = prepared.speaks.notice_whole(doc)
        if notice.failure is not None:
            return notice.failure
        _check_answer(notice)
        if notice.usage is not None:
            self._record.usage = notice.usage
        if prepared.encoded is not None:
            response = self._translated(_read(prepared.speaks.decode_response, doc), prepared)
            body = self._ask.dialect.encode_response(response, self._preparation.reply())
        elif prepared.rename:
            for path in prepared.speaks.MODEL_PATHS:
                body = jsonio.replace_string(body, path, self._ask.model, document=doc)
        body = self._seen(body, prepared)
        if self._ask.reshape is not None:
            body = self._ask.reshape(body)
        return self._json(body, request)

    def _json(self, body: bytes, request: Request) -> Answer:
        self._first_content()
        if self._sent is not None:
            self._sent(body)
        headers = self._headers()
        headers["content-type"] = "application/json"
        return request.send(body, headers)

    def _estimated(self, tokens: int, request: Request) -> Answer:
        """An answer of our own, labelled as such, where the provider cannot count."""
        self._upstream_headers = {"x-proxypal-estimate": "true"}
        return self._json(self._ask.dialect.count_reply(tokens), request)

    def _translated(self, response: Response, prepared: Prepared) -> Response:
        if prepared.encoded is None:
            return response
        carrying = self._services.carrier.outgoing(self._ask.dialect.NAME, prepared.speaks.NAME)
        return translated(response, prepared.encoded, carrying)

    async def _whole_as_stream(self, prepared: Prepared, reply: way_out.Reply) -> Answer | Failure:
        """A provider that answers a target for a stream with JSON: an error inside a 200, or the
        whole answer at once.
        """
        doc = _answer_object(await self._read_all(reply, ANSWER_LIMIT))
        notice = prepared.speaks.notice_whole(doc)
        if notice.failure is not None:
            return notice.failure
        _check_answer(notice)
        response = self._translated(_read(prepared.speaks.decode_response, doc), prepared)
        self._preparation.request()
        encoder = self._ask.dialect.encoder(self._preparation.reply())
        self._record.usage = response.usage
        self._first_content()
        down = self._downstream()
        told = b"".join([encoder.write(event) for event in unfold(response)])
        await down.write(self._seen(told, prepared))
        return await down.finish()

    async def _stream(self, prepared: Prepared, reply: way_out.Reply) -> Answer | Failure:
        pipe = self._pipe(prepared)
        seen = pipe.seen
        down = self._downstream()
        held: list[bytes] = []
        while True:
            out = b""
            try:
                out = await self._poured(prepared, reply, pipe)
                data = out or await self._read(reply, seen)
            except way_out.Broken as broken:
                if not seen.begun and not seen.proven:
                    raise
                if not (seen.finished or seen.proven):
                    return await self._break_off(pipe.fail(broken.failure), broken.failure)
                data = b""  # the terminal event had come
            if not out:
                out = pipe.feed(data) if data else pipe.close()
            if data and seen.finished and (rest := reply.whole()) is not None:
                out += (pipe.feed(rest) if rest else b"") + pipe.close()
                data = b""
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
                last = _unsaid_in(out, prepared)
                return await self._break_off(last, _unsaid(seen.failure, prepared))
            if not data or seen.cut:
                return await down.finish(self._seen(out, prepared))
            await down.write(self._seen(out, prepared))
            self._complete = seen.finished

    async def _poured(self, prepared: Prepared, reply: way_out.Reply, pipe: Pipe) -> bytes:
        """Once content has begun, it goes to the client as it comes, without this task being woken for
        each piece; what is returned is the first for which it has to be.
        """
        seen, down, idle = pipe.seen, self._downstream(), self._services.timeouts.idle
        if reply.pour is None or not seen.begun or seen.finished or seen.proven or down.is_full:
            return b""
        waiting = b""

        def take(data: bytes) -> bool:
            nonlocal waiting
            out = pipe.feed(data)
            over = seen.finished or seen.proven or seen.cut
            if over or seen.failure is not None or down.is_full:
                waiting = out
                return False
            down.write_now(self._seen(out, prepared))
            self._deadline.again(idle)
            return True

        await self._deadline.within(idle, reply.pour(take))
        return waiting

    async def _read(self, reply: way_out.Reply, seen: Seen) -> bytes:
        rest = reply.whole()
        if rest is not None:
            return rest
        timeouts = self._services.timeouts
        seconds = timeouts.idle if seen.begun else timeouts.first_byte
        if seen.finished or seen.proven:
            seconds = _LINGER
        return await self._deadline.within(seconds, reply.read())

    def _pipe(self, prepared: Prepared) -> Pipe:
        ask, reply = self._ask, self._preparation.reply()
        if prepared.encoded is None:
            revise = ask.dialect.without_usage if prepared.asks_usage else None
            return Passthrough(ask.dialect, reply, rename=prepared.rename, revise=revise)
        carrying = self._services.carrier.outgoing(ask.dialect.NAME, prepared.speaks.NAME)
        return Translation(prepared.speaks, ask.dialect, reply, prepared.encoded, carrying)

    async def _forward(self, reply: way_out.Reply, request: Request) -> Answer:
        """An answer in nobody's dialect (a file, speech, embeddings), byte for byte."""
        self._first_content()
        headers = {**self._headers(), **passing.of_body(reply.headers)}
        answer = request.stream(headers.items(), reply.status)
        while data := await self._deadline.within(self._services.timeouts.idle, reply.read()):
            if self._sent is not None:
                self._sent(data)
            await answer.write(data)
        return await answer.end()

    async def _read_all(self, reply: way_out.Reply, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while data := await self._deadline.within(self._services.timeouts.first_byte, reply.read()):
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

    async def _break_off(self, last: bytes, failure: Failure) -> Answer:
        self._ended = failure
        return await self._downstream().break_off(last)

    def _seen(self, data: bytes, prepared: Prepared) -> bytes:
        """*data* as it is sent, after whoever wants to see it has."""
        if self._ask.answered is None:
            return data
        native = prepared.encoded is None
        return self._ask.answered(data, account=self._record.served_by, native=native)

    def _first_content(self) -> None:
        self._record.first_content = max(0.0, self._services.clock() - self._record.at)

    def _headers(self) -> dict[str, str]:
        """The headers of a proxied answer."""
        headers = proxied_headers(self._record, attempts=len(self._record.attempts) + 1)
        headers["request-id"] = self._record.id
        if self._upstream_headers:  # which have Anthropic's own id, where Anthropic was asked
            headers.update(self._upstream_headers)
        if self._dropped:
            headers["x-proxypal-dropped"] = passing.printable(", ".join(self._dropped))
        return headers

    def _encoder_fails(self, failure: Failure) -> bytes:
        return self._ask.dialect.encoder(self._preparation.reply()).write(failure)


def _unsaid(failure: Failure, prepared: Prepared) -> Failure:
    """*failure* without our credential, which some providers repeat to say what is wrong with it."""
    told = jsonio.dumps([failure.message, failure.code, failure.param, failure.details])
    safe = _unsaid_in(told, prepared)
    if safe == told:
        return failure
    message, code, param, details = jsonio.loads(safe)
    return msgspec.structs.replace(
        failure, message=message, code=code, param=param, details=details
    )


def _unsaid_in(said: bytes, prepared: Prepared) -> bytes:
    secret = prepared.secret.reveal().encode()
    return said.replace(secret, b"***") if len(secret) >= _SHORTEST else said


def proxied_headers(record: Record, *, attempts: int) -> dict[str, str]:
    """Who answered, in the headers of every answer that a provider was asked for."""
    return {
        **_served(record.served_by, record.served_model),
        "x-request-id": record.id,
        "x-proxypal-attempts": str(attempts),
    }


@lru_cache(maxsize=1024)
def _served(account: str, model: str) -> Mapping[str, str]:
    provider = account.partition(":")[0]
    return {
        "server": "proxypal",
        "x-proxypal-account": passing.printable(masked(account)),
        "x-proxypal-model": passing.printable(f"{provider}/{model}"),
    }


_SEE_URL = "See whether the base_url of the provider is right"


def _answer_object(body: bytes) -> jsonio.JsonObject:
    try:
        return jsonio.load_object(body)
    except jsonio.Malformed as error:
        raise way_out.Broken(
            Kind.BAD_REPLY, f"the provider's answer: {error.problem}. {_SEE_URL}"
        ) from None


def _check_answer(notice: Notice) -> None:
    """Refuse a document that holds no answer: neither content nor a word of its end."""
    if not (notice.begun or notice.finished):
        raise way_out.Broken(Kind.BAD_REPLY, "the provider's answer holds no answer")


def _read(decode: Callable[[jsonio.JsonObject], T], doc: jsonio.JsonObject) -> T:
    """What a provider's whole answer says; one that cannot be read is the provider's fault."""
    try:
        return decode(doc)
    except jsonio.Malformed as error:
        problem = str(error)
    except Refused as refused:
        if refused.failure.kind is not Kind.INVALID:
            raise
        problem = refused.failure.message
    raise way_out.Broken(Kind.BAD_REPLY, f"the provider's answer cannot be read: {problem}")


def _minds_usage(failure: Failure) -> bool:
    """Whether a server does not know the field that asks for a stream's usage."""
    return failure.kind is Kind.INVALID and "stream_options" in failure.message
