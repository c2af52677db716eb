"""A vendor's own login is used as its file is now, and neither written nor renewed."""

import os
import stat
from pathlib import Path

import pytest

from proxypal_core.accounts.oauth import base64url
from proxypal_core.upstream import linked
from proxypal_core.upstream.linked import SOURCES, Links, Unusable
from proxypal_core.wire import jsonio

NOW = 1_795_000_000.0
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


def jwt(**claims):
    return f"{base64url(b'{}')}.{base64url(jsonio.dumps(claims))}.signature"


def claude(access="CANARY-1", ends=NOW + 60):
    return {"claudeAiOauth": {"accessToken": access, "refreshToken": "r", "expiresAt": ends * 1000}}


def google(access="CANARY-1", ends=NOW + 60):
    return {"access_token": access, "refresh_token": "r", "expiry_date": ends * 1000}


def codex(access=None, ends=NOW + 60):
    token = access or jwt(exp=int(ends))
    return {"OPENAI_API_KEY": None, "tokens": {"access_token": token, "account_id": "a"}}


def put(home, name, content, mode=0o600):
    source = SOURCES[name]
    path = home / source.folders[0] / source.file
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name("fresh")  # as the programs do: written beside it and renamed
    fresh.write_bytes(content if isinstance(content, bytes) else jsonio.dumps(content))
    fresh.chmod(mode)
    fresh.replace(path)
    return path


def profile(name, path=""):
    return {"type": "linked", "source": name, "file": str(path)}


@pytest.fixture
def links(tmp_path):
    return Links(tmp_path, lambda: NOW)


async def unusable(links, *arguments):
    with pytest.raises(Unusable) as error:
        await links.login(profile(*arguments))
    assert "CANARY" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("anthropic", claude), ("openai-codex", codex), ("gemini-cli", google), ("qwen", google)],
)
async def test_the_login_is_the_one_in_the_file(tmp_path, links, name, content):
    path = put(tmp_path, name, content())
    before = (path.read_bytes(), path.stat().st_mtime_ns)

    assert linked.find(SOURCES[name], tmp_path, {}) == path
    login = await links.login(profile(name, path))

    assert login.access
    assert login.expires == NOW + 60
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


async def test_a_file_that_changes_is_read_again_at_the_next_use(tmp_path, links):
    path = put(tmp_path, "anthropic", claude("first"))
    assert (await links.login(profile("anthropic", path))).access == "first"

    put(tmp_path, "anthropic", claude("other"))  # of the same size
    assert (await links.login(profile("anthropic", path))).access == "other"


async def test_a_file_that_does_not_change_is_read_once(tmp_path, links, monkeypatch):
    path = put(tmp_path, "anthropic", claude())
    first = await links.login(profile("anthropic", path))
    monkeypatch.setattr(linked, "_content", None)

    assert await links.login(profile("anthropic", path)) == first


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("anthropic", claude, "claude auth login"),
        ("openai-codex", codex, "codex login"),
        ("gemini-cli", google, "gemini"),
        ("qwen", google, "qwen auth"),
    ],
)
async def test_an_expired_login_names_the_command_that_renews_it(
    tmp_path, links, name, content, command
):
    path = put(tmp_path, name, content(ends=NOW))

    told = await unusable(links, name, path)

    assert "has expired" in told
    assert command in told


async def test_an_account_that_renews_its_file_is_usable_again(tmp_path, links):
    path = put(tmp_path, "gemini-cli", google(ends=NOW - 1))
    await unusable(links, "gemini-cli", path)

    put(tmp_path, "gemini-cli", google("new"))
    assert (await links.login(profile("gemini-cli", path))).access == "new"


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
async def test_a_file_that_others_can_write_is_refused(tmp_path, links, mode):
    path = put(tmp_path, "anthropic", claude(), mode)

    assert "other users can write it" in await unusable(links, "anthropic", path)

    path.chmod(0o600)
    assert await links.login(profile("anthropic", path))


