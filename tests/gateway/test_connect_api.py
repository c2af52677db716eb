"""Accounts from other programs through the management API: linked, and taken in from a file."""

import pytest

from proxypal_core.wire import jsonio
from tests.gateway.owning import PAGE, owned
from tests.proxy import StoppedClock

CANARY = "sk-CANARY-0123456789-abcdefghijkl"
OPENCLAW = jsonio.dumps_text(
    {
        "version": 1,
        "profiles": {"openai:work": {"type": "api_key", "provider": "openai", "key": CANARY}},
    }
)
CLIPROXYAPI = f"gemini-api-key:\n  - api-key: {CANARY}\n    base-url: https://g.example.com\n"


@pytest.fixture
def claude(tmp_path):
    """The login that Claude Code keeps in the home folder of the tests."""
    login = {"claudeAiOauth": {"accessToken": f"{CANARY}-access", "expiresAt": 1_795_000_100_000}}
    path = tmp_path / ".claude" / ".credentials.json"
    path.parent.mkdir()
    path.write_bytes(jsonio.dumps(login))
    path.chmod(0o600)
    return path


def taken(text, **more):
    return {"text": text, **more}


async def post(owner, path, body):
    """The status and the answer, in which no secret is."""
    status, _, text = await owner.raw("POST", path, body)
    assert "CANARY" not in text
    return status, jsonio.loads(text)


# ── links ────────────────────────────────────────────────────────────────────────────────────


async def test_the_list_says_which_logins_this_machine_has(tmp_path, claude):
    async with owned(tmp_path) as owner:
        _, answer = await owner.call("GET", "/api/accounts/link")

    found = {row["login"]: row for row in answer["logins"]}
    assert found["anthropic"]["found"]
    assert not found["openai-codex"]["found"]
    assert found["anthropic"]["program"] == "claude"
    assert "Claude Code" in found["anthropic"]["notice"]


async def test_a_linked_login_is_an_account_at_once_and_its_token_stays_where_it_is(
    tmp_path, claude
):
    async with owned(tmp_path, clock=StoppedClock()) as owner:
        status, answer = await post(owner, "/api/accounts/link", {"login": "anthropic"})
        _, state = await owner.call("GET", "/api/state")
        kept = owner.files.vault.read().profiles["anthropic:claude"]

    assert (status, answer["id"]) == (200, "anthropic:claude")
    assert "anthropic:claude" in [one["id"] for one in state["accounts"]]
    assert (kept["type"], kept["file"]) == ("linked", str(claude))
    assert "CANARY" not in repr(kept)


async def test_a_link_made_again_keeps_what_its_owner_wished(tmp_path, claude):
    async with owned(tmp_path, clock=StoppedClock()) as owner:
        await post(owner, "/api/accounts/link", {"login": "anthropic", "name": "mine"})
        await post(owner, "/api/accounts/anthropic%3Amine/disable", None)
        status, _ = await post(owner, "/api/accounts/link", {"login": "anthropic", "name": "mine"})
        kept = owner.files.vault.read().profiles["anthropic:mine"]

    assert status == 200
    assert kept["disabled"] is True


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"login": "anthropic"}, "there is no login of claude"),
        (
            {"login": "../../etc/passwd"},
            "login: must be one of anthropic, openai-codex, gemini-cli, qwen",
        ),
        ({"login": "anthropic", "name": "a/b"}, "no / or"),
        ({"login": "anthropic", "file": "/etc/passwd"}, "unknown field"),
    ],
)
async def test_what_cannot_be_linked_is_said_and_makes_no_vault(tmp_path, body, told):
    async with owned(tmp_path) as owner:
        status, answer = await post(owner, "/api/accounts/link", body)

    assert status == 400
    assert told in answer["error"]["message"]
    assert not (tmp_path / "data").exists()


async def test_a_login_that_has_ended_is_not_linked(tmp_path, claude):
    async with owned(tmp_path, clock=StoppedClock(1_795_000_100.0)) as owner:
        status, answer = await post(owner, "/api/accounts/link", {"login": "anthropic"})

    assert status == 400
    assert "has expired" in answer["error"]["message"]


async def test_a_link_takes_no_other_accounts_name(tmp_path, claude):
    key = {"type": "api_key", "provider": "anthropic", "key": CANARY}
    async with owned(tmp_path, profiles={"anthropic:claude": key}, clock=StoppedClock()) as owner:
        status, answer = await post(owner, "/api/accounts/link", {"login": "anthropic"})

    assert status == 409
    assert "is there already, as api_key" in answer["error"]["message"]


# ── files ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "account"),
    [
        (taken(OPENCLAW), "openai:work"),
        (taken("\ufeff " + OPENCLAW), "openai:work"),
        (
            taken(
                jsonio.dumps_text({"type": "codex", "access_token": CANARY, "refresh_token": "r"}),
                file="me@example.com.json",
            ),
            "openai-codex:me@example.com",
        ),
        (
            taken(
                jsonio.dumps_text(
                    {"type": "service_account", "client_email": "x@y.z", "private_key": CANARY}
                )
            ),
            "vertex:x@y.z",
        ),
    ],
)
async def test_a_file_of_another_program_makes_accounts(tmp_path, body, account):
    async with owned(tmp_path) as owner:
        status, answer = await post(owner, "/api/accounts/import", body)
        again = await post(owner, "/api/accounts/import", body)
        kept = owner.files.vault.read().profiles

    assert status == 200
    assert [(row["what"], row["action"]) for row in answer["accounts"]] == [(account, "added")]
    assert [row["action"] for row in again[1]["accounts"]] == ["unchanged"]
    assert CANARY in repr(kept[account])


async def test_what_a_file_needs_in_the_settings_is_told(tmp_path):
    async with owned(tmp_path) as owner:
        status, answer = await post(owner, "/api/accounts/import", taken(CLIPROXYAPI))

    assert status == 200
    assert answer["accounts"][0]["action"] == "added"
    assert answer["settings"]["providers"][0]["base_url"] == "https://g.example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        f'{{"access_token": "{CANARY}',
        f'{{"key": "{CANARY}"}}',
        f"- {CANARY}",
        f"{CANARY}: [",
        f"key: {CANARY}",
        "{" * 100_000,
        '{"profiles": [1]}',
        f'{{"profiles": {{"{CANARY}": 3}}}}'.replace(CANARY, "x"),
    ],
)
async def test_what_is_no_such_file_changes_nothing_and_is_not_repeated(tmp_path, text):
    async with owned(tmp_path) as owner:
        status, answer = await post(owner, "/api/accounts/import", taken(text))

    assert status == 400 or answer["accounts"] == [
        {"what": "x", "action": "skipped", "reason": "it is not an object"}
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("path", ["/api/accounts/link", "/api/accounts/import"])
async def test_only_the_owner_may(tmp_path, path):
    client = "client_keys: [{name: laptop, key: a-clients-own-key}]"
    body = {"login": "anthropic"} if path.endswith("link") else taken(OPENCLAW)
    async with owned(tmp_path, client) as owner:
        nobody = await owner.call("POST", path, body, headers={})
        client = await owner.call(
            "POST", path, body, headers={"authorization": "Bearer a-clients-own-key"}
        )
        cookies = await owner.signed_in()
        another_site = await owner.call("POST", path, body, headers={}, cookies=cookies)
        page = await owner.call("POST", path, body, headers=PAGE, cookies=cookies)

    assert {nobody[0], client[0], another_site[0]} <= {401, 403}
    assert page[0] in (200, 400)
