"""R18: the system's clock is set forward, set back, or has slept with the machine.

Whatever it does, nothing rests longer than it was said to (counted from the jump on, since nobody can
tell how much of it was over), no figure is negative, and nothing crashes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import aiohttp

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.client_keys import MINUTE, ClientKey, Ledger
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.limits import Gauge
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Record
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.upstream.asking import NotNow, Rests
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.tokens import Tokens
from proxypal_core.wire import jsonio
from tests.fault_server import FaultServer, Stall
from tests.figures import Figure
from tests.gateway.asking import ask, upstream
from tests.proxy import ADMIN_KEY, StoppedClock, proxy

HOUR, DAY, YEAR = 3600.0, 86400.0, 365.25 * 86400.0
MONTH = 31 * DAY
JUMPS: Mapping[str, float] = {
    "5 minutes back": -300.0,
    "an hour back": -HOUR,
    "a day back": -DAY,
    "ten years back": -10 * YEAR,
    "an hour on": HOUR,
    "a day on": DAY,
    "ten years on": 10 * YEAR,
    "asleep for 8 hours": 8 * HOUR,
}
Jump: TypeAlias = Callable[[], None]
Case: TypeAlias = Callable[[StoppedClock, Jump], Awaitable[None]]
"""What is done before and after a jump; raises AssertionError where that goes wrong."""

_M = Target("p", "m")
_LIMITED = Failure(Kind.RATE_LIMIT, "")


# ── rests ────────────────────────────────────────────────────────────────────────────────────


def _resting(failure: Failure, said: float) -> Case:
    """A lone account that rests for *said* seconds."""

    async def case(clock: StoppedClock, jump: Jump) -> None:
        pool = _pool(clock, "a")
        pool.failed(pool.lease([_M]), failure)
        jump()
        _is_back_within(said, pool, clock)

    return case


async def _restarted(clock: StoppedClock, jump: Jump) -> None:
    """The daemon was started anew after the jump."""
    rows: dict[tuple[str, str], Bookkeeping] = {}
    before = _pool(clock, "a", changed=lambda row: rows.update({(row.account, row.model): row}))
    before.failed(before.lease([_M]), _LIMITED)
    jump()
    after = _pool(clock, "a")
    after.restore(rows.values())
    _is_back_within(60, after, clock)


async def _there_and_back(clock: StoppedClock, jump: Jump) -> None:
    """The account failed while the clock was wrong."""
    right = clock.at
    jump()
    pool = _pool(clock, "a")
    pool.failed(pool.lease([_M]), _LIMITED)
    clock.at = right
    _is_back_within(60, pool, clock)


async def _again(clock: StoppedClock, jump: Jump) -> None:
    """The second failure comes after the jump."""
    pool = _pool(clock, "a")
    pool.failed(pool.lease([_M]), _LIMITED)
    clock.at += 60
    lease = pool.lease([_M])
    jump()
    pool.failed(lease, _LIMITED)
    _is_back_within(300, pool, clock)


async def _one_model(clock: StoppedClock, jump: Jump) -> None:
    """Others are asked first for a model that the account does not know."""
    pool = _pool(clock, "a", "b")
    pool.failed(pool.lease([_M]), Failure(Kind.MODEL, ""))
    jump()
    assert _taken(pool) == "p:b"
    clock.at += 301
    assert {_taken(pool) for _ in range(2)} == {"p:a", "p:b"}, "it is still passed over"


async def _much_trouble(clock: StoppedClock, jump: Jump) -> None:
    """A provider that was overloaded again and again is asked last."""
    accounts = [Account(id="p:a", provider="p"), Account(id="q:a", provider="q")]
    pool = Pool(accounts, clock=clock)
    for _ in range(5):
        pool.failed(pool.lease([_M]), Failure(Kind.OVERLOADED, ""))
    jump()
    clock.at += 16
    assert pool.lease([_M, Target("q", "m")]).account.id == "p:a", "it is still asked last"


async def _spared(clock: StoppedClock, jump: Jump) -> None:
    """An account that runs dry is used last, and used nevertheless."""
    pool = _pool(clock, "a")
    pool.note(pool.lease([_M]), [Gauge("tokens", "account", left=0.0, resets_at=clock.at + 60)])
    jump()
    assert _taken(pool) == "p:a"
    assert all(one.until >= 0 for one in pool.explain([_M]))


async def _conversation(clock: StoppedClock, jump: Jump) -> None:
    """A conversation is answered, and moves on when its account rests."""
    pool, chat = _pool(clock, "a", "b", affinity=HOUR), Session("chat")
    pool.served(pool.lease([_M], session=chat))
    jump()
    lease = pool.lease([_M], session=chat)
    pool.failed(lease, _LIMITED)
    assert pool.lease([_M], session=chat).account.id != lease.account.id


def _pool(clock: StoppedClock, *names: str, **options: object) -> Pool:
    return Pool([Account(id=f"p:{name}", provider="p") for name in names], clock=clock, **options)  # type: ignore[arg-type] # they are the pool's own


def _taken(pool: Pool) -> str:
    return pool.lease([_M]).account.id


def _is_back_within(said: float, pool: Pool, clock: StoppedClock) -> None:
    """Whoever asks meanwhile is told a time that comes."""
    for _ in range(4):
        try:
            pool.lease([_M])
        except NoneReady as none:
            told = (none.resumes_at or 0.0) - clock.at
            assert 0 <= told <= said, f"it rests {told:.0f} s, after {said:.0f} s were said"
        clock.at += said / 4
    clock.at += 1
    try:
        pool.lease([_M])
    except NoneReady as none:
        left = (none.resumes_at or 0.0) - clock.at
        raise AssertionError(f"{said:.0f} s later it rests {left:.0f} s more") from None


# ── clients' keys ────────────────────────────────────────────────────────────────────────────


def _used_up(key: ClientKey, longest: float) -> Case:
    """A key whose limit is reached, which is so for *longest* seconds at most."""

    async def case(clock: StoppedClock, jump: Jump) -> None:
        ledger = Ledger(clock)
        ledger.watch([key])
        assert not ledger.admit(key)
        ledger.used(key, tokens=10, usd=10.0)
        assert ledger.admit(key), "the limit is not reached"
        jump()
        for quota in ledger.quotas(key):
            assert 0 <= quota.left <= quota.limit
            assert 0 <= quota.resets_in <= longest, f"{quota.of} for {quota.resets_in:.0f} s"
        clock.at += longest + 1
        assert not ledger.admit(key), f"refused {longest:.0f} s later"

    return case


# ── logins ───────────────────────────────────────────────────────────────────────────────────


async def _login(clock: StoppedClock, jump: Jump) -> None:
    """A token is to be had, and another one for whom it is refused."""
    given = iter(range(100))
    shelf = _Shelf(clock)

    async def post(url: str, form: Mapping[str, str], proxy: str = "", /) -> bytes:
        return jsonio.dumps(
            {"access_token": f"new-{next(given)}", "refresh_token": "r", "expires_in": HOUR}
        )

    client = OAuth(client_id="c", token_url="https://login.example/token")
    tokens = Tokens(
        shelf,
        {"p": Provider(name="p", oauth=client)},
        post,
        Links(Path("/nowhere"), clock),
        clock=clock,
        chance=lambda: 0.5,
    )
    account = Account(id="p:me", provider="p", kind="oauth")
    assert (await tokens.credential(account)).reveal() == "first"
    jump()
    try:
        sent = await tokens.credential(account)
        if sent.reveal() == "first":  # and it has ended, by the clock of its provider
            assert await tokens.renew(account, sent), "there is no other token"
            assert (await tokens.credential(account)).reveal() != "first"
    except Refused as refused:
        raise AssertionError(str(refused.failure.message)) from None


class _Shelf:
    """A login in memory, as ``Tokens`` wants the vault."""

    def __init__(self, clock: StoppedClock) -> None:
        self._profile: jsonio.JsonObject = {
            "type": "oauth",
            "provider": "p",
            "access": "first",
            "refresh": "r",
            "issued": clock.at * 1000,
            "expires": (clock.at + HOUR) * 1000,
        }

    def read(self) -> Mapping[str, jsonio.JsonObject]:
        return {"p:me": self._profile}

    def replace(self, profile_id: str, old: jsonio.JsonObject, new: jsonio.JsonObject) -> bool:
        self._profile = new
        return True

    def lock(self, profile_id: str) -> "_Shelf":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


async def _token_endpoint(clock: StoppedClock, jump: Jump) -> None:
    """A token endpoint that could not be asked is left alone for a minute."""
    rests = Rests(clock)
    rests.failed("p:me", "it is down")
    jump()
    assert 0 <= _left_alone(rests) <= 60, f"left alone for {_left_alone(rests):.0f} s"
    clock.at += 61
    assert not _left_alone(rests), f"still left alone, for {_left_alone(rests):.0f} s more"


def _left_alone(rests: Rests) -> float:
    try:
        rests.check("p:me")
    except NotNow as error:
        return error.seconds
    return 0.0


# ── what is recorded ─────────────────────────────────────────────────────────────────────────


async def _hours(clock: StoppedClock, jump: Jump) -> None:
    """What was used before and after is added up, each in the hour in which it was."""
    database = Database(None)
    db = UsageDB(database)
    await db.flush()
    hours = []
    for _ in range(2):
        hours.append(clock.at // HOUR * HOUR)
        db.put(_record(clock.at))
        await db.flush()
        jump()
    totals = await db.totals("hour", 0, 20 * YEAR + clock.at)
    days = await db.totals("day", 0, 20 * YEAR + clock.at)
    await db.aclose()
    await database.aclose()
    assert len(totals) == len(set(hours))
    for rows in (totals, days):
        assert sum(row.requests for row in rows) == 2
        assert sum(row.input for row in rows) == 14


def _record(at: float) -> Record:
    return Record(
        id="r", at=at, dialect="gemini", path="/", outcome="served", usage=Usage(input_total=7)
    )


async def _request(clock: StoppedClock, jump: Jump) -> None:
    """The clock jumps while a request is being answered."""
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        FaultServer() as server,
        proxy(upstream(server, "anthropic"), clock=clock) as p,
        aiohttp.ClientSession(headers=admin) as session,
    ):
        server.script(Stall())
        asked = asyncio.ensure_future(ask(p, "anthropic"))
        await server.until(lambda: any(one.stalled for one in server.requests))
        jump()
        server.release()
        status, _, _, whole = await asked
        assert (status, whole) == (200, True)
        async with session.get(p.url + "/metrics") as answer:
            metrics = await answer.text()
        await p.gateway.front.recorder.usage.flush()
        async with session.get(p.url + "/api/requests") as answer:
            [row] = (await answer.json())["requests"]
    negative = [line for line in metrics.splitlines() if line.rpartition(" ")[2].startswith("-")]
    assert not negative, negative[0]
    times = [row["duration"], row["first_content"], *(one["duration"] for one in row["attempts"])]
    assert min(times) >= 0, f"it took {min(times):.0f} s"


# ── all of them ──────────────────────────────────────────────────────────────────────────────

CASES: Mapping[str, Case] = {
    "a limit": _resting(_LIMITED, 60),
    "a limit whose end was stated": _resting(Failure(Kind.RATE_LIMIT, "", retry_after=7200), 7200),
    "want of credit": _resting(Failure(Kind.BILLING, ""), 5 * HOUR),
    "a login that was refused": _resting(Failure(Kind.AUTH, ""), HOUR),
    "a limit, and a restart": _restarted,
    "a limit while the clock was wrong": _there_and_back,
    "a second limit": _again,
    "a model that is not known": _one_model,
    "a provider in trouble": _much_trouble,
    "an account that runs dry": _spared,
    "a conversation": _conversation,
    "a key's requests": _used_up(ClientKey("k", b"", requests_per_minute=1), MINUTE),
    "a key's tokens": _used_up(ClientKey("k", b"", tokens_per_minute=1), MINUTE),
    "a key's budget": _used_up(ClientKey("k", b"", budget_usd=1.0), MONTH),
    "a login": _login,
    "a token endpoint": _token_endpoint,
    "hours of usage": _hours,
    "a request": _request,
}


_TOLD = 3
"""Faults that are told in full."""


async def clocks(cases: Mapping[str, Case] = CASES) -> list[Figure]:
    """Each case with each jump."""
    wrong: dict[str, str] = {}
    for name, case in cases.items():
        for told, seconds in JUMPS.items():
            clock = StoppedClock()
            try:
                await case(clock, partial(_move, clock, seconds))
            except Exception as error:  # noqa: BLE001 — a crash is a finding like any other
                wrong[f"{name}, {told}"] = f"{type(error).__name__}: {error}"
    all_of_them = len(cases) * len(JUMPS)
    return [
        Figure(
            "R18",
            f"jumps of the clock ({len(cases)} cases, {len(JUMPS)} jumps) that did no harm",
            f"{all_of_them - len(wrong)} of {all_of_them}"
            + "".join(f"; {where}: {what}" for where, what in list(wrong.items())[:_TOLD]),
            "all",
            held=not wrong,
        )
    ]


def _move(clock: StoppedClock, seconds: float) -> None:
    clock.at += seconds
