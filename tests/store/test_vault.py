"""The vault opens as it was written, or says what happened; it is never empty by mistake."""

import errno
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxypal_core.store import passphrase
from proxypal_core.store.master_key import KeySource, MasterKey
from proxypal_core.store.vault import Stale, Vault
from proxypal_core.store.vault_format import (
    LARGEST,
    Damaged,
    Snapshot,
    VaultError,
    decode,
    encode,
    is_profile_id,
)
from proxypal_core.wire import jsonio
from tests.strategies import json_objects, names

KEY = MasterKey(bytes(range(32)), "a test")
OTHER_KEY = MasterKey(bytes(32), "another test")
STORE = bytes(range(16))
HERE = Path("here.vault")
HEADER = 38
PAGE = Path(__file__).parents[2] / "docs" / "vault-format.md"
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")

ids = st.builds(
    "{}:{}".format,
    names,
    st.text(
        st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"),
        min_size=1,
        max_size=30,
    ),
).filter(is_profile_id)
profile_sets = st.dictionaries(ids, json_objects, max_size=5)


def profile(key="sk-CANARY-0123456789"):
    return {"type": "api_key", "provider": "openai", "key": key, "created": "2026-01-01T00:00:00Z"}


def sealed(*names, key=KEY, store_id=STORE, generation=3):
    return encode(
        Snapshot({name: profile(f"sk-{name}") for name in names}, generation, store_id), key
    )


def records(data):
    """The pieces of a vault: the header, then each record with its length."""
    pieces, at = [data[:HEADER]], HEADER
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        pieces.append(data[at:end])
        at = end
    return pieces


@pytest.fixture
def vault(tmp_path):
    return vault_in(tmp_path)


def vault_in(folder, **environment):
    return Vault(folder / "data", KeySource("auto", folder / "state", environment))


def add(vault, name, key="sk-CANARY-0123456789"):
    return vault.update(lambda profiles: profiles.update({name: profile(key)}))


# ── the format ───────────────────────────────────────────────────────────────────────────────


