"""What a client key may take of several replicas together."""

import asyncio
import math
import time

from proxypal_core.shared.link import SOONEST
from tests.figures import Figure
from tests.replicas.installation import installation

KEY = "key-of-a-laptop"
HEADERS = {"authorization": f"Bearer {KEY}"}


async def measure_limits(limit=300, clients=4):
    """*clients* on each of three replicas ask as fast as they can until nobody is let in."""
    extra = f"client_keys: [{{name: laptop, key: {KEY}, requests_per_minute: {limit}}}]\n"
    async with installation(extra=extra) as made:
        admitted, refused, elsewhere = 0, 0, 0
        began = time.perf_counter()

        async def client(replica):
            nonlocal admitted, refused, elsewhere
            denied = 0
            while denied < 20 and time.perf_counter() - began < 50:
                answer = await made.ask(replica, headers=HEADERS)
                admitted += answer.status == 200
                elsewhere += answer.status not in (200, 429)
                denied += answer.status == 429
                refused += answer.status == 429

        await asyncio.gather(
            *(client(replica) for replica in made.replicas for _ in range(clients))
        )
        took = time.perf_counter() - began
    others = len(made.replicas) - 1
    allowed = others * (clients + math.ceil(2 * SOONEST * admitted / took / len(made.replicas)))
    return [
        Figure(
            "limits",
            f"a key of {limit} requests a minute, {3 * clients} clients on 3 replicas at once: let in",
            f"{admitted} (in {took:.1f} s; {refused} refused)",
            f"{limit} to {limit + allowed}: + what two replicas let in while the third exchanges",
            held=limit <= admitted <= limit + allowed and elsewhere == 0,
        )
    ]


async def measure_divided(limit=90):
    """The same, when Redis is gone: each replica has its part."""
    extra = f"client_keys: [{{name: laptop, key: {KEY}, requests_per_minute: {limit}}}]\n"
    async with installation(extra=extra) as made:
        made.redis.kill()

        async def noticed():
            return not any([await made.heard(replica) for replica in made.replicas])

        await made.until(noticed)
        statuses = [
            (await made.ask(replica, headers=HEADERS)).status
            for replica in made.replicas
            for _ in range(limit)
        ]
    admitted = statuses.count(200)
    return [
        Figure(
            "limits",
            f"a key of {limit} requests a minute on 3 replicas without Redis: let in",
            f"{admitted} of {len(statuses)}",
            f"{limit}",
            held=admitted == limit and admitted + statuses.count(429) == len(statuses),
        )
    ]
