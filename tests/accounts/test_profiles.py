"""A profile is kept as it came; what it says is read strictly, and its secret is never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import profiles
from proxypal_core.accounts.account import Secret
from proxypal_core.accounts.profiles import (
    ApiKey,
    OAuth,
    Options,
    ServiceAccount,
    Token,
    is_profile_id,
    options,
    resolved,
    unresolved,
    view,
    wishes,
)
from proxypal_core.wire.jsonio import Malformed
from tests.strategies import json_objects, words

KEY = "sk-CANARY"
FROM_VARIABLE = {
    "type": "api_key",
    "provider": "openai",
    "keyRef": {"source": "env", "provider": "default", "id": "WORK_KEY"},
}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (
            {"type": "api_key", "provider": "openai", "key": KEY, "email": "me@example.com"},
            ApiKey(provider="openai", key=Secret(KEY), email="me@example.com"),
        ),
        (
            {"type": "token", "provider": "anthropic", "token": KEY, "expires": 1790000000000},
            Token(provider="anthropic", token=Secret(KEY), expires=1790000000000),
        ),
        (
            {
                "type": "oauth",
                "provider": "openai-codex",
                "access": KEY,
                "refresh": "r",
                "expires": 1.5,
                "accountId": "a",
                "projectId": "p",
            },
            OAuth(
                provider="openai-codex",
                access=Secret(KEY),
                refresh=Secret("r"),
                expires=1.5,
                account_id="a",
                project_id="p",
            ),
        ),
        (
            {
                "type": "service_account",
                "provider": "vertex",
                "client_email": "c",
                "private_key": KEY,
            },
            ServiceAccount(provider="vertex", client_email="c", private_key=Secret(KEY)),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_profile_is_seen_as_what_its_type_says_and_shows_no_secret(profile, expected):
    seen = view({**profile, "ofALaterVersion": [1]})

    assert seen == expected
    assert "CANARY" not in repr(seen)


@given(words.filter(lambda word: word not in profiles._VIEWS), json_objects)
def test_a_type_of_a_later_version_is_seen_as_nothing(kind, rest):
    assert view({**rest, "type": kind}) is None


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ({"type": "api_key"}, "provider"),
        ({"type": "api_key", "provider": "openai", "key": 7}, "^key: "),
        ({"type": "token", "provider": "x", "token": "t", "expires": "soon"}, "^expires: "),
        ({"type": "oauth", "provider": "x", "access": ["CANARY"]}, "^access: "),
    ],
)
def test_a_profile_that_is_not_well_made_is_told_by_its_field_and_not_repeated(profile, problem):
    with pytest.raises(Malformed, match=problem) as caught:
        view(profile)

    assert "CANARY" not in str(caught.value)


def test_what_the_owner_wants_of_an_account_is_read_from_its_profile():
    profile = {"type": "api_key", "priority": 2, "weight": 3, "excluded_models": ["a*"], "x": 1}

    assert options(profile) == Options(priority=2, weight=3, excluded_models=("a*",))
    assert options({}) == Options()
    for bad in ({"weight": 0}, {"priority": "high"}, {"headers": {"a": 1}}):
        with pytest.raises(Malformed):
            options(bad)


def test_a_key_that_a_variable_holds_is_found_there():
    found = resolved(FROM_VARIABLE, {"WORK_KEY": KEY})

    assert found["key"] == KEY
    assert unresolved(found) == ""
    assert "key" not in FROM_VARIABLE


@pytest.mark.parametrize("environment", [{}, {"WORK_KEY": ""}])
def test_a_variable_that_is_not_set_is_named(environment):
    found = resolved(FROM_VARIABLE, environment)

    assert found == FROM_VARIABLE
    assert unresolved(found) == "its key is in the variable WORK_KEY, which is not set"


@pytest.mark.parametrize("source", ["file", "exec", "store"])
def test_a_secret_that_only_openclaw_can_read_is_said_to_be_so(source):
    profile = {"type": "token", "tokenRef": {"source": source, "provider": "default", "id": "x"}}

    assert resolved(profile, {"x": KEY}) == profile
    assert f"tokenRef, source {source}" in unresolved(profile)


@given(json_objects, st.dictionaries(words, words, max_size=3))
def test_a_profile_without_references_is_left_alone(profile, environment):
    assert resolved(profile, environment) is profile
    assert unresolved(profile) == ""


@pytest.mark.parametrize(
    "text", ["openai:a", "anthropic:me@example.com", "personal:1:2", "p:" + "n" * 254, "x:日本"]
)
def test_ids_of_every_sort_are_ids(text):
    assert is_profile_id(text)


def test_what_the_owner_wants_outlives_a_new_credential():
    profile = {"type": "api_key", "provider": "p", "key": "k", "priority": 3, "disabled": True}

    assert wishes(profile) == {"priority": 3, "disabled": True}
