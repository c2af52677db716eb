"""A person logs in, links and pastes; what is not a login of theirs is never stored."""

import asyncio
import http.client
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import base64url
from proxypal_core.cli import login as module
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.wire import jsonio
from tests.cli.home import Home
from tests.identity_provider.server import CLIENT, identity_provider

TOKEN = "sk-ant-oat01-CANARY-0123456789"


@pytest.fixture
def provider():
    """An identity provider in a thread of its own: a command runs a loop, and a test calls it."""
    loop = asyncio.new_event_loop()
    serving = identity_provider()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        yield wait(serving.__aenter__())
        wait(serving.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def acme(home, provider):
    """A home whose settings have an OAuth client at the provider."""
    home.configure(
        f"""
providers:
  - name: acme
    dialect: openai-chat
    base_url: {provider.url}/v1
    oauth:
      client_id: {CLIENT}
      authorize_url: {provider.url}/authorize
      token_url: {provider.url}/token
      device_url: {provider.url}/device
      scopes: [inference]
"""
    )
    return home


def get(url):
    """The status and the Location that *url* answers; no redirect is followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Location"]
    finally:
        connection.close()


def browsing(monkeypatch, visits):
    """A desktop, whose browser does *visits* with the address that it is given."""
    monkeypatch.setattr(module, "has_browser", lambda: True)
    monkeypatch.setattr(module, "webbrowser", SimpleNamespace(open=visits))


# ── by browser ───────────────────────────────────────────────────────────────────────────────


def test_a_browser_that_comes_back_leaves_a_login_in_the_vault(acme, provider, monkeypatch):
    browsing(monkeypatch, lambda url: get(get(url)[1]))

    result = acme.run("login", "acme")

    assert result.exit_code == 0, result.output
    assert "acme:default is in the vault" in result.output
    assert "Next: proxypal models status" in result.output
    kept = acme.profiles()["acme:default"]
    assert kept["type"] == "oauth"
    assert provider.honours(kept["access"])
    assert kept["refresh"].startswith("CANARY-refresh")
    assert acme.listed()["acme:default"]["state"] == "ok"


def test_a_forged_answer_stores_nothing_and_the_real_one_still_counts(acme, monkeypatch):
    seen = []

    def visits(url):
        back = get(url)[1]
        forged = back.replace("state=", "state=x")
        seen.extend([get(forged)[0], get(back.partition("?")[0])[0], get(back)[0], get(back)[0]])

    browsing(monkeypatch, visits)

    result = acme.run("login", "acme")

    assert result.exit_code == 0, result.output
    assert seen[:3] == [400, 400, 200]
    assert seen[3] == 410


@pytest.mark.parametrize("error", ["access_denied", "server_error"])
def test_a_provider_that_says_no_leaves_nothing(acme, monkeypatch, error):
    def visits(url):
        back = get(url)[1]
        state = back.partition("state=")[2].partition("&")[0]
        get(f"{back.partition('?')[0]}?error={error}&state={state}")

    browsing(monkeypatch, visits)

    result = acme.run("login", "acme")

    assert result.exit_code == 1
    assert f"Nothing was stored: the provider refused: {error}" in result.stderr
    assert not acme.data.exists()


def test_nobody_who_comes_back_leaves_nothing(acme, monkeypatch):
    browsing(monkeypatch, lambda url: None)
    monkeypatch.setattr(module.ways, "PATIENCE", 0.05)

    result = acme.run("login", "acme")

    assert result.exit_code == 1
    assert "nobody came back" in result.stderr
    assert not acme.data.exists()


# ── by pasting ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def drawn(monkeypatch):
    """What the program draws at random is known: every byte of it is 7."""
    monkeypatch.setattr(module, "secrets", SimpleNamespace(token_bytes=lambda size: b"\7" * size))


def sent_back(provider):
    """The address at which the browser of such a login ends."""
    row = OAuth(
        client_id=CLIENT,
        authorize_url=f"{provider.url}/authorize",
        token_url=f"{provider.url}/token",
    )
    return get(module.ways.begin(row, lambda size: b"\7" * size).url)[1]


def test_the_address_may_be_pasted(acme, provider, drawn):
    result = acme.run(
        "login", "acme", "--paste", "--name", "work", stdin=f"{sent_back(provider)}\n"
    )

    assert result.exit_code == 0, result.output
    assert f"{provider.url}/authorize?" in result.output
    assert provider.honours(acme.profiles()["acme:work"]["access"])


def test_without_a_screen_the_address_is_asked_for(acme, provider, drawn):
    result = acme.run(
        "login", "acme", stdin=sent_back(provider), SSH_CONNECTION="a b c d", DISPLAY=None
    )

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "change",
    [
        lambda back: back.replace("state=", "state=x"),
        lambda back: back.partition("&state=")[0],
        lambda back: back.replace("state=", "state="),
        lambda back: back.replace("code=CANARY", "code=other"),
        lambda back: "",
        lambda back: "no address at all",
    ],
)
def test_another_address_stores_nothing(acme, provider, monkeypatch, change):
    back = change(sent_back(provider))  # and the program draws another state than this one had

    result = acme.run("login", "acme", "--paste", stdin=back)

    assert result.exit_code == 1
    assert "Nothing was stored" in result.stderr
    assert not acme.data.exists()


def test_an_address_is_good_once(acme, provider, drawn):
    back = sent_back(provider)
    assert acme.run("login", "acme", "--paste", stdin=back).exit_code == 0
    before = acme.profiles()

    result = acme.run("login", "acme", "--paste", "--name", "again", stdin=back)

    assert result.exit_code == 1
    assert "invalid_grant" in result.stderr
    assert acme.profiles() == before


# ── by device code ───────────────────────────────────────────────────────────────────────────


def test_a_code_can_be_entered_elsewhere(acme, provider, monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            (user_code,) = provider._devices
            provider.decide(user_code)

    patched = SimpleNamespace(run=asyncio.run, sleep=sleep, to_thread=asyncio.to_thread)
    monkeypatch.setattr(module, "asyncio", patched)

    result = acme.run("login", "acme", "--device")

    assert result.exit_code == 0, result.output
    assert "Enter the code USER-" in result.output
    assert waits == [5, 5]
    assert provider.honours(acme.profiles()["acme:default"]["access"])


# ── logging in again ─────────────────────────────────────────────────────────────────────────


def test_logging_in_again_replaces_the_login_and_nothing_else(acme, provider, drawn):
    assert acme.run("login", "acme", "--paste", stdin=sent_back(provider)).exit_code == 0
    first = acme.profiles()["acme:default"]

    assert acme.run("login", "acme", "--paste", stdin=sent_back(provider)).exit_code == 0

    assert acme.profiles()["acme:default"]["access"] != first["access"]


def test_logging_in_again_changes_nothing_that_its_owner_wants(acme, provider, drawn):
    assert acme.run("login", "acme", "--paste", stdin=sent_back(provider)).exit_code == 0
    assert acme.run("disable", "acme:default").exit_code == 0

    assert acme.run("login", "acme", "--paste", stdin=sent_back(provider)).exit_code == 0

    assert acme.profiles()["acme:default"]["disabled"] is True


def test_a_provider_that_repeats_what_it_was_sent_has_it_left_out(acme, provider, drawn):
    provider.echoes = True
    back = sent_back(provider)
    assert acme.run("login", "acme", "--paste", stdin=back).exit_code == 0

    result = acme.run("login", "acme", "--paste", stdin=back)

    assert result.exit_code == 1
    assert "'code': '***'" in result.stderr
    assert "'code_verifier': '***'" in result.stderr


@pytest.mark.parametrize(
    ("email", "name"), [("me@example.com", "me@example.com"), ("a/b@example.com", None), (5, None)]
)
def test_an_e_mail_that_is_no_name_does_not_cost_the_login(email, name):
    assert module._email(Provider(name="acme"), {"email": email}) == name


def test_a_login_does_not_replace_a_key(acme, provider, drawn):
    acme.add("acme")

    result = acme.run("login", "acme", "--paste", stdin=sent_back(provider))

    assert result.exit_code == 1
    assert "there already, as api_key" in result.stderr
    assert acme.profiles()["acme:default"]["type"] == "api_key"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["openai"], 1, "proxypal auth link openai-codex"),
        (["anthropic"], 1, "proxypal auth link anthropic"),
        (["groq"], 1, "providers[].oauth"),
        (["openrouter", "--device"], 1, "device_url"),
        (["acme", "--device", "--paste"], 2, "--device"),
        (["acme", "--name", "a/b"], 2, "name"),
        (["akme"], 2, "did you mean acme"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_can(acme, arguments, code, said):
    result = acme.run("login", *arguments)

    assert result.exit_code == code
    assert said in result.output
    assert not acme.data.exists()


def test_a_login_names_its_account_by_the_e_mail_that_it_is_told():
    told = jsonio.dumps({"email": "me@example.com"})
    token = f"{base64url(b'{}')}.{base64url(told)}.x"

    profile = protocol.profile_of("acme", protocol.Grant(access="a", id_token=token), 0.0)

    assert profile["email"] == "me@example.com"
    assert "id_token" not in profile


# ── linking ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def claude(tmp_path):
    """The login that Claude Code keeps in this home."""
    path = tmp_path / ".claude" / ".credentials.json"
    path.parent.mkdir()
    ends = 1000 * (module.app.Clock().now() + 3600)
    login = {"claudeAiOauth": {"accessToken": "CANARY-theirs", "expiresAt": ends}}
    path.write_bytes(jsonio.dumps(login))
    path.chmod(0o600)
    return path


def test_a_link_has_no_secret_in_it_and_says_what_it_is(home, claude):
    before = claude.read_bytes()

    result = home.run("link", "anthropic")

    assert result.exit_code == 0, result.output
    assert "Note: Anthropic offers this login" in result.stderr
    kept = home.profiles()["anthropic:claude"]
    assert {name: kept[name] for name in ("type", "provider", "source", "file")} == {
        "type": "linked",
        "provider": "anthropic",
        "source": "anthropic",
        "file": str(claude),
    }
    assert "CANARY" not in jsonio.dumps_text(kept)
    assert claude.read_bytes() == before
    assert home.listed()["anthropic:claude"]["state"] == "ok"


def test_a_link_that_ended_says_how_it_is_renewed(home, claude):
    home.run("link", "anthropic")
    login = {"claudeAiOauth": {"accessToken": "CANARY-theirs", "expiresAt": 1000}}
    claude.write_bytes(jsonio.dumps(login))

    row = home.listed()["anthropic:claude"]

    assert row["state"] == "expired"
    assert "claude auth login" in row["note"]


def test_a_login_that_is_not_there_or_not_safe_is_not_linked(home, claude):
    assert "run codex login" in home.run("link", "openai-codex").stderr

    claude.chmod(0o622)
    result = home.run("link", "anthropic")

    assert result.exit_code == 1
    assert "other users can write it" in result.stderr
    assert not home.data.exists()


def test_only_known_logins_can_be_linked(home):
    assert home.run("link", "netscape").exit_code == 2


# ── tokens ───────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_pasted_with_its_end(home):
    result = home.run("paste-token", "groq", "--name", "ci", "--expires-in", "12h", stdin=TOKEN)

    assert result.exit_code == 0, result.output
    kept = home.profiles()["groq:ci"]
    assert (kept["type"], kept["token"]) == ("token", TOKEN)
    left = kept["expires"] / 1000 - module.app.Clock().now()
    assert 12 * 3600 - 60 < left <= 12 * 3600
    assert home.listed()["groq:ci"]["state"] == "expiring"


def test_the_token_of_claude_setup_token_has_a_command_of_its_own(home):
    result = home.run("setup-token", stdin=f"{TOKEN}\n")

    assert result.exit_code == 0, result.output
    assert "Note: Anthropic offers this login" in result.stderr
    assert home.profiles()["anthropic:default"]["token"] == TOKEN
    assert home.listed()["anthropic:default"]["state"] == "static"


def test_a_key_is_no_token(home):
    result = home.run("setup-token", stdin="sk-ant-api03-CANARY")

    assert result.exit_code == 1
    assert "proxypal auth add-key anthropic" in result.stderr


@pytest.mark.parametrize("text", ["", "two words", "a\nb"])
def test_what_cannot_be_a_token_is_refused(home, text):
    result = home.run("paste-token", "groq", stdin=text)

    assert result.exit_code == 1
    assert not home.data.exists()


def test_a_length_must_be_one(home):
    result = home.run("paste-token", "groq", "--expires-in", "soon", stdin=TOKEN)

    assert result.exit_code == 2
    assert "such as 90s" in result.output
