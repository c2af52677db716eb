"""Where the vault's key comes from, and when it is refused."""

import base64
import os
import re
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.store import passphrase
from proxypal_core.store.master_key import (
    CREDENTIAL,
    PASSPHRASE,
    VARIABLE,
    KeyAbsent,
    KeySource,
    KeyUnusable,
    MasterKey,
)

RAW = bytes(range(100, 132))
OTHER = bytes(range(32))
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


def source(state_dir, kind="auto", **environment):
    return KeySource(kind, state_dir, environment)


@pytest.fixture
def credentials(tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / CREDENTIAL).write_bytes(base64.b64encode(OTHER))
    return str(folder)


@given(
    st.binary(min_size=32, max_size=32),
    st.sampled_from(
        [
            lambda raw: base64.b64encode(raw).decode(),
            lambda raw: base64.b64encode(raw).decode() + "\n",
            lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
            bytes.hex,
            lambda raw: raw.hex().upper(),
        ]
    ),
)
def test_every_usual_spelling_of_32_bytes_is_a_key(tmp_path_factory, raw, spell):
    key = source(tmp_path_factory.getbasetemp(), **{VARIABLE: spell(raw)}).read()

    assert key.data == raw


@pytest.mark.parametrize(
    "text",
    ["hush", "0a" * 31, "0a" * 33, "zz" * 32, base64.b64encode(b"a" * 31).decode(), "é" * 44],
)
def test_what_is_not_32_bytes_is_refused_and_not_repeated(tmp_path, text):
    with pytest.raises(KeyUnusable, match=f"^{VARIABLE} .*32 bytes") as caught:
        source(tmp_path, **{VARIABLE: text}).read_or_make()

    assert text not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_variable_goes_before_the_credential_and_that_before_the_file(tmp_path, credentials):
    made = source(tmp_path).read_or_make()
    both = {VARIABLE: RAW.hex(), "CREDENTIALS_DIRECTORY": credentials}

    assert source(tmp_path, **both).read().data == RAW
    assert source(tmp_path, CREDENTIALS_DIRECTORY=credentials).read().data == OTHER
    assert source(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).read().data == made.data
    assert source(tmp_path, **{VARIABLE: ""}).read().data == made.data


def test_a_key_source_of_file_looks_nowhere_else(tmp_path):
    keys = source(tmp_path, "file", **{VARIABLE: RAW.hex()})

    with pytest.raises(KeyAbsent):
        keys.read()
    assert keys.read_or_make().data != RAW
    assert keys.read().origin == str(tmp_path / "vault.key")


def test_a_key_source_of_environment_makes_no_file(tmp_path):
    source(tmp_path / "used").read_or_make()
    keys = source(tmp_path / "used", "environment")

    for ask in (keys.read, keys.read_or_make):
        with pytest.raises(KeyAbsent, match=f"{VARIABLE}.*openssl"):
            ask()
    assert KeySource("environment", tmp_path, {VARIABLE: RAW.hex()}).read_or_make().data == RAW


class Keyring(ModuleType):
    """The package, with a keyring in memory."""

    def __init__(self):
        super().__init__("keyring")
        self.errors = ModuleType("keyring.errors")
        self.errors.KeyringError = type("KeyringError", (Exception,), {})
        self.kept = {}
        self.locked = False

    def get_password(self, service, name):
        self._check()
        return self.kept.get((service, name))

    def set_password(self, service, name, text):
        self._check()
        self.kept[service, name] = text

    def delete_password(self, service, name):
        self._check()
        del self.kept[service, name]

    def _check(self):
        if self.locked:
            raise self.errors.KeyringError("no session")


@pytest.fixture
def keyring(monkeypatch):
    module = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", module.errors)
    return module


def test_the_systems_keyring_keeps_a_key_of_its_own_for_every_installation(tmp_path, keyring):
    one, other = (source(tmp_path / name, "keyring") for name in ("one", "other"))
    with pytest.raises(KeyAbsent, match="keyring"):
        one.read()

    made = one.read_or_make()

    assert source(tmp_path / "one", "keyring").read().data == made.data
    assert other.read_or_make().data != made.data
    assert not list(tmp_path.rglob("vault.key"))
    assert {service for service, _ in keyring.kept} == {"proxypal"}


def test_the_next_key_takes_the_present_ones_place_in_the_keyring(tmp_path, keyring):
    keys = source(tmp_path, "keyring")
    present, following = keys.read_or_make(), keys.next_or_make()
    assert keys.opening(following.id).data == keys.next_or_make().data == following.data
    assert keys.opening(present.id).data == present.data

    keys.promote()

    assert keys.read().data == following.data
    assert len(keyring.kept) == 1


def test_a_keyring_that_does_not_answer_or_keep_is_an_error(tmp_path, keyring):
    keyring.locked = True
    with pytest.raises(KeyUnusable, match=r"no session.*key_source: file"):
        source(tmp_path, "keyring").read_or_make()

    keyring.locked = False
    keyring.set_password = lambda *_: None
    with pytest.raises(KeyUnusable):
        source(tmp_path, "keyring").read_or_make()


def test_a_keyring_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(KeyUnusable, match=r"pip install 'proxypal-core\[keyring\]'"):
        source(tmp_path, "keyring").read()


# ── a passphrase ─────────────────────────────────────────────────────────────────────────────

PHRASE = "correct horse"


@pytest.fixture
def quick(monkeypatch):
    """scrypt as quick as it may be."""
    monkeypatch.setitem(passphrase.wrap.__kwdefaults__, "log2_n", 14)


