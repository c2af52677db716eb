"""A profile is replaced only by who saw it as it is, and locked by one at a time."""

import threading

import pytest

from proxypal_core.store.logins import Logins
from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault

OLD, NEW = {"type": "oauth", "refresh": "r1"}, {"type": "oauth", "refresh": "r2"}


@pytest.fixture
def vault(tmp_path):
    vault = Vault(tmp_path / "data", KeySource("file", tmp_path / "state", {}))
    vault.update(lambda profiles: profiles.update({"a:me@example.com": OLD, "b:c": OLD}))
    return vault


def test_what_is_as_it_was_seen_is_replaced(vault):
    assert Logins(vault).replace("a:me@example.com", OLD, NEW)
    assert Logins(vault).read() == {"a:me@example.com": NEW, "b:c": OLD}


@pytest.mark.parametrize("name", ["a:me@example.com", "a:gone"])
def test_what_changed_or_is_gone_is_left_as_it_is(vault, name):
    before = vault.read().generation

    assert not Logins(vault).replace(name, NEW, {"type": "oauth"})
    assert vault.read().generation == before


def test_a_vault_that_cannot_be_used_is_an_error_of_the_system(vault):
    vault.path.write_bytes(b"")
    for path in vault.path.parent.glob("*.vault.*"):
        path.unlink()

    with pytest.raises(OSError, match="cut short"):
        Logins(vault).read()
    with pytest.raises(OSError, match="cut short"):
        Logins(vault).replace("b:c", OLD, NEW)


def test_a_lock_is_held_by_one_and_names_nobody(vault):
    logins, order = Logins(vault), []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with logins.lock("a:me@example.com"):
            inside.set()
            leave.wait(10)
            order.append("first")

    def second():
        with Logins(vault).lock("a:me@example.com"):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    with logins.lock("b:c"):  # another's is free meanwhile
        threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(10)

    assert order == ["first", "second"]
    assert not list(vault.path.parent.rglob("*example*"))
