"""What other programs keep comes in whole, and OpenClaw's goes out as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import profiles
from proxypal_core.accounts.interchange import (
    Import,
    Line,
    detected,
    from_cliproxyapi_config,
    from_cliproxyapi_login,
    from_google,
    from_openclaw,
    merge,
    report,
    to_openclaw,
)
from proxypal_core.providers.catalog import builtin
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import Malformed
from tests.strategies import json_objects, json_values, names

CATALOG = builtin({})
ids = st.builds("{}:{}".format, names, names)
credentials = st.builds(
    lambda rest, kind: {**rest, "type": kind},
    json_objects,
    st.sampled_from(["api_key", "token", "oauth", "of-a-later-version"]),
)
documents = st.builds(
    lambda kept, rest: {"version": 1, **rest, "profiles": kept},
    st.dictionaries(ids, credentials, max_size=4),
    st.dictionaries(
        st.sampled_from(["order", "lastGood", "usageStats", "ofALaterVersion"]), json_values
    ),
)

OPENCLAW = {
    "version": 1,
    "profiles": {
        "anthropic:me@example.com": {
            "type": "oauth",
            "provider": "anthropic",
            "access": "access-1",
            "refresh": "refresh-1",
            "expires": 1790000000000,
            "email": "me@example.com",
            "clientId": "c",
        },
        "openai:manual": {"type": "token", "provider": "openai", "token": "t", "expires": 5},
        "openai:default": {
            "type": "api_key",
            "provider": "openai",
            "keyRef": {"source": "env", "provider": "default", "id": "WORK_KEY"},
            "metadata": {"team": "a"},
        },
    },
    "order": {"openai": ["openai:manual", "openai:default"]},
    "lastGood": {"openai": "openai:default"},
    "usageStats": {"openai:default": {"lastUsed": 1789999999999, "failureCounts": {"auth": 1}}},
}


def taken_in(document):
    return merge({}, {}, detected("auth-profiles", document))


def login(**changes):
    return {"type": "oauth", "provider": "x", "refresh": "r", "expires": 100, **changes}


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────


@given(documents)
def test_openclaws_file_goes_out_as_it_came_in(document):
    merged = merge({}, {}, from_openclaw(document))

    assert to_openclaw(merged.profiles, merged.bookkeeping) == document
    assert {line.action for line in merged.lines} <= {"added"}


def test_a_real_looking_file_goes_out_as_it_came_in():
    merged = taken_in(jsonio.loads(jsonio.dumps(OPENCLAW)))

    assert to_openclaw(merged.profiles, merged.bookkeeping) == OPENCLAW
    assert list(merged.profiles) == list(OPENCLAW["profiles"])


@given(documents, documents)
def test_taking_in_again_changes_nothing_and_nothing_is_ever_lost(first, second):
    once = merge({}, {}, from_openclaw(first))
    both = merge(once.profiles, once.bookkeeping, from_openclaw(second))

    again = merge(both.profiles, both.bookkeeping, from_openclaw(second))

    assert set(both.profiles) == set(first["profiles"]) | set(second["profiles"])
    assert again.profiles == both.profiles
    assert {line.action for line in again.lines} <= {"unchanged", "skipped"}


def test_the_words_that_openclaw_reads_for_others_are_understood():
    imported = from_openclaw(
        {
            "profiles": {
                "openai:a": {"mode": "api_key", "provider": "openai", "apiKey": "k"},
                "openai:b": {"type": "token", "mode": "kept", "token": "t"},
            }
        }
    )

    assert imported.profiles["openai:a"] == {"type": "api_key", "provider": "openai", "key": "k"}
    assert imported.profiles["openai:b"] == {"type": "token", "mode": "kept", "token": "t"}


def test_what_is_no_profile_is_left_out_with_the_reason():
    merged = taken_in(
        {
            "profiles": {
                "openai": {"type": "api_key", "key": "k"},
                "a:b": "text",
                "c:d": {"key": "k"},
            }
        }
    )

    assert merged.profiles == {}
    assert sorted(merged.lines) == [
        Line("a:b", "skipped", "it is not an object"),
        Line("c:d", "skipped", "it has no type"),
        Line("openai", "skipped", "its id is not provider:name"),
    ]


def test_a_profile_that_cannot_be_used_is_kept_and_said_to_be_so():
    merged = taken_in({"profiles": {"x:y": {"type": "token", "provider": "x", "token": 7}}})

    assert merged.lines[0].action == "added"
    assert "cannot be used as it is: token" in merged.lines[0].reason


# ── what is there already ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "new", "action"),
    [
        (login(), login(), "unchanged"),
        (login(), login(refresh="s", expires=101), "changed"),
        (login(expires=101), login(refresh="old"), "skipped"),
        ({"type": "api_key", "key": "a"}, {"type": "api_key", "key": "b"}, "changed"),
    ],
)
def test_an_older_login_never_takes_the_place_of_a_newer(now, new, action):
    merged = merge({"x:y": now}, {}, Import({"x:y": new}))

    assert [line.action for line in merged.lines] == [action]
    assert merged.profiles["x:y"] == (new if action == "changed" else now)


def test_bookkeeping_is_laid_over_what_there_is():
    book = {"order": {"a": ["a:1"], "b": ["b:1"]}, "version": 1}

    merged = merge({}, book, Import(bookkeeping={"order": {"b": ["b:2"]}, "lastGood": {}}))

    assert merged.bookkeeping == {
        "order": {"a": ["a:1"], "b": ["b:2"]},
        "version": 1,
        "lastGood": {},
    }


# ── Google ───────────────────────────────────────────────────────────────────────────────────

GOOGLE = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key": "-----BEGIN PRIVATE KEY-----",
    "client_email": "robot@my-project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def test_a_google_key_file_is_kept_whole_for_vertex():
    imported = detected("key", GOOGLE)

    assert imported.profiles == {
        "vertex:robot@my-project.iam.gserviceaccount.com": {**GOOGLE, "provider": "vertex"}
    }
    assert profiles.view(next(iter(imported.profiles.values()))).project_id == "my-project"


@pytest.mark.parametrize("field", ["private_key", "client_email"])
def test_a_google_key_file_without_what_it_needs_is_refused(field):
    with pytest.raises(Malformed, match=field):
        from_google({**GOOGLE, field: ""})


# ── CLIProxyAPI ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "name", "profile"),
    [
        (
            {
                "type": "claude",
                "access_token": "a",
                "refresh_token": "r",
                "id_token": "",
                "email": "me@example.com",
                "expired": "2026-09-21T14:13:20Z",
                "organization_uuid": "o",
                "priority": 3,
                "proxy_url": "none",
            },
            "anthropic:me@example.com",
            {
                "access": "a",
                "refresh": "r",
                "idToken": "",
                "email": "me@example.com",
                "expires": 1790000000000,
                "organization_uuid": "o",
                "priority": 3,
                "proxy": "direct",
            },
        ),
        (
            {"type": "codex", "access_token": "a", "account_id": "i", "weight": 0, "expired": "?"},
            "openai-codex:file",
            {"access": "a", "accountId": "i", "disabled": True},
        ),
        (
            {"type": "antigravity", "refresh_token": "r", "project_id": "p", "expires_in": 3599},
            "google-antigravity:file",
            {"refresh": "r", "projectId": "p"},
        ),
        (
            {"type": "xai", "access_token": "a", "token_endpoint": "https://t", "base_url": "b"},
            "xai:file",
            {"access": "a", "tokenEndpoint": "https://t", "base_url": "b"},
        ),
    ],
    ids=["claude", "codex", "antigravity", "xai"],
)
def test_a_login_of_cliproxyapi_becomes_one_of_ours(content, name, profile):
    imported = detected("file", content)

    provider = name.partition(":")[0]
    assert imported.profiles == {name: {"type": "oauth", "provider": provider, **profile}}
    assert "stop CLIProxyAPI" in imported.notes[0]
    profiles.options(imported.profiles[name])


def test_its_service_account_is_googles_with_its_own_words():
    content = {"type": "vertex", "service_account": GOOGLE, "location": "europe-west4"}

    (profile,) = detected("file", content).profiles.values()

    assert profile == {**GOOGLE, "provider": "vertex", "location": "europe-west4"}


@pytest.mark.parametrize("content", [{}, {"type": "claude"}, {"type": "", "access_token": "a"}])
def test_what_is_no_login_is_refused(content):
    with pytest.raises(Malformed):
        from_cliproxyapi_login("file", content)


CONFIG = {
    "api-keys": ["client-key-CANARY"],
    "gemini-api-key": [{"api-key": "g-1", "weight": 2}, {"api-key": "g-2", "weight": -1}],
    "claude-api-key": [
        {"api-key": "c-1", "base-url": "https://api.anthropic.com", "proxy-url": "socks5://p"},
        {
            "api-key": "c-2",
            "base-url": "https://claude.example.com",
            "models": [{"name": "claude-x", "alias": "mine"}],
        },
    ],
    "openai-compatibility": [
        {
            "name": "openrouter",
            "base-url": "https://openrouter.ai/api/v1",
            "api-key-entries": [{"api-key": "o-1"}, {"api-key": "o-2", "proxy-url": "none"}],
        },
        {
            "name": "My Server",
            "base-url": "http://10.0.0.1:8000/v1",
            "headers": {"X-Team": "a"},
            "api-key-entries": [{"api-key": "m-1"}],
            "models": [{"name": "llama-big", "alias": "big"}, {"name": "same", "alias": "same"}],
        },
    ],
}


def test_the_keys_of_its_settings_become_accounts_and_its_servers_rows_of_ours():
    imported = from_cliproxyapi_config(CONFIG, CATALOG)

    kept = {
        (profile.pop("provider"), profile.pop("key")): profile
        for profile in (dict(profile) for profile in imported.profiles.values())
    }
    assert kept == {
        ("gemini", "g-1"): {"type": "api_key", "weight": 2},
        ("gemini", "g-2"): {"type": "api_key", "disabled": True},
        ("anthropic", "c-1"): {"type": "api_key", "proxy": "socks5://p"},
        ("claude-example-com", "c-2"): {"type": "api_key"},
        ("openrouter", "o-1"): {"type": "api_key"},
        ("openrouter", "o-2"): {"type": "api_key", "proxy": "direct"},
        ("my-server", "m-1"): {"type": "api_key", "headers": {"X-Team": "a"}},
    }
    assert imported.settings == {
        "providers": (
            {
                "name": "claude-example-com",
                "dialect": "anthropic",
                "base_url": "https://claude.example.com",
                "models": ["claude-x"],
            },
            {
                "name": "my-server",
                "dialect": "openai-chat",
                "base_url": "http://10.0.0.1:8000/v1",
                "models": ["llama-big", "same"],
            },
        ),
        "models": (
            {"name": "mine", "route": ["claude-example-com/claude-x"]},
            {"name": "big", "route": ["my-server/llama-big"]},
        ),
    }
    assert "client keys are not imported (1)" in imported.notes[0]
    for shown in (*imported.profiles, *imported.notes, str(imported.settings)):
        assert "CANARY" not in shown
        assert "g-1" not in shown


def test_a_server_that_lists_no_models_is_a_row_without_any():
    row = {"name": "bare", "base-url": "http://10.0.0.2/v1", "api-key-entries": [{"api-key": "k"}]}

    imported = from_cliproxyapi_config({"openai-compatibility": [row]}, CATALOG)

    assert imported.settings["providers"] == (
        {"name": "bare", "dialect": "openai-chat", "base_url": "http://10.0.0.2/v1"},
    )
    assert "models" not in imported.settings


def test_what_became_of_an_import_is_told_to_programs_without_its_secrets():
    imported = from_cliproxyapi_config(CONFIG, CATALOG)
    told = report(merge({}, {}, imported).lines, imported)

    assert [row["what"] for row in told["accounts"]] == list(imported.profiles)
    assert told["settings"]["models"][0] == {
        "name": "mine",
        "route": ["claude-example-com/claude-x"],
    }
    assert told["notes"] == list(imported.notes)
    assert "g-1" not in str(told)


def test_a_key_keeps_its_name_wherever_it_stands_and_is_not_taken_twice():
    rows = CONFIG["gemini-api-key"]
    turned = from_cliproxyapi_config({"gemini-api-key": rows[::-1]}, CATALOG)
    straight = from_cliproxyapi_config({"gemini-api-key": rows}, CATALOG)
    assert turned.profiles == straight.profiles

    there = {"gemini:work": {"type": "api_key", "provider": "gemini", "key": "g-1"}}
    merged = merge(there, {}, straight)

    assert [(line.action, line.reason) for line in merged.lines] == [
        ("skipped", "it is there already as gemini:work"),
        ("added", ""),
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"gemini-api-key": {}},
        {"gemini-api-key": ["text"]},
        {"gemini-api-key": [{"weight": 1}]},
        {"openai-compatibility": [{"base-url": "x"}]},
        {"api-keys": "text"},
    ],
)
def test_settings_that_are_not_its_own_are_refused(config):
    with pytest.raises(Malformed):
        from_cliproxyapi_config(config, CATALOG)


@given(json_objects)
def test_whatever_a_file_holds_it_is_imported_or_refused(content):
    try:
        imported = detected("file", content)
    except Malformed:
        return
    merge({}, {}, imported)


@pytest.mark.parametrize("content", [{}, {"profiles": []}, {"type": "other"}])
def test_a_file_of_no_known_program_is_refused_and_the_known_ones_named(content):
    with pytest.raises(Malformed, match=r"OpenClaw.*CLIProxyAPI.*Google"):
        detected("file", content)