@given(profile_sets, st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_any_set_of_profiles_comes_back_in_its_order(profiles, generation, store_id):
    snapshot = Snapshot(profiles, generation, store_id)

    back = decode(encode(snapshot, KEY), KEY, HERE)

    assert back == replace(snapshot, generations=dict.fromkeys(profiles, generation))
    assert list(back.profiles) == list(profiles)


@pytest.mark.parametrize("profiles", [(), ("openai:a",), ("openai:a", "openai:b")])
def test_every_single_changed_bit_is_refused(profiles):
    data = sealed(*profiles)

    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(VaultError):
            decode(bytes(changed), KEY, HERE)


def test_every_truncation_and_every_addition_is_refused():
    data = sealed("openai:a", "openai:b")

    for length in range(len(data)):
        with pytest.raises(Damaged):
            decode(data[:length], KEY, HERE)
    for more in (b"\0", data, records(data)[-1]):
        with pytest.raises(Damaged):
            decode(data + more, KEY, HERE)


def test_records_cannot_change_places():
    header, index, first, second = records(sealed("openai:a", "openai:b"))

    for pieces in ([header, index, second, first], [header, index, first, first]):
        with pytest.raises(Damaged, match="tampered"):
            decode(b"".join(pieces), KEY, HERE)


def test_records_cannot_be_left_out():
    header, index, first, second = records(sealed("openai:a", "openai:b"))

    for pieces in ([header, index, first], [header, index], [header], [header, first, second]):
        with pytest.raises(Damaged):
            decode(b"".join(pieces), KEY, HERE)


@pytest.mark.parametrize(
    "elsewhere", [{"store_id": bytes(16)}, {"generation": 2}], ids=["store", "generation"]
)
def test_records_of_another_store_or_generation_do_not_open(elsewhere):
    header, index, record = records(sealed("openai:a"))
    _, other_index, other_record = records(sealed("openai:a", **elsewhere))

    for pieces in ([header, index, other_record], [header, other_index, record]):
        with pytest.raises(Damaged, match="tampered"):
            decode(b"".join(pieces), KEY, HERE)


def test_another_key_is_refused_even_when_it_claims_to_be_the_right_one():
    data = bytearray(sealed("openai:a"))
    with pytest.raises(Damaged, match=f"another key.*{KEY.id.hex()}.*another test"):
        decode(bytes(data), OTHER_KEY, HERE)

    data[6:14] = OTHER_KEY.id

    with pytest.raises(Damaged, match="tampered"):
        decode(bytes(data), OTHER_KEY, HERE)


@pytest.mark.parametrize("size", [0, 27, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_record_of_an_impossible_size_is_refused(size):
    header, index, record = records(sealed("openai:a"))

    with pytest.raises(Damaged):
        decode(header + size.to_bytes(4, "big") + index[4:] + record, KEY, HERE)


def test_neither_keys_nor_names_nor_addresses_stand_in_the_file():
    data = encode(Snapshot({"openai:me@example.com": profile()}, 1, STORE), KEY)

    for word in (b"CANARY", b"example", b"openai", b"api_key"):
        assert word not in data


def test_the_same_content_is_never_written_the_same():
    assert sealed("openai:a") != sealed("openai:a")
    first, second = (records(sealed("openai:a")) for _ in range(2))
    assert all(a != b for a, b in zip(first[1:], second[1:], strict=True))


@pytest.mark.parametrize(
    "name",
    ["", "openai", ":a", "openai:", "a/b:c", "a:b\\c", "a:b\n", "a:\ud800", "a:" + "b" * 255],
)
def test_what_is_no_profile_id_is_not_written(name):
    assert not is_profile_id(name)
    with pytest.raises(ValueError, match="not a profile id"):
        encode(Snapshot({name: {}}, 1, STORE), KEY)


def test_a_vault_beyond_the_limit_is_not_written():
    with pytest.raises(VaultError, match="longer"):
        encode(Snapshot({"a:b": {"key": "x" * LARGEST}}, 1, STORE), KEY)


def published(title):
    """The JSON and the bytes of the vector called *title*."""
    page = PAGE.read_text(encoding="utf-8").partition(f"**{title}**")[2]
    json, vector = re.search(r"```json\n(.*?)```.*?```hex\n(.*?)```", page, re.DOTALL).groups()
    return jsonio.loads(json), bytes.fromhex(vector)


def test_the_published_vector_is_what_is_written_and_read():
    content, data = published("Version 2")
    nonces = iter(bytes([at] * 12) for at in range(9))
    snapshot = Snapshot(
        content["profiles"],
        7,
        STORE,
        bookkeeping=content["bookkeeping"],
        generations=dict(zip(["bookkeeping", *content["profiles"]], [7, 5, 2], strict=True)),
    )

    assert encode(snapshot, KEY, nonce=lambda: next(nonces)) == data
    assert decode(data, KEY, HERE) == snapshot


def test_the_first_version_is_read():
    profiles, data = published("Version 1")

    snapshot = decode(data, KEY, HERE)

    assert snapshot == Snapshot(profiles, 7, STORE, generations=dict.fromkeys(profiles, 7))


def test_every_single_changed_bit_of_the_first_version_is_refused():
    _, data = published("Version 1")

    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(VaultError):
            decode(bytes(changed), KEY, HERE)


@given(profile_sets, profile_sets, json_objects)
def test_what_does_not_change_keeps_its_bytes(first, second, book):
    earlier = encode(Snapshot(first, 1, STORE), KEY)
    generations = {name: 1 if first.get(name) == second[name] else 2 for name in second}
    after = Snapshot(second, 2, STORE, bookkeeping=book, generations=generations)

    data = encode(after, KEY, earlier=earlier)

    assert decode(data, KEY, HERE).profiles == second
    had = dict(zip(first, records(earlier)[2:], strict=True))
    has = dict(zip(second, records(data)[2 + bool(book) :], strict=True))
    for name, generation in generations.items():
        assert (had.get(name) == has[name]) == (generation == 1)


def test_a_record_of_an_earlier_generation_cannot_be_put_back():
    header, index, *now = records(sealed("openai:a", generation=3))
    _, _, *before = records(sealed("openai:a", generation=2))

    with pytest.raises(Damaged, match="tampered"):
        decode(b"".join([header, index, *before]), KEY, HERE)
    assert decode(b"".join([header, index, *now]), KEY, HERE)


# ── on disk ──────────────────────────────────────────────────────────────────────────────────


def test_a_vault_that_was_never_written_is_empty_and_reading_makes_nothing(vault, tmp_path):
    assert vault.read() == Snapshot()
    assert not list(tmp_path.iterdir())


def test_what_is_added_is_there(vault, tmp_path):
    add(vault, "openai:a")
    after = add(vault, "openai:b")

    assert after == vault_in(tmp_path).read()
    assert list(after.profiles) == ["openai:a", "openai:b"]
    assert after.generation == 2


def test_profiles_of_types_to_come_are_kept_untouched(vault):
    oauth = {"type": "oauth", "tokens": {"refresh": "r", "n": [1, 2.5, None, True]}, "é": "\u2028"}
    vault.update(lambda profiles: profiles.update({"claude:me@example.com": oauth}))

    add(vault, "openai:a")

    assert vault.read().profiles["claude:me@example.com"] == oauth


def test_earlier_generations_are_kept(vault):
    for generation in range(1, 6):
        add(vault, f"openai:{generation}")

    found = {
        path.name: decode(path.read_bytes(), vault.keys.read(), path).generation
        for path in vault.path.parent.glob("*.vault*")
        if path.suffix != ".lock"
    }
    assert found == {
        "auth-profiles.vault": 5,
        "auth-profiles.vault.1": 4,
        "auth-profiles.vault.2": 3,
        "auth-profiles.vault.3": 2,
    }


def test_a_change_that_fails_changes_nothing(vault):
    add(vault, "openai:a")
    before = vault.path.read_bytes()

    def change(profiles):
        profiles.clear()
        raise KeyError("no")

    with pytest.raises(KeyError):
        vault.update(change)

    assert vault.path.read_bytes() == before


@posix
def test_everything_made_is_the_owners_alone(vault, tmp_path):
    old = os.umask(0)
    try:
        for name in "abc":
            add(vault, f"openai:{name}")
    finally:
        os.umask(old)

    made = list(tmp_path.rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}


def test_no_secret_stands_in_any_file(vault, tmp_path):
    for name in "abc":
        add(vault, f"openai:{name}")

    key = vault.keys.read().data
    for path in vault.path.parent.iterdir():
        data = path.read_bytes()
        assert b"CANARY" not in data
        assert key not in data


# ── damage ───────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_vault_gives_the_generation_before_and_can_only_be_read(vault):
    add(vault, "openai:a")
    add(vault, "openai:b")
    data = vault.path.read_bytes()

    in_format = range(4 * 8, 6 * 8)  # a format to come is not damage
    for at in sorted(set(range(0, len(data) * 8, 7)) - set(in_format)):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        vault.path.write_bytes(changed)

        snapshot = vault.read()

        assert list(snapshot.profiles) == ["openai:a"]
        assert f"mv {vault.path}.1 {vault.path}" in snapshot.problem
        with pytest.raises(VaultError, match="nothing can be changed"):
            add(vault, "openai:c")
        assert vault.path.read_bytes() == changed


def test_a_lost_vault_is_not_an_empty_one(vault):
    add(vault, "openai:a")
    add(vault, "openai:b")
    vault.path.unlink()

    snapshot = vault.read()

    assert list(snapshot.profiles) == ["openai:a"]
    assert "is missing" in snapshot.problem
    with pytest.raises(VaultError, match="is missing"):
        add(vault, "openai:c")
    assert not vault.path.exists()


def test_the_older_of_two_earlier_generations_serves_when_the_newer_is_damaged_too(vault):
    for name in "abc":
        add(vault, f"openai:{name}")
    vault.path.write_bytes(b"")
    vault.path.with_name(vault.path.name + ".1").write_bytes(b"PPAL")

    snapshot = vault.read()

    assert list(snapshot.profiles) == ["openai:a"]
    assert f"{vault.path}.2" in snapshot.problem


@pytest.mark.parametrize("content", [b"", b"PPAL", b"{}" * 100, b"\0" * 500])
def test_damage_without_an_earlier_generation_is_an_error_and_stays_as_it_is(vault, content):
    add(vault, "openai:a")
    vault.path.write_bytes(content)

    for act in (vault.read, lambda: add(vault, "openai:b")):
        with pytest.raises(VaultError, match="back from a backup"):
            act()
    assert vault.path.read_bytes() == content


def test_a_lost_key_is_not_made_anew(vault):
    add(vault, "openai:a")
    key_file = vault.keys.file
    key_id = vault.keys.read().id.hex()
    key_file.unlink()

    for act in (vault.read, lambda: add(vault, "openai:b")):
        with pytest.raises(VaultError, match=f"no key file {key_file}.*id {key_id} back"):
            act()
    assert not key_file.exists()


def test_a_wrong_key_is_named_and_nothing_is_written(vault, tmp_path):
    for name in "abc":
        add(vault, f"openai:{name}")
    before = vault.path.read_bytes()
    wrong = vault_in(tmp_path, PROXYPAL_VAULT_KEY="00" * 32)

    for act in (wrong.read, lambda: add(wrong, "openai:b")):
        with pytest.raises(VaultError, match=r"another key.*PROXYPAL_VAULT_KEY.*written with"):
            act()
    assert vault.path.read_bytes() == before


@pytest.mark.parametrize("at", [4, 5], ids=["version", "algorithm"])
def test_a_vault_of_a_later_version_is_refused_though_an_earlier_generation_opens(vault, at):
    add(vault, "openai:a")
    add(vault, "openai:b")
    data = bytearray(vault.path.read_bytes())
    data[at] += 1
    vault.path.write_bytes(data)

    with pytest.raises(VaultError, match="use the version that wrote it"):
        vault.read()


@posix
@pytest.mark.parametrize("name", ["auth-profiles.vault", "auth-profiles.vault.lock"])
def test_a_planted_link_is_not_followed(vault, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_bytes(sealed("openai:planted"))
    before = victim.read_bytes()
    vault.path.parent.mkdir()
    (vault.path.parent / name).symlink_to(victim)

    with pytest.raises(VaultError, match="symbolic link"):
        add(vault, "openai:a")

    assert victim.read_bytes() == before
    made = {path.name for path in vault.path.parent.iterdir()}
    assert made == {name, "auth-profiles.vault.lock"}


@posix
def test_a_link_planted_for_the_earlier_generation_is_not_followed(vault, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    add(vault, "openai:a")
    vault.path.with_name(vault.path.name + ".1").symlink_to(victim)

    add(vault, "openai:b")

    assert victim.read_bytes() == b"precious"
    assert list(vault.read().profiles) == ["openai:a", "openai:b"]


# ── crashes and full disks ───────────────────────────────────────────────────────────────────

CALLS = ("open", "write", "fsync", "replace", "close")


class Killed(BaseException):
    """The process is gone: nothing after this runs, not even what cleans up."""


class FailsAt:
    """The system's calls, of which the *n*-th and, if it kills, all after it do not happen."""

    def __init__(self, monkeypatch, n, error):
        self.n = n
        self.error = error
        self.seen = 0
        for name in (*CALLS, "unlink"):
            monkeypatch.setattr(os, name, self.guarded(getattr(os, name), counted=name in CALLS))

    def guarded(self, real, *, counted):
        def call(*args, **options):
            self.seen += counted
            kills = isinstance(self.error, Killed)
            if (self.seen == self.n and counted) or (kills and self.seen >= self.n):
                raise self.error
            return real(*args, **options)

        return call


def outcomes(monkeypatch, tmp_path, error, act=lambda vault: add(vault, "openai:c")):
    """For every call that *act*, one update, makes: the vault after that call failed."""
    for n in range(1, 200):
        vault = vault_in(tmp_path / str(n))
        for name in "ab":
            add(vault, f"openai:{name}")
        with monkeypatch.context() as patched:
            calls = FailsAt(patched, n, error)
            try:
                act(vault)
            except (Killed, VaultError):
                failed = True
            else:
                failed = False
        if calls.seen < n:
            return
        yield vault, failed
    pytest.fail("the update never ends")


def test_a_failure_at_any_call_leaves_the_vault_whole(monkeypatch, tmp_path):
    error = OSError(errno.ENOSPC, "No space left on device")
    seen = 0

    for vault, failed in outcomes(monkeypatch, tmp_path, error):
        seen += 1
        after = vault.read()
        assert not after.problem
        assert after.generation in ((2, 3) if failed else (3,))
        assert not list(vault.path.parent.glob("*.tmp"))
        assert add(vault, "openai:d").generation == after.generation + 1

    assert seen >= 12


def test_a_kill_at_any_call_leaves_the_vault_whole(monkeypatch, tmp_path):
    left = 0

    for vault, _ in outcomes(monkeypatch, tmp_path, Killed()):
        after = vault.read()
        assert not after.problem
        assert after.generation in (2, 3)
        left += len(list(vault.path.parent.glob(".*.tmp")))
        assert add(vault, "openai:d").generation == after.generation + 1
        assert not list(vault.path.parent.glob(".*.tmp"))

    assert left


def test_a_full_disk_uses_no_earlier_generation_up(monkeypatch, vault):
    for name in "abcd":
        add(vault, f"openai:{name}")
    before = {path: path.read_bytes() for path in vault.path.parent.iterdir()}
    real = os.write
    room = 0

    def filling(handle, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(handle, bytes(data[:room]))
        room -= taken
        return taken

    monkeypatch.setattr(os, "write", filling)
    for _ in range(4):
        room = len(vault.path.read_bytes()) + 10  # enough for the copy, not for what is new
        with pytest.raises(VaultError, match="No space left"):
            add(vault, "openai:e")

    assert {path: path.read_bytes() for path in vault.path.parent.iterdir()} == before


@pytest.mark.parametrize("error", [Killed(), OSError(errno.ENOSPC, "full")], ids=["kill", "full"])
def test_a_rotation_cut_off_at_any_call_leaves_a_vault_that_opens_and_can_be_finished(
    monkeypatch, tmp_path, error
):
    seen = 0

    for vault, _ in outcomes(monkeypatch, tmp_path, error, lambda v: v.rotate(v.keys)):
        seen += 1
        assert list(vault.read().profiles) == ["openai:a", "openai:b"]
        assert add(vault, "openai:d").generation == 3
        assert vault.rotate(vault.keys) == []
        assert keys_of(vault) == {vault.keys.read().id}
        assert len(vault.read().profiles) == 3
        assert not list(tmp_path.rglob("*.next"))

    assert seen >= 20


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_file_system_that_takes_no_more_leaves_the_vault_whole(vault, tmp_path):
    add(vault, "openai:a")
    before = {path: path.read_bytes() for path in vault.path.parent.iterdir()}
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.store.test_vault import add, vault_in\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "add(vault_in(Path(sys.argv[1])), 'openai:b')\n"
    )

    done = subprocess.run(  # noqa: S603 — our own
        [sys.executable, "-B", "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=50,
    )

    assert "VaultError" in done.stderr
    assert "File too large" in done.stderr
    assert {path: path.read_bytes() for path in vault.path.parent.iterdir()} == before


# ── several writers ──────────────────────────────────────────────────────────────────────────


def test_threads_that_write_at_once_lose_nothing(vault, tmp_path):
    def write(who):
        own = vault_in(tmp_path)
        for at in range(10):
            add(own, f"{who}:{at}")

    threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    after = vault.read()
    assert after.generation == 40
    assert set(after.profiles) == {f"w{n}:{at}" for n in range(4) for at in range(10)}


def test_processes_that_write_at_once_lose_nothing(vault, tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.store.test_vault import add, vault_in\n"
        "own = vault_in(Path(sys.argv[1]))\n"
        "for at in range(15): add(own, f'{sys.argv[2]}:{at}')\n"
    )
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), who], cwd=root)  # noqa: S603 — our own
        for who in ("one", "two")
    ]

    assert [process.wait(50) for process in running] == [0, 0]
    assert vault.read().generation == 30
    assert set(vault.read().profiles) == {f"{w}:{n}" for w in ("one", "two") for n in range(15)}


def test_of_two_that_replace_the_same_profile_one_is_told(vault):
    seen = add(vault, "openai:a").generations["openai:a"]
    add(vault, "openai:b")  # another's change is none of theirs
    vault.put("openai:a", profile("first"), expected=seen)

    with pytest.raises(Stale, match="openai:a is at generation 3, not 1"):
        vault.put("openai:a", profile("second"), expected=seen)

    assert vault.read().profiles == {"openai:a": profile("first"), "openai:b": profile()}


def test_a_profile_is_added_only_where_none_is_and_removed_only_as_it_was_seen(vault):
    seen = vault.put("openai:a", profile(), expected=0).generations["openai:a"]

    with pytest.raises(Stale):
        vault.put("openai:a", profile("other"), expected=0)
    with pytest.raises(Stale):
        vault.put("openai:b", None, expected=seen)
    vault.put("openai:a", None, expected=seen)

    assert vault.read().profiles == {}


def test_processes_that_swap_at_once_lose_no_update(vault, tmp_path):
    add(vault, "openai:n", key="0")
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.store.test_vault import count, vault_in\n"
        "count(vault_in(Path(sys.argv[1])), 30)\n"
    )
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=root)  # noqa: S603 — our own
        for _ in range(2)
    ]

    assert [process.wait(50) for process in running] == [0, 0]
    assert vault.read().profiles["openai:n"]["key"] == "60"


