"""What the pool knows outlives the daemon, however it ended."""

import asyncio
import signal
from operator import le

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Stall, Status
from tests.gateway.asking import DIALECTS, ask, upstream
from tests.running import daemon, free_port

ADMIN = {"authorization": "Bearer admin-key-of-this-test"}
KEPT = ("served", "failed", "last_used", "resting", "models")
LIMITED, BROKE, REFUSED = "limited", "broke", "no-such-model"


async def get(server, path):
    async with (
        aiohttp.ClientSession(headers=ADMIN) as session,
        session.get(server.url + path) as answer,
    ):
        return jsonio.load_object(await answer.read())


async def standings(server):
    """What must outlive a daemon, by account."""
    # The store does one thing after the other: when it has looked for an answer that it does not
    # have, all that was noted before is in the file.
    assert "error" in await get(server, "/v1/responses/resp_unknown")
    state = await get(server, "/api/state")
    return {row["id"]: {name: row[name] for name in KEPT} for row in state["accounts"]}


async def killed(server):
    server.process.send_signal(signal.SIGKILL)
    await server.ended()


@pytest.fixture
def home(tmp_path, fault_server):
    """The variables of an installation whose accounts are in every state there is."""
    accounts = (LIMITED, BROKE, REFUSED, "k1", "k2")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"listen: {{port: {free_port()}}}\n"
        + upstream(fault_server, "anthropic", accounts=accounts)
        + "routing: {session_affinity: false}\n"
    )
    fault_server.always(Status(429, retry_after=3000), key=LIMITED)
    fault_server.always(Status(402), key=BROKE)
    fault_server.always(Status(404), key=REFUSED)
    return {
        "PROXYPAL_CONFIG": str(config),
        "PROXYPAL_DATA_DIR": str(tmp_path / "data"),
        "PROXYPAL_STATE_DIR": str(tmp_path / "state"),
        "PROXYPAL_ADMIN_KEY": "admin-key-of-this-test",
    }


async def test_a_daemon_that_was_killed_in_the_middle_goes_on_as_it_was(fault_server, home):
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as first:
        served = [(await ask(first, dialect))[0] for dialect in DIALECTS]
        fault_server.script(Stall(frames=1), Stall(frames=1))
        running = [asyncio.ensure_future(ask(first, "anthropic")) for _ in range(2)]
        await fault_server.until(lambda: sum(one.stalled for one in fault_server.requests) == 2)
        before = await standings(first)
        await killed(first)
        cut = await asyncio.gather(*running, return_exceptions=True)

    seen = len(fault_server.requests)
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as second:
        after = await standings(second)
        again, _, _, whole = await ask(second, "anthropic")

    assert served == [200] * 4
    assert not any(isinstance(one, tuple) and one[3] for one in cut)
    # That somebody was being asked is forgotten.
    used_before = [before[name].pop("last_used") or 0.0 for name in after]
    used_after = [row.pop("last_used") or 0.0 for row in after.values()]
    assert all(map(le, used_after, used_before))
    assert after == before
    assert before[f"up:{LIMITED}"]["models"]["m-1"]["until"]
    assert before[f"up:{BROKE}"]["resting"]["reason"] == "billing"
    assert sum(row["served"] for row in before.values()) == 4
    assert (again, whole) == (200, True)
    assert {one.key for one in fault_server.requests[seen:]} <= {"k1", "k2"}


async def test_who_was_used_last_is_still_last_after_a_kill(fault_server, home):
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as first:
        for _ in range(3):
            await ask(first, "anthropic")
        await standings(first)
        await killed(first)
    last = fault_server.requests[-1].key

    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as second:
        await ask(second, "anthropic")

    assert {last, fault_server.requests[-1].key} == {"k1", "k2"}