@posix
async def test_a_link_may_stay_in_the_home_and_not_leave_it(tmp_path):
    home = tmp_path / "home"
    links = Links(home, lambda: NOW)
    elsewhere = tmp_path / "elsewhere"
    for place in (home / "dotfiles", elsewhere):
        place.mkdir(parents=True)
        (place / "c.json").write_bytes(jsonio.dumps(claude()))
        (place / "c.json").chmod(0o600)
    path = home / ".claude" / ".credentials.json"
    path.parent.mkdir()

    path.symlink_to(home / "dotfiles" / "c.json")
    assert await links.login(profile("anthropic", path))

    path.unlink()
    path.symlink_to(elsewhere / "c.json")
    assert "leads out of" in await unusable(links, "anthropic", path)

    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(elsewhere)
    (elsewhere / "c.json").rename(elsewhere / path.name)
    assert "leads out of" in await unusable(links, "anthropic", path)


@posix
async def test_a_folder_that_the_person_names_may_be_anywhere(tmp_path):
    named = tmp_path / "mnt"
    named.mkdir()
    (named / "auth.json").write_bytes(jsonio.dumps(codex()))
    (named / "auth.json").chmod(0o600)
    links = Links(tmp_path / "home", lambda: NOW)

    path = linked.find(SOURCES["openai-codex"], tmp_path / "home", {"CODEX_HOME": str(named)})

    assert path == named / "auth.json"
    assert await links.login(profile("openai-codex", path))


@posix
async def test_a_pipe_in_its_place_is_refused_and_not_waited_for(tmp_path, links):
    path = tmp_path / ".codex" / "auth.json"
    path.parent.mkdir()
    os.mkfifo(path, 0o600)

    assert "not a regular file" in await unusable(links, "openai-codex", path)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"claudeAiOauth": {"accessToken": "CANARY-cut',
        b"[]",
        {"claudeAiOauth": {"accessToken": ["CANARY"]}},
        {"claudeAiOauth": {"accessToken": ""}},
        b" " * (linked.LARGEST + 1),
    ],
)
async def test_what_is_no_login_is_told_without_what_it_says(tmp_path, links, content):
    path = put(tmp_path, "anthropic", content)

    assert "claude auth login" in await unusable(links, "anthropic", path)


async def test_a_key_in_the_place_of_a_login_has_its_own_command(tmp_path, links):
    path = put(tmp_path, "openai-codex", {"OPENAI_API_KEY": "CANARY", "tokens": None})

    assert "proxypal auth add-key openai" in await unusable(links, "openai-codex", path)


async def test_a_login_that_is_not_there_names_where_it_was_looked_for(tmp_path, links):
    with pytest.raises(Unusable, match=r"\.codex/auth\.json: run codex login"):
        linked.find(SOURCES["openai-codex"], tmp_path, {})
    assert "codex login" in await unusable(links, "openai-codex", tmp_path / "gone.json")
    assert "no linked login called" in await unusable(links, "of-a-later-version")


async def test_the_keychain_is_asked_once_a_minute_and_after_a_refusal():
    asked = []
    now = NOW

    async def keychain(service):
        asked.append(service)
        return jsonio.dumps(claude(f"answer-{len(asked)}", NOW + 9999))

    links = Links(None, lambda: now, keychain)

    first = await links.login(profile("anthropic"))
    again = await links.login(profile("anthropic"))
    assert (first.access, again.access) == ("answer-1", "answer-1")
    assert asked == ["Claude Code-credentials"]

    assert (await links.login(profile("anthropic"), again=True)).access == "answer-2"
    now += linked.KEYCHAIN_SECONDS
    assert (await links.login(profile("anthropic"))).access == "answer-3"


async def test_a_keychain_that_gives_nothing_is_not_asked_all_the_time():
    asked = []
    now = NOW

    async def ask(service):
        asked.append(service)
        raise Unusable("locked")

    links = Links(Path("/"), lambda: now, ask)
    profile = {"type": "linked", "provider": "anthropic", "source": "anthropic"}
    for _ in range(3):
        with pytest.raises(Unusable, match="locked"):
            await links.login(profile)
    assert len(asked) == 1

    now += 60
    with pytest.raises(Unusable, match="locked"):
        await links.login(profile)
    assert len(asked) == 2


async def test_where_there_is_no_keychain_that_is_said(monkeypatch):
    monkeypatch.setattr(linked, "_PLATFORM", "linux")

    assert "only macOS" in await unusable(Links(None, lambda: NOW), "anthropic")