def count(vault, times):
    """Add one to a number in the vault, again and again, by compare and swap."""
    done = 0
    while done < times:
        seen = vault.read()
        more = profile(str(int(seen.profiles["openai:n"]["key"]) + 1))
        try:
            vault.put("openai:n", more, expected=seen.generations["openai:n"])
        except Stale:
            continue
        done += 1


# ── bookkeeping ──────────────────────────────────────────────────────────────────────────────


def test_a_note_about_a_profile_does_not_touch_it(vault):
    for name in "ab":
        add(vault, f"openai:{name}")
    _, _, *before = records(vault.path.read_bytes())

    order = {"order": {"openai": ["openai:b", "openai:a"]}}
    after = vault.revise(lambda now: replace(now, bookkeeping=order))

    assert after.bookkeeping == vault.read().bookkeeping == order
    assert records(vault.path.read_bytes())[3:] == before
    assert add(vault, "openai:c").bookkeeping == order


def test_a_change_in_place_is_a_change(vault):
    add(vault, "openai:a")

    vault.update(lambda profiles: profiles["openai:a"].update(key="changed in place"))

    assert vault.read().profiles["openai:a"]["key"] == "changed in place"
    assert vault.read().generations == {"openai:a": 2}


def test_values_that_only_python_takes_for_the_same_are_a_change(vault):
    vault.update(lambda profiles: profiles.update({"x:y": {"n": 1}}))

    vault.update(lambda profiles: profiles.update({"x:y": {"n": True}}))

    assert vault.read().profiles["x:y"]["n"] is True


