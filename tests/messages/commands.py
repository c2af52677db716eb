"""What goes wrong at the command line, and how to have it go wrong."""

import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proxypal_core.cli import login as login_command
from proxypal_core.cli import service as service_command
from proxypal_core.daemon import lock
from proxypal_core.store import passphrase
from proxypal_core.store.vault_format import MAGIC
from tests.cli.agent_home import AgentHome
from tests.cli.home import KEY


def nothing(home, monkeypatch):
    """Everything that is needed is there as it is."""


@dataclass(frozen=True)
class Typed:
    """*words* after ``proxypal``. ``{root}`` in them is a folder of the test's own; *settings* are
    the file's text, and *before* makes the trouble.
    """

    words: str
    stdin: str = ""
    settings: str = ""
    before: Callable[..., None] = nothing
    environment: Mapping[str, str] = field(default_factory=dict)

    def result(self, tmp_path, monkeypatch):
        """What a person reads, and the exit code."""
        home = AgentHome(tmp_path, "claude", "gemini")
        home.configure(self.settings)
        self.before(home, monkeypatch)
        words = self.words.format(root=tmp_path).split()
        found = home.program(*words, stdin=self.stdin, **self.environment)
        return found.output, f"exit {found.exit_code}"


# ── what is done before ──────────────────────────────────────────────────────────────────────


def _account(home, monkeypatch):
    home.add("anthropic")


def _disabled(home, monkeypatch):
    home.add("anthropic")
    home.run("disable", "anthropic:default")


def _client_key(home, monkeypatch):
    home.program("keys", "create", "laptop")


def _damaged(home, monkeypatch):
    home.add("anthropic")
    data = bytearray(home.vault.read_bytes())
    data[-1] ^= 1
    home.vault.write_bytes(data)


def _damaged_after_another(home, monkeypatch):
    home.add("openai")
    _damaged(home, monkeypatch)


def _without_key(home, monkeypatch):
    home.add("anthropic")
    next(home.root.rglob("vault.key")).unlink()


def _with_another_key(home, monkeypatch):
    home.add("anthropic")
    next(home.root.rglob("vault.key")).write_text("00" * 32)


def _with_an_open_key(home, monkeypatch):
    home.add("anthropic")
    next(home.root.rglob("vault.key")).chmod(0o644)


def _data_is_a_file(home, monkeypatch):
    home.data.parent.mkdir()
    home.data.write_text("")


def _no_lock(home, monkeypatch):
    (home.data / lock.NAME).mkdir(parents=True)


def _settings_are_a_folder(home, monkeypatch):
    home.settings.unlink()
    home.settings.mkdir()


def _settings_in_another_encoding(home, monkeypatch):
    home.settings.write_bytes(b"# caf\xe9\n")


def _of_a_later_version(home, monkeypatch):
    home.add("anthropic")
    data = bytearray(home.vault.read_bytes())
    data[len(MAGIC)] = 9
    home.vault.write_bytes(data)


def _no_keyring(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)


def _another_passphrase(home, monkeypatch):
    monkeypatch.setitem(passphrase.wrap.__kwdefaults__, "log2_n", 14)
    home.add("anthropic", PROXYPAL_VAULT_PASSPHRASE="one")


def _a_daemon_of_the_data(home, monkeypatch):
    home.data.mkdir(parents=True)
    home.held = lock.take(home.data, "http://127.0.0.1:1")


def port_taken(answer):
    """Another program has the port 1 of the settings, which becomes a free one, and *answer*s so."""

    def begin(home, monkeypatch):
        home.server = server = socketserver.TCPServer(("127.0.0.1", 0), _Answering)
        server.answer = answer
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home.configure(f"listen: {{port: {server.server_address[1]}}}\n")

    return begin


