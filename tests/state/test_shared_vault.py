"""Vaults of several machines that are kept as one."""

import asyncio
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxypal_core.app.shared_vault import SharedVault
from proxypal_core.shared.local import Local
from proxypal_core.shared.state import Unreachable
from proxypal_core.store.master_key import KeySource
from proxypal_core.store.sealing import Sealing, Unopened
from proxypal_core.store.vault import Vault, VaultError
from proxypal_core.upstream.asking import NotNow

NOW = 1_795_000_000.0
KEY = "5a" * 32
_ids = count(1)


class Shared(Local):
    """In memory, and gone while it is not ``up``."""

    def __init__(self):
        super().__init__(lambda: NOW)
        self.up = True

    async def records(self):
        self._check()
        return await super().records()

    async def put(self, name, record, *, expected):
        self._check()
        return await super().put(name, record, expected=expected)

    async def acquire(self, name, holder, seconds):
        self._check()
        return await super().acquire(name, holder, seconds)

    async def release(self, name, holder):
        self._check()
        await super().release(name, holder)

    def _check(self):
        if not self.up:
            raise Unreachable("gone")


class Machine:
    def __init__(self, folder, shared, *, key=KEY):
        Path(folder).mkdir(parents=True, exist_ok=True)
        keys = KeySource("auto", Path(folder), {"PROXYPAL_VAULT_KEY": key})
        self.vault = Vault(Path(folder), keys)
        self.shared = SharedVault(
            shared, self.vault, tenant="team", new_id=lambda: f"id-{next(_ids)}"
        )

    def write(self, name, **fields):
        row = {"type": "api_key", **fields}
        self.vault.update(lambda profiles: profiles.update({name: row}))

    def remove(self, name):
        self.vault.update(lambda profiles: profiles.pop(name, None))

    @property
    def profiles(self):
        return dict(self.vault.read().profiles)


def machines(folder, shared, many=2):
    return [Machine(Path(folder) / str(number), shared) for number in range(many)]


async def synced(*made):
    """Often enough that each has heard of what each has told."""
    for _ in range(2):
        for machine in made:
            await machine.shared.sync()


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["write", "write", "remove", "sync", "sync"]),
        st.sampled_from(["p:a", "p:b"]),
    ),
    max_size=14,
)


@settings(max_examples=15)
@given(steps=steps, flushed=st.integers(0, 14))
def test_whatever_is_written_where_all_vaults_become_the_same(steps, flushed):
    async def done():
        shared = Shared()
        with tempfile.TemporaryDirectory() as folder:
            made = machines(folder, shared, 3)
            for number, (at, act, name) in enumerate(steps):
                if number == flushed:
                    shared.forget()
                match act:
                    case "write":
                        made[at].write(name, key=f"key-{number}")
                    case "remove":
                        made[at].remove(name)
                    case _:
                        await made[at].shared.sync()
            await synced(*made)
            return [machine.profiles for machine in made]

    one, *others = asyncio.run(done())

    assert others == [one, one]


@given(name=st.text(max_size=9), generation=st.integers(0, 2**40), other=st.integers(0, 2**40))
def test_what_was_sealed_opens_only_under_its_name_and_generation(name, generation, other):
    sealing = Sealing(KeySource("auto", Path(), {"PROXYPAL_VAULT_KEY": KEY}).read(), "team")

    text = sealing.sealed(name, generation, {"key": "secret"})

    assert sealing.opened(name, generation, text) == {"key": "secret"}
    for wrong in ((f"{name}x", generation), (name, other if other != generation else other + 1)):
        with pytest.raises(Unopened):
            sealing.opened(*wrong, text)


# ── examples ─────────────────────────────────────────────────────────────────────────────────


async def test_a_profile_that_is_written_on_one_machine_is_on_all_and_nowhere_in_clear(tmp_path):
    shared = Shared()
    one, other = machines(tmp_path, shared)
    one.write("p:a", key="sk-secret")

    await synced(one, other)

    assert other.profiles == one.profiles == {"p:a": {"type": "api_key", "key": "sk-secret"}}
    assert "sk-secret" not in str(await shared.records())


async def test_what_is_removed_on_one_machine_is_removed_on_all(tmp_path):
    one, other = machines(tmp_path, Shared())
    one.write("p:a", key="k")
    await synced(one, other)

    other.remove("p:a")
    await synced(other, one)

    assert one.profiles == {}