def test_the_signature_changes_with_the_vault_and_with_nothing_else(vault):
    seen = [vault.signature()]
    for name in "ab":
        add(vault, f"openai:{name}")
        assert vault.read()
        assert vault.signature() == vault.signature()
        seen.append(vault.signature())
    vault.rotate(vault.keys)
    seen.append(vault.signature())
    vault.path.unlink()

    assert len(set(seen)) == 4
    assert vault.signature() == seen[0]


# ── another key ──────────────────────────────────────────────────────────────────────────────


def keys_of(vault):
    """The key ids of the vault and its earlier generations."""
    return {path.read_bytes()[6:14] for path in [vault.path, *vault._older] if path.exists()}


def test_a_rotation_seals_every_generation_anew_and_changes_nothing_else(vault, tmp_path):
    for name in "abcde":
        add(vault, f"openai:{name}")
    before, old = vault.read(), vault.keys.read()

    assert vault.rotate(vault.keys) == []

    new = vault.keys.read()
    assert new.id != old.id
    assert keys_of(vault) == {new.id}
    assert vault.read() == vault_in(tmp_path).read() == before
    assert [decode(path.read_bytes(), new, path).generation for path in vault._older] == [4, 3, 2]
    assert [path.name for path in (tmp_path / "state").iterdir() if "next" in path.name] == []
    assert add(vault, "openai:f").generation == 6