@pytest.mark.usefixtures("quick")
def test_a_key_under_a_passphrase_is_opened_by_it_alone(tmp_path):
    made = source(tmp_path, "passphrase", **{PASSPHRASE: PHRASE}).read_or_make()

    text = (tmp_path / "vault.key").read_text()
    assert base64.b64encode(made.data).decode() not in text
    for kind in ("passphrase", "auto", "file"):
        assert source(tmp_path, kind, **{PASSPHRASE: PHRASE}).read().data == made.data
        with pytest.raises(KeyUnusable, match="does not open") as caught:
            source(tmp_path, kind, **{PASSPHRASE: "wrong horse"}).read()
        assert "wrong horse" not in str(caught.value)
    with pytest.raises(KeyUnusable, match=PASSPHRASE):
        source(tmp_path).read()
    assert (tmp_path / "vault.key").read_text() == text


@pytest.mark.usefixtures("quick")
def test_a_passphrase_is_asked_for_and_a_new_one_said_to_be_new(tmp_path):
    asked = []

    def ask(what, *, new):
        asked.append((what, new))
        return PHRASE

    keys = KeySource("passphrase", tmp_path, {}, ask)

    keys.read_or_make()

    path = str(tmp_path / "vault.key")
    assert asked == [(path, True), (path, False)]


@pytest.mark.usefixtures("quick")
def test_an_empty_passphrase_makes_no_key(tmp_path):
    keys = KeySource("passphrase", tmp_path, {}, lambda what, *, new: "")

    with pytest.raises(KeyUnusable):
        keys.read_or_make()

    assert not (tmp_path / "vault.key").exists()


def test_the_published_line_is_what_is_written_and_read():
    page = Path(__file__).parents[2] / "docs" / "vault-format.md"
    line = "".join(re.search(r"```text\n(.*?)```", page.read_text(), re.DOTALL)[1].split())
    randoms = iter([bytes(range(16)), bytes([3]) * 12])

    written = passphrase.wrap(OTHER, PHRASE, log2_n=14, random=lambda size: next(randoms))

    assert written == line
    assert passphrase.unwrap(line, PHRASE) == OTHER


@pytest.mark.parametrize("log2_n", ["00", "13", "21", "63", "99"])
def test_a_planted_line_can_be_neither_weak_nor_dear(log2_n):
    line = passphrase.wrap(OTHER, PHRASE, log2_n=14).replace(":14:", f":{log2_n}:")

    with pytest.raises(passphrase.NotOpened):
        passphrase.unwrap(line, PHRASE)


@given(st.integers(0, 129), st.integers(0, 6))
@settings(max_examples=40)
def test_a_changed_line_is_refused(at, bit):
    line = bytearray(LINE.encode())
    line[at] ^= 1 << bit
    changed = line.decode("latin-1")

    with pytest.raises(passphrase.NotOpened):
        passphrase.unwrap(changed, PHRASE)


LINE = passphrase.wrap(OTHER, PHRASE, log2_n=14)


# ── files ────────────────────────────────────────────────────────────────────────────────────


def test_a_made_key_is_kept_for_its_owner_alone(tmp_path):
    folder = tmp_path / "state"

    made = source(folder).read_or_make()

    assert len(made.data) == 32
    assert source(folder).read_or_make().data == made.data
    if os.name == "posix":
        assert stat.S_IMODE((folder / "vault.key").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_several_that_make_a_key_get_the_same(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = {
            key.data for key in threads.map(lambda _: source(tmp_path).read_or_make(), "x" * 16)
        }

    assert len(keys) == 1


@posix
@pytest.mark.parametrize("bits", [0o640, 0o644, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path, bits):
    keys = source(tmp_path)
    keys.read_or_make()
    keys.file.chmod(bits)

    with pytest.raises(KeyUnusable, match=f"mode {bits:03o}.*chmod 600"):
        keys.read()
    with pytest.raises(KeyUnusable):
        keys.read_or_make()


@posix
@pytest.mark.parametrize("target", ["there", "not-there"])
def test_a_link_at_the_key_file_is_not_followed(tmp_path, target):
    victim = tmp_path / target
    if target == "there":
        victim.write_bytes(base64.b64encode(RAW))
        victim.chmod(0o600)
    keys = source(tmp_path / "state")
    keys.file.parent.mkdir()
    keys.file.symlink_to(victim)

    for ask in (keys.read, keys.read_or_make):
        with pytest.raises(KeyUnusable, match="symbolic link"):
            ask()
    assert victim.exists() == (target == "there")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"short", b"0" * 5000])
def test_a_broken_key_file_is_never_replaced(tmp_path, content):
    keys = source(tmp_path)
    keys.file.write_bytes(content)
    keys.file.chmod(0o600)

    with pytest.raises(KeyUnusable):
        keys.read_or_make()

    assert keys.file.read_bytes() == content


def test_a_key_is_not_shown():
    key = MasterKey(RAW, "a test")

    for text in (repr(key), str(key), f"{key}"):
        assert "a test" in text
        assert RAW.hex() not in text
        assert repr(RAW) not in text
    assert key.id.hex() not in RAW.hex()
    assert key.id != MasterKey(OTHER, "a test").id


@pytest.mark.parametrize("content", [b"\xff" * 32, b"short"])
def test_a_broken_credential_is_refused_and_not_passed_over(tmp_path, credentials, content):
    source(tmp_path).read_or_make()
    (tmp_path / "credentials" / CREDENTIAL).write_bytes(content)

    with pytest.raises(KeyUnusable, match=CREDENTIAL):
        source(tmp_path, CREDENTIALS_DIRECTORY=credentials).read_or_make()