class _Answering(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(self.server.answer)


def _broken_receipt(home, monkeypatch):
    path = home.data / "receipts" / "claude-code.json"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("{}")


def _without_a_browser(home, monkeypatch):
    monkeypatch.setattr(login_command, "has_browser", lambda: False)


def _file(name, text):
    def write(home, monkeypatch):
        path = home.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return write


def _agents_file(path, data):
    def write(home, monkeypatch):
        home.put(path, "").write_bytes(data)

    return write


def _impatient(home, monkeypatch):
    monkeypatch.setattr(login_command, "has_browser", lambda: True)
    monkeypatch.setattr(login_command.webbrowser, "open", lambda url: None)
    monkeypatch.setattr(login_command.ways, "PATIENCE", 0.01)


def _without_systemd(home, monkeypatch):
    monkeypatch.setattr(service_command.sys, "platform", "linux")
    monkeypatch.setattr(service_command.shutil, "which", lambda name, **_: None)


def _no_redis(home, monkeypatch):
    monkeypatch.setattr("proxypal_core.app.sharing.find_spec", lambda name: None)


def on_platform(platform, code=0, missing=()):
    """A service manager that ends with *code*; programs that are *missing* are not there."""

    def begin(home, monkeypatch):
        done = type("Done", (), {"returncode": code})
        monkeypatch.setattr(service_command.sys, "platform", platform)
        monkeypatch.setattr(
            service_command.shutil, "which", lambda name, **_: None if name in missing else name
        )
        monkeypatch.setattr(service_command.subprocess, "run", lambda *_, **__: done)

    return begin


_LOGIN = """
providers:
  - name: acme
    dialect: openai-chat
    base_url: http://127.0.0.1:1/v1
    oauth: {client_id: x, token_url: "http://127.0.0.1:1/token", %s: "http://127.0.0.1:1/x"}
"""
_IN_BROWSER, _BY_CODE = _LOGIN % "authorize_url", _LOGIN % "device_url"
_OF_OURS = b'HTTP/1.0 200 OK\r\nserver: proxypal\r\n\r\n{"name": "proxypal"}'
_OPEN = "listen: {host: 0.0.0.0}\n"
_OUTSIDE = "vault: {key_source: environment}\n"

CASES = {
    # ── settings ──
    "The settings file that you name is not there": Typed("config check --config {root}/none.yaml"),
    "The settings file cannot be read": Typed("config check", before=_settings_are_a_folder),
    "The settings file is not UTF-8": Typed("config check", before=_settings_in_another_encoding),
    "The settings file is not YAML": Typed("config check", settings="models: [\n"),
    "A setting is misspelt": Typed("config check", settings="loging: {level: info}\n"),
    "A setting has a value of another kind": Typed(
        "config check", settings="timeouts: {idle: soon}\n"
    ),
    "A setting has a word that it does not know": Typed(
        "config check", settings="routing: {strategy: round_robbin}\n"
    ),
    "A setting names a variable that is not set": Typed(
        "config check", settings='network: {proxy: "${NOWHERE}"}\n'
    ),
    "A provider in the settings is misspelt": Typed(
        "config check", settings='accounts: [{id: "antropic:a", api_key: x}]\n'
    ),
    "A provider of your own has no address": Typed(
        "config check", settings="providers: [{name: mine}]\n"
    ),
    "A route leads back to itself": Typed(
        "config check", settings="models: [{name: a, route: [b]}, {name: b, route: [a]}]\n"
    ),
    "The daemon would be open to other machines": Typed("config check", settings=_OPEN),
    # ── accounts ──
    "A provider is misspelt": Typed("auth add-key antropic"),
    "A provider is unknown": Typed("auth add-key zzz"),
    "There is no key on standard input": Typed("auth add-key anthropic"),
    "What is given as a key is not one": Typed("auth add-key anthropic", stdin="two words"),
    "An account has both an e-mail and a name": Typed(
        "auth add-key anthropic --email a@b.c --name x"
    ),
    "An account's name cannot be": Typed("auth add-key anthropic --name a/b"),
    "An account is there already": Typed("auth add-key anthropic", stdin=KEY, before=_account),
    "A provider takes no keys": Typed("auth add-key openai-codex", stdin=KEY),
    "An account is misspelt": Typed("auth remove anthropic:defalt", before=_account),
    "An account is unknown": Typed("auth remove openai:work", before=_account),
    "An account comes from the settings": Typed(
        "auth remove openai:work", settings='accounts: [{id: "openai:work", api_key: x}]\n'
    ),
    "An account to test is not used": Typed("auth test anthropic:default", before=_disabled),
    "An order names an account twice": Typed(
        "auth order set --provider anthropic anthropic:default anthropic:default", before=_account
    ),
    "An order names another provider's account": Typed(
        "auth order set --provider openai anthropic:default", before=_account
    ),
    "The settings have the order": Typed(
        "auth order set --provider anthropic anthropic:default",
        before=_account,
        settings="routing: {order: {anthropic: ['anthropic:default']}}\n",
    ),
    # ── logins ──
    "A provider offers no login": Typed("auth login openai"),
    "A provider has no login by code": Typed("auth login acme --device", settings=_IN_BROWSER),
    "A provider has no login in a browser": Typed("auth login acme", settings=_BY_CODE),
    "A login by code is to be pasted": Typed("auth login acme --device --paste", settings=_BY_CODE),
    "Nobody comes back from the browser": Typed(
        "auth login acme", settings=_IN_BROWSER, before=_impatient
    ),
    "The provider's login cannot be reached": Typed("auth login acme --device", settings=_BY_CODE),
    "A token would replace a key": Typed(
        "auth setup-token --name default", stdin="sk-ant-oat01-" + "x" * 90, before=_account
    ),
    "A key is given as a token": Typed("auth setup-token", stdin="sk-ant-api03-" + "x" * 90),
    "A length of time is none": Typed("auth paste-token anthropic --expires-in soon"),
    "A vendor's program has no login here": Typed("auth link openai-codex"),
    "An address that is pasted is another login's": Typed(
        "auth login acme",
        settings=_IN_BROWSER,
        stdin="http://127.0.0.1:1/callback?code=x&state=another\n",
        before=_without_a_browser,
    ),
    # ── the vault ──
    "The vault is of a later version": Typed(
        "auth add-key gemini", stdin=KEY, before=_of_a_later_version
    ),
    "The keyring is not installed": Typed(
        "auth add-key gemini",
        stdin=KEY,
        settings="vault: {key_source: keyring}\n",
        before=_no_keyring,
    ),
    "The passphrase is another": Typed(
        "auth add-key gemini",
        stdin=KEY,
        settings="vault: {key_source: passphrase}\n",
        before=_another_passphrase,
        environment={"PROXYPAL_VAULT_PASSPHRASE": "another"},
    ),
    "There is nobody to ask for the passphrase": Typed(
        "auth add-key gemini", stdin=KEY, settings="vault: {key_source: passphrase}\n"
    ),
    "The vault is damaged, and an earlier one is there": Typed(
        "auth add-key gemini", stdin=KEY, before=_damaged_after_another
    ),
    "The vault is damaged": Typed("auth add-key gemini", stdin=KEY, before=_damaged),
    "The vault's key is gone": Typed("auth add-key gemini", stdin=KEY, before=_without_key),
    "The vault's key is another": Typed("auth add-key gemini", stdin=KEY, before=_with_another_key),
    "The vault's key is open to others": Typed(
        "auth add-key gemini", stdin=KEY, before=_with_an_open_key
    ),
    "The vault's key is to come from outside, and does not": Typed(
        "auth add-key gemini", stdin=KEY, settings=_OUTSIDE
    ),
    "The vault's key from outside is none": Typed(
        "auth add-key gemini",
        stdin=KEY,
        settings=_OUTSIDE,
        environment={"PROXYPAL_VAULT_KEY": "short"},
    ),
    "The vault cannot be written": Typed("auth add-key gemini", stdin=KEY, before=_data_is_a_file),
    "There is no vault to rotate": Typed("vault rotate"),
    "A key from outside is to be rotated": Typed(
        "vault rotate", settings=_OUTSIDE, environment={"PROXYPAL_VAULT_KEY": "00" * 32}
    ),
    # ── import and export ──
    "A file to import is not there": Typed("auth import {root}/none.json"),
    "A file to import is not JSON": Typed("auth import {root}/a.json", before=_file("a.json", "{")),
    "A file to import is of no known kind": Typed(
        "auth import {root}/a.json", before=_file("a.json", "{}")
    ),
    "A folder to import holds no logins": Typed("auth import {root}/bin"),
    "CLIProxyAPI's settings are not YAML": Typed(
        "import cliproxyapi {root}/a.yaml", before=_file("a.yaml", "a: [")
    ),
    "A file to export to is there": Typed(
        "auth export {root}/a.json", before=_file("a.json", "{}")
    ),
    "A file to export to cannot be written": Typed("auth export {root}/none/a/b.json"),
    # ── client keys ──
    "A client key's name cannot be": Typed("keys create a/b"),
    "A client key ends in the past": Typed("keys create laptop --expires 2001-01-01"),
    "A client key is in the settings": Typed(
        "keys create laptop", settings="client_keys: [{name: laptop, key: a-long-key}]\n"
    ),
    "A client key is there already": Typed("keys create laptop", before=_client_key),
    "A client key to revoke is unknown": Typed("keys revoke laptop"),
    "A client key to revoke is in the settings": Typed(
        "keys revoke laptop", settings="client_keys: [{name: laptop, key: a-long-key}]\n"
    ),
    # ── agents ──
    "An agent is not installed": Typed("run codex"),
    "An agent is run and no daemon answers": Typed("run claude-code"),
    "An agent cannot use a proxy": Typed("run amp"),
    "An agent has no settings file to edit": Typed("setup copilot"),
    "A model's name cannot be": Typed("setup claude-code --model a\u0000b"),
    "An agent's settings cannot be read": Typed(
        "setup claude-code", before=_agents_file(".claude/settings.json", b"{\n,}")
    ),
    "An agent's settings are not UTF-8": Typed(
        "setup claude-code", before=_agents_file(".claude/settings.json", b"\xff")
    ),
    "A record of a set-up cannot be read": Typed("unsetup claude-code", before=_broken_receipt),
    # ── everything else ──
    "A command needs a daemon, and none answers": Typed("dashboard"),
    "A report is to begin at no time": Typed("usage --since soon"),
    "A report is to be of two kinds": Typed("usage --json --csv"),
    "A request would go to nobody": Typed("explain nobody-has-this"),
    "There is no service manager": Typed("service install", before=_without_systemd),
    "The service is not installed": Typed("service status", before=on_platform("linux")),
    "The service manager is not there": Typed(
        "service install", before=on_platform("darwin", missing=("launchctl",))
    ),
    "The service manager refuses": Typed("service install", before=on_platform("linux", 4)),
    "The service manager is Windows": Typed("service install", before=on_platform("win32")),
    # ── at the start ──
    "A daemon runs already": Typed("serve", before=port_taken(_OF_OURS)),
    "Several workers have nothing that they share": Typed("serve --workers 2"),
    "The package for a shared state is missing": Typed(
        "serve",
        settings="state: {backend: redis, url: 'redis://127.0.0.1:1'}\n",
        before=_no_redis,
    ),
    "A daemon has the data already": Typed("serve", before=_a_daemon_of_the_data),
    "Another program has the port": Typed("serve", before=port_taken(b"HTTP/1.1 404 No\r\n\r\n")),
    "The log file cannot be written": Typed("serve", settings="logging: {file: /nowhere/p.log}\n"),
    "The admin key cannot be kept": Typed(
        "serve", environment={"PROXYPAL_STATE_DIR": "/dev/null/x"}
    ),
    "The daemon cannot listen at the address": Typed(
        "serve --host 192.0.2.1", settings="client_keys: [{name: a, key: a-long-key}]\n"
    ),
    "The certificate cannot be used": Typed(
        "serve", settings="listen: {port: 1, tls: {cert: /none.pem, key: /none.pem}}\n"
    ),
    "The data directory cannot be written": Typed("serve", before=_no_lock),
}