def test_a_vault_of_the_first_version_becomes_one_of_the_second_with_a_change(vault, tmp_path):
    profiles, data = published("Version 1")
    vault.path.parent.mkdir()
    vault.path.write_bytes(data)
    own = vault_in(tmp_path, PROXYPAL_VAULT_KEY=KEY.data.hex())

    add(own, "openai:new")

    assert own.path.read_bytes()[4] == 2
    assert own._older[0].read_bytes() == data
    assert own.read().profiles == profiles | {"openai:new": profile()}
    assert own.read().generations == dict.fromkeys(profiles, 7) | {"openai:new": 8}


def test_a_key_from_the_environment_is_followed_by_the_one_that_is_given(vault, tmp_path):
    old = vault_in(tmp_path, PROXYPAL_VAULT_KEY="00" * 32)
    add(old, "openai:a")
    with pytest.raises(VaultError, match="from outside"):
        old.rotate(old.keys)

    old.rotate(old.keys, MasterKey(b"\1" * 32, "standard input"))

    assert vault_in(tmp_path, PROXYPAL_VAULT_KEY="01" * 32).read().profiles
    with pytest.raises(VaultError, match="another key"):
        old.read()


def test_a_key_moves_from_the_file_to_under_a_passphrase(vault, tmp_path, monkeypatch):
    monkeypatch.setitem(passphrase.wrap.__kwdefaults__, "log2_n", 14)
    add(vault, "openai:a")
    key_file = vault.keys.file
    environment = {"PROXYPAL_VAULT_PASSPHRASE": "correct horse"}
    sealed_keys = KeySource("passphrase", tmp_path / "state", environment)

    vault.rotate(sealed_keys)

    assert key_file.read_text().startswith("proxypal-key-1:scrypt:")
    assert Vault(tmp_path / "data", sealed_keys).read().profiles
    with pytest.raises(VaultError, match="PROXYPAL_VAULT_PASSPHRASE"):
        vault.read()


