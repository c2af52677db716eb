"""Logins as the daemon uses them: fresh, as their files are now, and nowhere but where they belong."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxypal_core.accounts.oauth import base64url
from proxypal_core.cli.accounts import vault_of
from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.identity_provider.server import CLIENT, identity_provider
from tests.running import daemon, free_port, ran

ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Chat:
    """A provider that notes the tokens it is shown, and refuses those it is told to."""

    def __init__(self):
        self.url = ""
        self.shown = []
        self.headers = []
        self.refused = set()

    async def answer(self, request):
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.shown.append(token)
        self.headers.append(request.headers)
        if token in self.refused:
            return web.json_response({"error": {"message": "expired"}}, status=401)
        return web.json_response(ANSWER)


@asynccontextmanager
async def chat():
    provider = Chat()
    server = web.Application()
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses"):
        server.router.add_post(path, provider.answer)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield provider
    finally:
        await runner.cleanup()


class Installed:
    def __init__(self, root, text):
        self.root = root
        self.config = root / "config.yaml"
        self.config.write_text(
            f"listen: {{port: {free_port()}}}\nlogging: {{level: debug}}\n{text}"
        )
        self.environment = {
            "HOME": str(root),
            "PROXYPAL_DATA_DIR": str(root / "data"),
            "PROXYPAL_STATE_DIR": str(root / "state"),
            "PROXYPAL_CONFIG": str(self.config),
        }

    def keep(self, **profiles):
        environment = {**os.environ, **self.environment}
        vault_of(parse("", {}), environment).update(lambda kept: kept.update(profiles))

    def daemon(self):
        return daemon("--config", self.config, **self.environment)

    def says_no_secret(self, *outputs):
        assert not [text for text in outputs if "CANARY" in text]
        for folder in ("data", "state"):
            for path in Path(self.root / folder).rglob("*"):
                assert path.is_dir() or b"CANARY" not in path.read_bytes(), path


async def ask(running, model):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.url}/v1/chat/completions", json=body) as answer,
    ):
        text = await answer.text()
        assert "CANARY" not in text
        return answer.status, text


def codex_login(root, number, ends=4_000_000_000):
    """What Codex leaves when it renewed its login for the *number*-th time."""
    claims = jsonio.dumps({"exp": ends, "n": number})
    token = f"{base64url(b'{}')}.{base64url(claims)}.CANARY{number}"
    path = root / ".codex" / "auth.json"
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name("fresh")
    fresh.write_bytes(jsonio.dumps({"tokens": {"access_token": token}}))
    fresh.chmod(0o600)
    fresh.replace(path)
    return token


async def test_a_link_is_used_as_its_file_is_at_each_request(tmp_path):
    async with chat() as provider:
        home = Installed(
            tmp_path,
            f"providers: [{{name: openai-codex, dialect: openai-chat, base_url: '{provider.url}'}}]",
        )
        tokens = [codex_login(tmp_path, 1)]
        linked = await ran("auth", "link", "openai-codex", **home.environment)
        assert linked.process.returncode == 0, linked.err
        async with home.daemon() as running:
            assert (await ask(running, "openai-codex/m"))[0] == 200
            tokens.append(codex_login(tmp_path, 2))
            assert (await ask(running, "openai-codex/m"))[0] == 200

    assert provider.shown == tokens
    home.says_no_secret(running.out, running.err, linked.out, linked.err)


async def test_a_link_that_had_expired_is_used_once_its_program_renewed_it(tmp_path):
    async with chat() as provider:
        home = Installed(
            tmp_path,
            f"providers: [{{name: openai-codex, dialect: openai-chat, base_url: '{provider.url}'}}]",
        )
        codex_login(tmp_path, 1)
        await ran("auth", "link", "openai-codex", **home.environment)
        codex_login(tmp_path, 2, ends=1000)
        async with home.daemon() as running:
            status, text = await ask(running, "openai-codex/m")
            token = codex_login(tmp_path, 3)
            await running.says("account has another login")
            again, _ = await ask(running, "openai-codex/m")

    assert status == 503
    assert "codex login" in text
    assert again == 200
    assert provider.shown == [token]


async def test_a_link_that_had_expired_is_used_after_a_restart_as_its_program_renewed_it(tmp_path):
    async with chat() as provider:
        home = Installed(
            tmp_path,
            f"providers: [{{name: openai-codex, dialect: openai-chat, base_url: '{provider.url}'}}]",
        )
        codex_login(tmp_path, 1)
        await ran("auth", "link", "openai-codex", **home.environment)
        codex_login(tmp_path, 2, ends=1000)
        async with home.daemon() as running:
            before, _ = await ask(running, "openai-codex/m")
            running.process.terminate()
            await running.ended()
        codex_login(tmp_path, 3)
        async with home.daemon() as running:
            after, _ = await ask(running, "openai-codex/m")

    assert (before, after) == (503, 200)


@pytest.mark.parametrize(
    ("name", "model", "headers"),
    [
        ("anthropic", "claude-x", {"anthropic-beta": "oauth-2025-04-20"}),
        ("openai-codex", "gpt-x", {"chatgpt-account-id": "acc-7"}),
    ],
)
async def test_a_token_travels_with_what_the_api_demands_and_under_our_own_name(
    tmp_path, name, model, headers
):
    told = {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-7"}}
    token = f"{base64url(b'{}')}.{base64url(jsonio.dumps(told))}.CANARY"
    async with chat() as provider:
        dialect, url = {
            "anthropic": ("anthropic", provider.url.removesuffix("/v1")),
            "openai-codex": ("openai-responses", provider.url),
        }[name]
        home = Installed(
            tmp_path, f"providers: [{{name: {name}, dialect: {dialect}, base_url: '{url}'}}]"
        )
        home.keep(**{f"{name}:me": {"type": "token", "provider": name, "token": token}})
        async with home.daemon() as running:
            await ask(running, f"{name}/{model}")

    (sent,) = provider.headers
    assert provider.shown == [token]
    assert "x-api-key" not in sent
    assert {key: sent[key] for key in headers} == headers
    assert sent["User-Agent"].startswith("proxypal/")


@pytest.fixture
async def served(tmp_path):
    async with chat() as provider, identity_provider() as issuer:
        home = Installed(
            tmp_path,
            f"""
