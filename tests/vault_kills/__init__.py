"""Writers of the vault are killed at random moments (kill -9): no acknowledged write is ever lost, and
the vault is always whole.

``make vault-kills`` kills a thousand; ``python -m tests.vault_kills --count 50 --seed 7`` fewer.
"""

import random
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import NamedTuple

from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault

PATIENCE = 30.0
COUNTER = "openai:counter"
OTHERS = {f"openai:{n}": {"type": "api_key", "key": f"sk-{n}" * 50} for n in range(20)}
BOOK = {"version": 1, "order": {"openai": [COUNTER]}}


class Tally(NamedTuple):
    kills: int = 0
    acknowledged: int = 0
    rotations: int = 0
    leftovers: int = 0


def vault_in(folder):
    return Vault(folder / "data", KeySource("file", folder / "state", {}))


def filled(folder):
    """A vault in *folder* with a counter at 0 and other profiles."""
    vault = vault_in(folder)
    vault.revise(
        lambda now: type(now)(
            profiles={COUNTER: {"type": "api_key", "n": 0}, **OTHERS}, bookkeeping=BOOK
        )
    )
    return vault


def write_until_killed(folder, acknowledge):
    """Count in the vault, and say each number once it is written; now and then change the key."""
    vault = vault_in(folder)
    acknowledge.send((-1, 0))
    rotations = 0
    while True:
        seen = vault.read()
        n = seen.profiles[COUNTER]["n"] + 1
        vault.put(COUNTER, {"type": "api_key", "n": n}, expected=seen.generations[COUNTER])
        if n % 5 == 0:
            vault.rotate(vault.keys)
            rotations += 1
        acknowledge.send((n, rotations))


def kill_writers(folder, count, seed):
    """Kill *count* writers one after the other, and look after each at what it left."""
    chance = random.Random(seed)
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    vault = filled(folder)
    tally = Tally()
    for kill in range(count):
        before = vault.read().profiles[COUNTER]["n"]
        last, rotations = _killed_writer(context, folder, chance)
        acknowledged = max(last, before)
        after = vault.read()
        n = after.profiles[COUNTER]["n"]
        where = f"kill {kill} of seed {seed}"
        assert not after.problem, f"{where}: {after.problem}"
        assert n in (acknowledged, acknowledged + 1), f"{where}: {n} after {acknowledged}"
        assert {k: v for k, v in after.profiles.items() if k != COUNTER} == OTHERS, where
        assert after.bookkeeping == BOOK, where
        tally = Tally(
            tally.kills + 1,
            tally.acknowledged + acknowledged - before,
            tally.rotations + rotations,
            tally.leftovers + len(list(folder.rglob("*.tmp"))),
        )
    return tally


def _killed_writer(context, folder, chance):
    """The last number that a writer acknowledged, and the times it changed the key. It is killed some
    time between one write's end and the end of the second after it.
    """
    hears, says = context.Pipe(duplex=False)
    writer = context.Process(target=write_until_killed, args=(folder, says))
    writer.start()
    says.close()
    last, took = _heard(hears)
    for _ in range(chance.randint(1, 5)):
        last, took = _heard(hears)
    time.sleep(chance.random() * 2 * took)
    assert writer.exitcode is None, "the writer failed by itself"
    writer.kill()
    with suppress(EOFError):
        while True:
            last = hears.recv()
    writer.join(PATIENCE)
    writer.close()
    hears.close()
    return last


def _heard(hears):
    """What a writer says next, and the seconds until it did."""
    begun = time.perf_counter()
    assert hears.poll(PATIENCE), "the writer says nothing"
    return hears.recv(), time.perf_counter() - begun
