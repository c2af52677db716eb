"""``proxypal vault``: how the vault is, and another key for it."""

import os

import pytest

from proxypal_core.cli import passphrase as asking
from proxypal_core.store import passphrase
from proxypal_core.wire import jsonio
from tests.cli import home as home_module
from tests.cli.home import KEY


class Home(home_module.Home):
    """The same, for commands of every group."""

    def __init__(self, root):
        super().__init__(root)
        self.state = self.data.parent / "state"
        self.environment["PROXYPAL_VAULT_PASSPHRASE"] = None

    def run(self, *arguments, **options):
        asking.asked.cache_clear()
        return self.program(*map(str, arguments), **options)

    def add(self, name="work", **environment):
        result = self.run("auth", "add-key", "openai", "--name", name, stdin=KEY, **environment)
        assert result.exit_code == 0, result.output

    def ids(self, **environment):
        result = self.run("auth", "list", "--json", **environment)
        assert result.exit_code == 0, result.output
        return [row["id"] for row in jsonio.loads(result.stdout)["accounts"]]

    def status(self, **environment):
        result = self.run("vault", "status", "--json", **environment)
        return result.exit_code, jsonio.loads(result.stdout)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(passphrase.wrap.__kwdefaults__, "log2_n", 14)
    return Home(tmp_path)


# ── status ───────────────────────────────────────────────────────────────────────────────────


def test_a_vault_that_is_not_there_yet_is_no_fault(home):
    result = home.run("vault", "status")

    assert result.exit_code == 0
    assert "no vault yet" in result.output
    assert "auth add-key" in result.output
    assert not home.data.exists()


def test_the_status_names_the_vault_its_key_and_what_was_before(home):
    for name in "abc":
        home.add(name)

    code, found = home.status()

    assert code == 0
    assert found["path"] == str(home.vault)
    assert (found["generation"], found["accounts"], found["problems"]) == (3, 3, [])
    assert found["key"]["from"] == str(home.state / "vault.key")
    assert [row["generation"] for row in found["earlier"]] == [2, 1]
    text = home.run("vault", "status").output
    assert f"{home.vault}.1: generation 2" in text


def test_a_damaged_vault_is_told_and_the_exit_code_says_so(home):
    for name in "ab":
        home.add(name)
    home.vault.write_bytes(home.vault.read_bytes()[:-1])

    code, found = home.status()

    assert code == 1
    assert "mv " in found["problems"][0]
    assert found["accounts"] == 1


def test_a_lost_key_is_told(home):
    home.add()
    (home.state / "vault.key").unlink()

    code, found = home.status()

    assert code == 1
    assert "its key is not" in found["problems"][0]


def test_a_change_of_the_key_that_was_cut_off_is_told_until_it_is_finished(home):
    home.add()
    (home.state / "vault.key.next").write_text("00" * 32)
    (home.state / "vault.key.next").chmod(0o600)
    code, found = home.status()
    assert code == 1
    assert "proxypal vault rotate" in found["problems"][0]

    home.run("vault", "rotate")

    assert home.status()[0] == 0
    assert (home.state / "vault.key").read_text().strip() == "00" * 32


# ── rotate ───────────────────────────────────────────────────────────────────────────────────


def test_everything_is_there_under_the_new_key(home):
    for name in "abc":
        home.add(name)
    before = home.status()[1]

    result = home.run("vault", "rotate")

    assert result.exit_code == 0, result.output
    after = home.status()[1]
    assert before["key"]["id"] != after["key"]["id"]
    assert before | {"key": after["key"]} == after
    assert home.ids() == ["openai:a", "openai:b", "openai:c"]


def test_there_is_nothing_to_rotate_without_a_vault(home):
    result = home.run("vault", "rotate")

    assert result.exit_code == 1
    assert "no vault" in result.output
    assert not home.vault.exists()


def test_a_key_of_the_environment_is_followed_by_the_one_on_standard_input(home):
    old, new = {"PROXYPAL_VAULT_KEY": "11" * 32}, {"PROXYPAL_VAULT_KEY": "22" * 32}
    home.add(**old)
    nothing = home.run("vault", "rotate", stdin="", **old)
    assert nothing.exit_code == 1
    assert "openssl rand -base64 32" in nothing.output
    rubbish = home.run("vault", "rotate", stdin="CANARY", **old)
    assert rubbish.exit_code == 1

    result = home.run("vault", "rotate", stdin="22" * 32 + "\n", **old)

    assert result.exit_code == 0, result.output
    assert "in the place of the old one" in result.output
    assert "22" * 32 not in result.output
    assert home.ids(**new) == ["openai:work"]
    assert home.run("auth", "list", **old).exit_code == 1


def test_a_vault_moves_from_a_key_file_to_a_passphrase_and_back(home):
    home.add()
    phrase = {"PROXYPAL_VAULT_PASSPHRASE": "a phrase"}

    home.configure("vault: {key_source: passphrase}")
    under = home.run("vault", "rotate", **phrase)

    assert under.exit_code == 0, under.output
    assert home.ids(**phrase) == ["openai:work"]
    locked = home.run("auth", "list")
    assert locked.exit_code == 1
    assert "PROXYPAL_VAULT_PASSPHRASE" in locked.output
    wrong = home.run("auth", "list", PROXYPAL_VAULT_PASSPHRASE="another")
    assert "does not open" in wrong.output

    home.configure("vault: {key_source: file}")
    assert home.run("vault", "rotate", **phrase).exit_code == 0
    assert home.ids() == ["openai:work"]


def test_a_key_moves_from_the_environment_to_a_file(home):
    home.add(PROXYPAL_VAULT_KEY="11" * 32)
    home.configure("vault: {key_source: file}")

    result = home.run("vault", "rotate", "--from", "environment", PROXYPAL_VAULT_KEY="11" * 32)

    assert result.exit_code == 0, result.output
    assert home.ids() == ["openai:work"]


def test_a_keyring_that_is_not_installed_is_named(home, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    home.configure("vault: {key_source: keyring}")

    result = home.run("auth", "add-key", "openai", stdin=KEY)

    assert result.exit_code == 1
    assert "proxypal-core[keyring]" in result.output


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_everything_that_commands_make_is_the_owners_alone(home):
    old = os.umask(0)
    try:
        for name in "ab":
            home.add(name)
        home.run("vault", "rotate")
        home.run("auth", "export", home.data / "out.json")
    finally:
        os.umask(old)

    made = [home.data, home.state, *home.data.iterdir(), *home.state.iterdir()]
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_file()} == {"0o600"}
