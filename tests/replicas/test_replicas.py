"""The short form of ``make replicas``: real daemons, a real Redis, a few seconds."""

import pytest

from tests.fault_server import Status
from tests.redis_server import MISSING, PROGRAM
from tests.replicas.installation import Replica, installation
from tests.replicas.limits import HEADERS, KEY
from tests.replicas.logins import renewals

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)

LIMIT = 12
SETTINGS = f"client_keys: [{{name: laptop, key: {KEY}, requests_per_minute: {LIMIT}}}]\n"


async def test_replicas_know_what_each_other_met_and_go_on_when_redis_is_killed():
    def with_account(replica: Replica):
        if replica.folder.name == "0":
            row = {"type": "api_key", "provider": "up", "key": "key-of-the-vault"}
            replica.vault.update(lambda profiles: profiles.update({"up:vault": row}))

    async with installation(2, many=2, extra=SETTINGS, prepare=with_account) as made:
        one, other = made.replicas

        async def taken_over():
            return "up:vault" in {row["id"] for row in (await made.api(other, "state"))["accounts"]}

        await made.until(taken_over)
        made.provider.script(Status(429, retry_after=3600), key="k1")
        answers = []
        while "up:k1" not in await made.rests(one):
            answers.append(await made.ask(one, headers=HEADERS))

        async def rests_there():
            return "up:k1" in await made.rests(other)

        await made.until(rests_there)
        answers.append(await made.ask(other, headers=HEADERS))

        async def agreed():
            one_s, other_s = [await made.api(each, "keys") for each in made.replicas]
            return _left(one_s) == _left(other_s)

        while answers[-1].status == 200:
            await made.until(agreed)
            answers.append(await made.ask(made.replicas[len(answers) % 2], headers=HEADERS))
        shared = await made.api(one, "replicas")
        made.redis.kill()

        async def alone():
            return not await made.heard(one)

        await made.until(alone)
        health = await (await made.session.get(f"{one.url}/health")).json()
        state = await made.api(other, "state")

    admitted = [answer for answer in answers if answer.status == 200]
    assert len(admitted) == LIMIT
    assert shared["reachable"]
    assert shared["replicas"] == 2
    assert shared["used_today"]["up:k0"]["requests"] >= 1
    assert health["status"] == "degraded"
    assert state["accounts"][1]["models"] or state["accounts"][1]["resting"]


def _left(keys):
    """What is left of the only key's requests."""
    return keys["keys"][0]["quotas"][0]["left"]


async def test_a_login_of_three_machines_is_renewed_once_each_time(tmp_path, redis_at):
    provider = await renewals(tmp_path, redis=redis_at, tasks=4, expiries=4, delay=0.0)

    assert provider.calls == ["refresh_token"] * 4
    assert not provider.revoked