def test_there_is_nothing_to_rotate_where_there_is_no_vault(vault, tmp_path):
    with pytest.raises(VaultError, match="no vault"):
        vault.rotate(vault.keys)

    assert not list((tmp_path).rglob("vault.key*"))


def test_a_damaged_vault_is_not_rotated_and_a_damaged_earlier_one_is_left(vault):
    for name in "abc":
        add(vault, f"openai:{name}")
    vault._older[1].write_bytes(b"PPAL")
    good = vault.path.read_bytes()

    assert vault.rotate(vault.keys) == [vault._older[1]]
    vault.path.write_bytes(good[:-1])

    before = {path: path.read_bytes() for path in vault.path.parent.iterdir()}
    with pytest.raises(VaultError):
        vault.rotate(vault.keys)
    assert {path: path.read_bytes() for path in vault.path.parent.iterdir()} == before


def test_a_reader_that_saw_the_vault_before_and_the_key_after_a_rotation_looks_again(
    vault, tmp_path, monkeypatch
):
    add(vault, "openai:a")
    reader = vault_in(tmp_path)
    real = KeySource.opening

    def late(source, key_id):
        if source is reader.keys and not keys_of(vault) - {key_id}:
            vault.rotate(vault.keys)
        monkeypatch.undo()
        return real(source, key_id)

    monkeypatch.setattr(KeySource, "opening", late)

    assert reader.read().profiles
