"""An account that is limited on one replica rests on all; a conversation stays where it is."""

import asyncio
import time

from tests.fault_server import Status
from tests.figures import Figure
from tests.replicas.installation import installation

WITHIN = 1.0
"""Seconds after which an account must rest everywhere."""


async def measure_rests(accounts=12):
    """Each account in turn is limited while one of the replicas uses it."""
    async with installation(accounts) as made:
        slowest = 0.0
        for number, key in enumerate(made.keys[:-1]):
            one = made.replicas[number % len(made.replicas)]
            limited = {f"up:{each}" for each in made.keys[: number + 1]}
            made.provider.script(Status(429, retry_after=3600), key=key)
            while f"up:{key}" not in await made.rests(one):
                assert (await made.ask(one)).good
            began = time.perf_counter()

            async def everywhere(limited=limited):
                rests = await asyncio.gather(*map(made.rests, made.replicas))
                return all(limited <= each for each in rests)

            await made.until(everywhere)
            slowest = max(slowest, time.perf_counter() - began)
        asked = len(made.provider.requests)
        answers = [
            await made.ask(replica) for replica in made.replicas for _ in range(2 * accounts)
        ]
        wasted = len(made.provider.requests) - asked - len(answers)
    return [
        Figure(
            "cooldowns",
            f"{accounts - 1} accounts limited on one of 3 replicas: the last to rest on all after",
            f"{slowest * 1000:.0f} ms",
            f"< {WITHIN * 1000:.0f} ms",
            held=slowest < WITHIN,
        ),
        Figure(
            "cooldowns",
            "requests to accounts that another replica knew to be limited",
            f"{wasted} of {len(answers)}",
            "0",
            held=wasted == 0 and all(answer.good for answer in answers),
        ),
    ]


async def measure_affinity(conversations=60, turns=6, accounts=5):
    """Conversations whose turns come to another replica each; then an account of theirs is limited."""
    async with installation(accounts) as made:
        few = asyncio.Semaphore(4)  # an account that has much to do gives conversations away

        async def turn(number, at):
            replica = made.replicas[(number + at) % len(made.replicas)]
            async with few:
                return await made.ask(replica, session=f"conversation-{number}")

        before = await _turns(turn, conversations, turns)
        used = {account for each in before for account in each}
        made.provider.always(Status(429, retry_after=3600), key=made.keys[0])
        await _turns(turn, conversations, 1)  # whoever was there is moved
        await asyncio.sleep(WITHIN)
        after = await _turns(turn, conversations, turns)
        moved = sum(one[0] != other[0] for one, other in zip(before, after, strict=True))
        expected = sum(each[0] == f"up:{made.keys[0]}" for each in before)
    strayed = sum(len(set(each)) > 1 for each in (*before, *after))
    return [
        Figure(
            "affinity",
            f"{conversations} conversations of {2 * turns} turns on 3 replicas in turn: on two accounts",
            f"{strayed} (on {len(used)} accounts in all)",
            "0",
            held=strayed == 0 and len(used) == accounts,
        ),
        Figure(
            "affinity",
            "conversations that moved when their account was limited; that had to",
            f"{moved}; {expected}",
            "as many",
            held=moved == expected > 0,
        ),
    ]


async def _turns(turn, conversations, turns):
    """The accounts that each conversation was on."""
    found = [[] for _ in range(conversations)]
    for at in range(turns):
        answers = await asyncio.gather(*(turn(number, at) for number in range(conversations)))
        for number, answer in enumerate(answers):
            assert answer.good, answer
            found[number].append(answer.account)
    return found
