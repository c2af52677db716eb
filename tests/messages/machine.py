"""Files, programs and logins of a machine that cannot be used, and commands that meet them."""

import sys
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

from proxypal_core.cli import auth_exchange
from proxypal_core.cli import login as login_command
from proxypal_core.cli import run as run_command
from proxypal_core.upstream import linked
from tests.cli.home import KEY
from tests.messages.commands import Typed, on_platform, port_taken

_REFUSAL = (
    b'HTTP/1.0 401 No\r\nserver: proxypal\r\n\r\n{"error": {"message": "this needs the admin key"}}'
)
_PASTED = "auth login acme --paste"
_ACME = """
providers:
  - name: acme
    dialect: openai-chat
    base_url: http://127.0.0.1:1/v1
    oauth:
      client_id: x
      issuer: https://acme.example
      token_url: http://127.0.0.1:1/token
      authorize_url: http://127.0.0.1:1/authorize
      redirect_port: {port}
"""
_LOGIN = _ACME.format(port=0)
_EXPIRED = '{"claudeAiOauth": {"accessToken": "x", "expiresAt": 1}}'


# ── what is done before ──────────────────────────────────────────────────────────────────────


def _vault_of(data):
    def begin(home, monkeypatch):
        home.add("anthropic")
        home.vault.write_bytes(data)

    return begin


def _vault_gone(home, monkeypatch):
    home.add("anthropic")
    home.add("openai")
    home.vault.unlink()


def _key_is_a_folder(home, monkeypatch):
    home.add("anthropic")
    key = next(home.root.rglob("vault.key"))
    key.unlink()
    key.mkdir()


def _credential(home, monkeypatch):
    folder = home.root / "credentials"
    folder.mkdir()
    (folder / "proxypal-vault-key").write_bytes(b"\xff")
    home.environment["CREDENTIALS_DIRECTORY"] = str(folder)


def _locked_keyring(home, monkeypatch):
    """As without a desktop session."""
    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.KeyringError = OSError

    def refuse(*_):
        raise OSError("No recommended backend was available.")

    keyring.get_password = keyring.set_password = refuse
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def _full(home, monkeypatch):
    home.add("anthropic", key="k" * 1000)
    monkeypatch.setattr("proxypal_core.store.vault_format.LARGEST", 1200)


def _back_with(query):
    """The person pastes the address of this login, with *query*."""

    def begin(home, monkeypatch):
        def address(url):
            state = parse_qs(urlsplit(url).query)["state"][0]
            return f"http://127.0.0.1:1/callback?state={state}{query}"

        monkeypatch.setattr(login_command, "_pasted", address)

    return begin


def _port_of_the_login_taken(home, monkeypatch):
    port_taken(b"")(home, monkeypatch)
    port = home.server.server_address[1]
    home.settings.write_text(f"listen: {{port: 1}}{_ACME.format(port=port)}")


def _provider_gone(home, monkeypatch):
    home.configure(_LOGIN)
    home.add("acme")
    home.configure("")


def _linked(text, mode=0o600, path=".claude/.credentials.json"):
    return lambda home, monkeypatch: home.put(path, text, mode)


def _link_out(home, monkeypatch):
    (home.root / "out").write_text("{}")
    (home.user / ".claude").mkdir()
    (home.user / ".claude/.credentials.json").symlink_to(home.root / "out")


def _folder(path):
    return lambda home, monkeypatch: (home.user / path).mkdir(parents=True)


class _Security:
    """macOS's program, which finds nothing."""

    returncode = 44

    async def communicate(self):
        return b"", None


def _on_a_mac(home, monkeypatch):
    async def started(*_, **__):
        return _Security()

    monkeypatch.setattr(linked, "_PLATFORM", "darwin")
    monkeypatch.setattr(linked.asyncio, "create_subprocess_exec", started)


def _key_of_an_agent(home, monkeypatch):
    home.program("keys", "create", "claude-code")


def _runs_with(path, text=None):
    """A daemon answers, and the agent's file at *path* has *text*, or is a folder."""

    def begin(home, monkeypatch):
        monkeypatch.setattr(run_command, "is_proxypal", lambda _: True)
        monkeypatch.setattr("proxypal_core.cli.agents._NOTICED_SECONDS", 0)
        if path:
            (_folder(path) if text is None else _linked(text, path=path))(home, monkeypatch)

    return begin


