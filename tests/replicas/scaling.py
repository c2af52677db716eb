"""What a replica asks of Redis: the figures that docs/scaling.md reckons with."""

import asyncio
import time

from tests.figures import Figure
from tests.replicas.installation import installation
from tests.replicas.limits import KEY


async def measure_commands(seconds=5.0, clients=2):
    """The exchanges of three replicas that are idle, and that are busy with a limited key."""
    extra = f"client_keys: [{{name: laptop, key: {KEY}, requests_per_minute: 1000000}}]\n"
    figures = []
    async with installation(extra=extra) as made:
        for what, busy in (("idle", 0), ("busy", clients)):
            before, began = made.redis.commands()["evalsha"], time.perf_counter()
            answered = await _load(made, seconds, busy)
            calls, usec = (
                after - earlier
                for after, earlier in zip(made.redis.commands()["evalsha"], before, strict=True)
            )
            took = time.perf_counter() - began
            a_second = calls / took / len(made.replicas)
            figures.append(
                Figure(
                    "commands",
                    f"3 replicas, {what} ({answered / took:.0f} requests/s in all): exchanges a"
                    " second of each; microseconds of Redis for each",
                    f"{a_second:.2f}; {usec / calls:.0f}",
                    "< 50 a second",
                    held=a_second < 50,
                )
            )
    return figures


async def _load(made, seconds, clients):
    """How many answers came."""
    ends, answered = time.perf_counter() + seconds, 0
    headers = {"authorization": f"Bearer {KEY}"}

    async def client(replica):
        nonlocal answered
        while time.perf_counter() < ends:
            answered += (await made.ask(replica, headers=headers)).status == 200

    await asyncio.gather(
        *(client(replica) for replica in made.replicas for _ in range(clients)),
        asyncio.sleep(seconds),
    )
    return answered
