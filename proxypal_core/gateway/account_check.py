"""One tiny real request with one account, whose answer nobody is sent.

The account is pinned (``provider/model@account``), so that no other answers in its place.
"""

import asyncio

import msgspec
from aiohttp import web

from proxypal_core import routing
from proxypal_core.accounts.account import Account, model_for
from proxypal_core.dialects import DIALECTS
from proxypal_core.gateway import surface
from proxypal_core.gateway.exchange import Exchange
from proxypal_core.gateway.front import Front
from proxypal_core.gateway.prepare import Ask
from proxypal_core.gateway.request import Answer, Request
from proxypal_core.hub.failure import Refused
from proxypal_core.metering import Record
from proxypal_core.wire import jsonio

SECONDS = 8.0
_TOKENS = 8
_LONGEST = 200
"""Characters of a provider's own message."""


class Outcome(msgspec.Struct, frozen=True):
    """How the test went: ``served``, ``timeout``, ``no_model`` when no model of the account is known,
    or a failure's kind.
    """

    account: str
    ok: bool
    model: str
    outcome: str
    seconds: float
    message: str = ""


class _Unsent(Exchange):
    def _json(self, body: bytes, request: Request) -> Answer:
        return web.Response(body=body)


async def tried(front: Front, account: Account, request: Request) -> Outcome:
    """How *account* answers; *request* is what asks for the test."""
    services = front.services
    model = model_for(account, services.providers)
    if not model:
        message = "no model is known to ask it for: name one under accounts[].models"
        return Outcome(
            account.id, ok=False, model="", outcome="no_model", seconds=0, message=message
        )
    clock = services.clock
    record = Record(id=front.new_id(), at=clock(), dialect=surface.CHAT, path=request.path)
    message = ""
    try:
        async with asyncio.timeout(SECONDS):
            await _Unsent(services, _ask(front, account, model, record), record).run(request)
        record.status = 200
    except TimeoutError:
        record.outcome, message = "timeout", f"there was no answer in {SECONDS:g} seconds"
    except (Refused, routing.UnknownModel) as error:
        record.outcome = error.failure.kind.value if isinstance(error, Refused) else "no_model"
        message = "".join(c if c.isprintable() else " " for c in str(error))[:_LONGEST]
    finally:
        record.duration = max(0.0, clock() - record.at)
        front.recorder.note(record, None)
    return Outcome(
        account=account.id,
        ok=record.outcome == "served",
        model=model,
        outcome=record.attempts[-1].outcome if record.attempts else record.outcome,
        seconds=record.duration,
        message=message,
    )


def _ask(front: Front, account: Account, model: str, record: Record) -> Ask:
    record.model = f"{account.provider}/{model}@{account.id}"
    doc: jsonio.JsonObject = {
        "model": record.model,
        "max_tokens": _TOKENS,
        "messages": [{"role": "user", "content": "Say ok."}],
    }
    return Ask(
        id=record.id,
        dialect=DIALECTS[surface.CHAT],
        operation="generate",
        model=record.model,
        stream=False,
        targets=routing.resolve(record.model, book=front.book),
        session=None,
        doc=doc,
        body=jsonio.dumps(doc),
        headers={},
    )