def _program_of_nothing(home, monkeypatch):
    _runs_with("")(home, monkeypatch)

    def gone(*_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(run_command.os, "execve", gone)


def _receipt_of_later(home, monkeypatch):
    path = home.data / "receipts" / "claude-code.json"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text('{"version": 99, "agent": "claude-code", "at": 0, "files": []}')


def _no_place_for_units(home, monkeypatch):
    (home.user / ".config").write_text("")
    on_platform("linux")(home, monkeypatch)


def _small_imports(home, monkeypatch):
    monkeypatch.setattr(auth_exchange, "LARGEST", 4)
    (home.root / "a.json").write_text("{     }")


CASES = {
    # ── logins ──
    "The provider is another than was asked": Typed(
        _PASTED, settings=_LOGIN, before=_back_with("&code=x&iss=https://other.example")
    ),
    "The person says no": Typed(
        _PASTED, settings=_LOGIN, before=_back_with("&error=access_denied")
    ),
    "The address that is pasted is cut": Typed(_PASTED, settings=_LOGIN, before=_back_with("")),
    "The port of a login is taken": Typed(
        "auth login acme --no-browser", before=_port_of_the_login_taken
    ),
    "A linked login is a key": Typed(
        "auth link openai-codex", before=_linked('{"OPENAI_API_KEY": "x"}', path=".codex/auth.json")
    ),
    "A linked login has expired": Typed("auth link anthropic", before=_linked(_EXPIRED)),
    "A linked login is in no form that is known": Typed(
        "auth link anthropic", before=_linked("{}")
    ),
    "A linked login can be written by others": Typed(
        "auth link anthropic", before=_linked(_EXPIRED, 0o666)
    ),
    "A linked login is elsewhere": Typed("auth link anthropic", before=_link_out),
    "A linked login is no file": Typed(
        "auth link anthropic", before=_folder(".claude/.credentials.json")
    ),
    "A linked login is too long": Typed(
        "auth link anthropic", before=_linked("x" * (linked.LARGEST + 1))
    ),
    "The keychain gives no login": Typed("auth link anthropic", before=_on_a_mac),
    "An account's provider is gone": Typed("auth test acme:default", before=_provider_gone),
    # ── the vault ──
    "The vault is cut short": Typed("auth add-key gemini", stdin=KEY, before=_vault_of(b"PPV")),
    "The vault is another file": Typed(
        "auth add-key gemini", stdin=KEY, before=_vault_of(b"x" * 200)
    ),
    "The vault is gone, and an earlier one is there": Typed(
        "auth add-key gemini", stdin=KEY, before=_vault_gone
    ),
    "The vault is full": Typed("auth add-key gemini", stdin=KEY, before=_full),
    "The vault's key cannot be read": Typed(
        "auth add-key gemini", stdin=KEY, before=_key_is_a_folder
    ),
    "The vault's key from systemd is no text": Typed(
        "auth add-key gemini", stdin=KEY, before=_credential
    ),
    "The keyring is locked": Typed(
        "auth add-key gemini",
        stdin=KEY,
        settings="vault: {key_source: keyring}\n",
        before=_locked_keyring,
    ),
    # ── import ──
    "A file to import is too long": Typed("auth import {root}/a.json", before=_small_imports),
    # ── agents ──
    "A client key has an agent's name": Typed("setup claude-code", before=_key_of_an_agent),
    "The file of an agent that is run cannot be read": Typed(
        "run gemini", before=_runs_with(".gemini/settings.json", "{")
    ),
    "The file of an agent that is run cannot be used": Typed(
        "run gemini", before=_runs_with(".gemini/settings.json")
    ),
    "An agent cannot be started": Typed("run claude-code", before=_program_of_nothing),
    "The file of an agent cannot be used": Typed(
        "setup claude-code", before=_folder(".claude/settings.json")
    ),
    "A record of a set-up is of a later version": Typed(
        "unsetup claude-code", before=_receipt_of_later
    ),
    # ── the daemon and the service ──
    "The file of the service cannot be written": Typed(
        "service install", before=_no_place_for_units
    ),
    "The daemon refuses": Typed("auth reset", before=port_taken(_REFUSAL)),
    "There is no admin key to watch with": Typed("watch"),
    "There is no daemon to watch": Typed("watch", environment={"PROXYPAL_ADMIN_KEY": "k"}),
    "The daemon to watch has another admin key": Typed(
        "watch", before=port_taken(_REFUSAL), environment={"PROXYPAL_ADMIN_KEY": "k"}
    ),
}