async def test_bookkeeping_such_as_client_keys_is_shared(tmp_path):
    one, other = machines(tmp_path, Shared())
    one.vault.revise(
        lambda now: type(now)(
            profiles=now.profiles,
            generation=now.generation,
            store_id=now.store_id,
            bookkeeping={"client_keys": {"laptop": {}}},
            generations=now.generations,
        )
    )

    await synced(one, other)

    assert other.vault.read().bookkeeping == {"client_keys": {"laptop": {}}}


async def test_who_was_stopped_for_too_long_does_not_overwrite_what_came_after(tmp_path):
    one, other = machines(tmp_path, Shared())
    one.write("p:a", key="first")
    await synced(one, other)
    for number in range(5):
        one.write("p:other", key=str(number))  # its generations run ahead
    one.write("p:a", key="of the late one")
    other.write("p:a", key="of who went on")
    await other.shared.sync()

    await synced(one, other)

    assert one.profiles["p:a"]["key"] == other.profiles["p:a"]["key"] == "of who went on"


async def test_a_server_that_forgot_everything_is_told_the_highest_generation(tmp_path):
    shared = Shared()
    one, other = machines(tmp_path, shared)
    one.write("p:a", key="old")
    await synced(one, other)
    one.write("p:a", key="new")
    shared.forget()

    await synced(other, one)

    assert other.profiles["p:a"]["key"] == "new"


async def test_a_linked_login_stays_where_it_is(tmp_path):
    one, other = machines(tmp_path, Shared())
    one.vault.update(lambda profiles: profiles.update({"p:a": {"type": "linked", "source": "x"}}))

    await synced(one, other)

    assert other.profiles == {}


async def test_an_entry_that_does_not_open_is_told_once(tmp_path):
    shared = Shared()
    one = Machine(tmp_path / "0", shared)
    other = Machine(tmp_path / "1", shared, key="a5" * 32)
    one.write("p:me@example.com", key="k")

    with capture_logs() as lines:
        await synced(one, other)

    assert [line["entry"] for line in lines if "does not open" in line["event"]] == [
        "p:m***@example.com"
    ]
    assert other.profiles == {}


async def test_a_vault_that_is_damaged_is_not_shared(tmp_path):
    one = Machine(tmp_path / "0", Shared())
    one.write("p:a", key="k")
    one.write("p:a", key="k2")
    one.vault.path.write_bytes(b"no vault")

    with pytest.raises(VaultError):
        await one.shared.sync()


# ── claims ───────────────────────────────────────────────────────────────────────────────────


async def test_who_claims_a_profile_has_it_alone_and_as_it_is_anywhere(tmp_path):
    one, other = machines(tmp_path, Shared())
    one.write("p:a", key="first")
    await one.shared.sync()
    seen = []

    async def renew(machine, key):
        async with machine.shared.claim("p:a"):
            seen.append(machine.profiles["p:a"]["key"])
            await asyncio.sleep(0)
            machine.write("p:a", key=key)

    await renew(other, "second")
    await asyncio.gather(renew(one, "third"), renew(other, "third"))

    assert seen[:2] == ["first", "second"]
    assert seen[2] == "third"


async def test_without_the_server_only_who_renewed_last_renews(tmp_path):
    shared = Shared()
    one, other = machines(tmp_path, shared)
    one.write("p:a", key="first")
    await synced(one, other)
    shared.up = False

    async with one.shared.claim("p:a"):
        one.write("p:a", key="second")
    with pytest.raises(NotNow):
        async with other.shared.claim("p:a"):
            pass
    shared.up = True
    await synced(one, other)

    assert other.profiles["p:a"]["key"] == "second"


async def test_a_server_that_goes_away_meanwhile_does_not_undo_a_renewal(tmp_path):
    shared = Shared()
    one, other = machines(tmp_path, shared)
    one.write("p:a", key="first")
    await synced(one, other)

    with suppress(Unreachable):
        async with one.shared.claim("p:a"):
            one.write("p:a", key="second")
            shared.up = False
    shared.up = True
    await synced(one, other)

    assert other.profiles["p:a"]["key"] == "second"


async def test_a_lock_that_is_not_given_back_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("proxypal_core.app.shared_vault.PATIENCE", 0.01)
    one, other = machines(tmp_path, Shared())
    one.write("p:a", key="first")
    await synced(one, other)

    with pytest.raises(NotNow):
        async with one.shared.claim("p:a"), other.shared.claim("p:a"):
            pass