providers:
  - name: acme
    dialect: openai-chat
    base_url: {provider.url}
    oauth:
      client_id: {CLIENT}
      authorize_url: {issuer.url}/authorize
      token_url: {issuer.url}/token
""",
        )
        yield home, provider, issuer


def profile(given, **changed):
    return {
        "type": "oauth",
        "provider": "acme",
        "access": given["access_token"],
        "refresh": given["refresh_token"],
        **changed,
    }


async def test_an_expired_login_is_renewed_before_it_is_sent(served):
    home, provider, issuer = served
    home.keep(**{"acme:me": profile(issuer.login(), expires=1000)})

    async with home.daemon() as running:
        answers = await asyncio.gather(*(ask(running, "acme/m") for _ in range(8)))

    assert {status for status, _ in answers} == {200}
    assert len(set(provider.shown)) == 1
    assert issuer.honours(provider.shown[0])
    assert issuer.calls == ["refresh_token"]
    home.says_no_secret(running.out, running.err)


async def test_a_token_that_is_refused_is_renewed_and_the_request_goes_on(served):
    home, provider, issuer = served
    given = issuer.login()
    home.keep(**{"acme:me": profile(given, expires=4_000_000_000_000)})
    provider.refused.add(given["access_token"])

    async with home.daemon() as running:
        status, _ = await ask(running, "acme/m")

    assert status == 200
    assert issuer.calls == ["refresh_token"]
    assert provider.shown[0] == given["access_token"]
    assert issuer.honours(provider.shown[-1])
    home.says_no_secret(running.out, running.err)


async def test_a_login_that_is_over_is_said_with_what_helps(served):
    home, provider, _ = served
    home.keep(
        **{"acme:me": profile({"access_token": "CANARY-a", "refresh_token": "CANARY-b"}, expires=1)}
    )

    async with home.daemon() as running:
        status, text = await ask(running, "acme/m")

    assert status == 503
    assert "proxypal auth login acme" in text
    assert provider.shown == []
    shown = await ran("models", "status", "--check", **home.environment)
    assert shown.process.returncode == 1
    home.says_no_secret(running.out, running.err, shown.out, shown.err)


async def test_a_new_login_in_place_of_one_that_is_over_is_used(served):
    home, provider, issuer = served
    home.keep(
        **{"acme:me": profile({"access_token": "CANARY-a", "refresh_token": "CANARY-b"}, expires=1)}
    )

    async with home.daemon() as running:
        before, _ = await ask(running, "acme/m")
        given = issuer.login()
        home.keep(**{"acme:me": profile(given, expires=4_000_000_000_000)})
        await running.says("account has another login")
        after, _ = await ask(running, "acme/m")

    assert (before, after) == (503, 200)
    assert provider.shown == [given["access_token"]]


async def test_an_oauth_client_of_new_settings_is_used_without_a_restart(served):
    home, provider, issuer = served
    home.keep(**{"acme:me": profile(issuer.login(), expires=1000)})
    text = home.config.read_text()
    home.config.write_text(text.replace(CLIENT, "another"))

    async with home.daemon() as running:
        before, _ = await ask(running, "acme/m")
        home.config.write_text(text)
        await running.says("settings reloaded")
        home.keep(**{"acme:me": profile(issuer.login(), expires=1000)})
        await running.says("account has another login")
        after, _ = await ask(running, "acme/m")

    assert (before, after) == (503, 200)
    assert issuer.honours(provider.shown[-1])


# ── where no secret is shown ─────────────────────────────────────────────────────────────────


async def test_no_command_and_no_log_shows_a_secret_even_if_the_provider_repeats_it(served):
    home, provider, issuer = served
    issuer.echoes = True
    home.config.write_text(
        home.config.read_text().replace(
            f"client_id: {CLIENT}", f"client_id: {CLIENT}\n      client_secret: CANARY-secret"
        )
    )
    codex_login(home.root, 1)
    over = {"access_token": "CANARY-access", "refresh_token": "CANARY-refresh"}
    home.keep(
        **{
            f"acme:{name}": {"provider": "acme", "models": ["m"], **fields}
            for name, fields in {
                "key": {"type": "api_key", "key": "CANARY-key-0123456789"},
                "token": {"type": "token", "token": "CANARY-token-0123456"},
                "over": profile(over, expires=1),
                "me": profile(issuer.login(), expires=1000),
                "robot": {
                    "type": "service_account",
                    "client_email": "robot@project.example",
                    "private_key": "-----BEGIN PRIVATE KEY-----\nCANARY\n",
                },
            }.items()
        }
    )
    provider.refused |= {"CANARY-key-0123456789", "CANARY-token-0123456"}
    commands = [
        ("auth", "list"),
        ("auth", "test", "acme:over"),
        ("models", "status", "--probe"),
        ("doctor",),
        ("config", "show"),
    ]

    linked = await ran("auth", "link", "openai-codex", **home.environment)
    async with home.daemon() as running:
        for account in ("key", "token", "over", "me", "robot"):
            await ask(running, f"acme/m@acme:{account}")
        done = await asyncio.gather(*(ran(*each, **home.environment) for each in commands))
    done += await asyncio.gather(*(ran(*each, **home.environment) for each in commands[1:4]))

    assert "refresh_token" in running.err  # the provider did repeat what it was sent
    assert len(provider.shown) > 3
    for program in (running, linked, *done):
        home.says_no_secret(program.out, program.err)
