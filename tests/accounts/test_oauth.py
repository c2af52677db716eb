"""Logins as values: what is asked, what is answered, and when a token is due."""

import contextlib
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import oauth
from proxypal_core.accounts.account import Account, Secret
from proxypal_core.accounts.oauth import Grant, LoginRefused, base64url
from proxypal_core.providers.catalog import builtin
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.wire import jsonio

NOW = 1_795_000_000.0
ROW = OAuth(
    client_id="client",
    client_secret="CANARY-secret",
    authorize_url="https://id.example/authorize",
    token_url="https://id.example/token",
    device_url="https://id.example/device",
    scopes=("a", "b"),
)
words = st.text(st.characters(codec="utf-8"), max_size=20)
moments = st.floats(min_value=1e9, max_value=4e9)
lives = st.floats(min_value=1, max_value=1e8)


def begun(**changed):
    return oauth.begin(
        OAuth(
            **{"authorize_url": "https://id.example/a", "token_url": "https://id.example/t"}
            | changed
        ),
        port=1234,
        state=b"s" * 32,
        verifier=b"v" * 32,
    )


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(words, words, max_size=5), words)
def test_no_address_has_a_code_for_us_without_our_state(query, fragment):
    address = f"http://127.0.0.1:1234/callback?{urlencode(query)}#{fragment}"

    with pytest.raises(LoginRefused):
        oauth.code_of(begun(), address)


@given(words.filter(bool))
def test_with_our_state_the_code_is_what_was_sent(code):
    pending = begun()

    query = urlencode({"code": code, "state": pending.state})
    assert oauth.code_of(pending, f"{pending.redirect_uri}?{query}") == code


@given(st.binary(max_size=200))
def test_any_bytes_are_a_grant_or_a_refusal(body):
    for read in (oauth.read_grant, oauth.read_device_code):
        with contextlib.suppress(LoginRefused):
            read(body, NOW)


@given(
    st.dictionaries(
        st.sampled_from(
            ["access_token", "refresh_token", "expires_in", "error", "key", "id_token"]
        ),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.lists(words)),
    )
)
def test_any_answer_is_a_grant_with_a_secret_in_it_or_a_refusal(answer):
    body = jsonio.dumps(answer)
    try:
        grant = oauth.read_grant(body, NOW)
    except LoginRefused:
        return
    assert grant.access or grant.key


@given(moments, lives, st.floats(0, 1))
def test_a_token_is_due_in_its_life_and_before_it_is_too_old_to_send(issued, life, chance):
    profile = {"issued": issued * 1000, "expires": (issued + life) * 1000}

    due = oauth.due(profile, chance)

    assert due <= issued + life - oauth.MARGIN + 0.01
    if life > oauth.MARGIN * 4:
        assert issued + life * 0.74 <= due <= issued + life * 0.86


@given(moments, lives)
def test_chance_spreads_what_is_due(issued, life):
    profile = {"issued": issued * 1000, "expires": (issued + life) * 1000}

    assert oauth.due(profile, 0.0) <= oauth.due(profile, 0.5) <= oauth.due(profile, 1.0)


@given(st.text(max_size=60))
def test_any_text_has_claims_or_none(text):
    assert isinstance(oauth.claims(text), dict)


@given(words)
def test_what_holds_a_secret_does_not_show_it(tail):
    secret = f"CANARY{tail}"
    shown = [
        oauth.begin(ROW, port=1, state=b"1" * 32, verifier=secret.encode()),
        Grant(access=secret, refresh=secret, id_token=secret, key=secret),
        oauth.DeviceCode(secret, "USER", "https://id.example", "", NOW, 5),
        ROW,
    ]

    assert not any("CANARY" in f"{one!r} {one}" for one in shown)


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_the_challenge_is_that_of_the_standard():
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    pending = oauth.Pending(ROW, "s", verifier, "http://127.0.0.1:1/callback")

    asked = parse_qs(urlsplit(pending.url).query)

    assert asked["code_challenge"] == ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]


def test_a_refresh_shows_the_client_and_the_token():
    assert oauth.refresh_form(ROW, "r") == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "client_id": "client",
        "client_secret": "CANARY-secret",
    }


def test_a_refresh_keeps_what_the_answer_does_not_replace():
    before = {"type": "oauth", "access": "a", "refresh": "r", "email": "e", "needsLogin": "x"}

    after = oauth.refreshed(before, Grant(access="b", expires=NOW + 10), NOW)

    assert after == {
        "type": "oauth",
        "access": "b",
        "refresh": "r",
        "email": "e",
        "issued": NOW * 1000,
        "expires": (NOW + 10) * 1000,
    }


def test_a_life_may_be_written_as_a_string():
    body = b'{"access_token": "a", "expires_in": "3600"}'

    assert oauth.read_grant(body, NOW).expires == NOW + 3600


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b'{"error": "invalid_grant"}', "invalid_grant", "invalid_grant"),
        (b'{"error": "x", "error_description": "why\\n"}', "x", "x: why "),
        (b'{"error": {"code": 403, "message": "no"}}', "403", "403: no"),
        (b'{"access_token": ""}', "unreadable", "access_token"),
        (b"<html>", "unreadable", "not valid JSON"),
        (b"", "unreadable", "not valid JSON"),
    ],
)
def test_an_error_is_told_by_its_code(body, error, message):
    with pytest.raises(LoginRefused) as refused:
        oauth.read_grant(body, NOW)

    assert refused.value.error == error
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("left", "fresh"), [(61, True), (60, False), (0, False), (-1, False), (None, True)]
)
def test_a_token_that_is_about_to_end_is_not_fresh(left, fresh):
    profile = {} if left is None else {"expires": (NOW + left) * 1000}

    assert oauth.is_fresh(profile, NOW) is fresh


# ── using a credential ───────────────────────────────────────────────────────────────────────

CATALOG = builtin({})


def sent(provider, dialect, kind, secret, head=None):
    account = Account(id=f"{provider}:a", provider=provider, kind=kind)
    return oauth.request_headers(account, Secret(secret), CATALOG[provider], dialect, head or {})


@pytest.mark.parametrize(
    ("provider", "dialect", "kind", "headers"),
    [
        ("anthropic", "anthropic", "api_key", {"x-api-key": "s"}),
        ("gemini", "gemini", "api_key", {"x-goog-api-key": "s"}),
        ("gemini", "gemini", "oauth", {"authorization": "Bearer s"}),
        ("gemini", "gemini", "token", {"authorization": "Bearer s"}),
        ("openai", "openai-chat", "token", {"authorization": "Bearer s"}),
        (
            "anthropic",
            "anthropic",
            "token",
            {"authorization": "Bearer s", "anthropic-beta": "oauth-2025-04-20"},
        ),
    ],
)
def test_a_token_travels_as_a_bearer_and_a_key_as_the_dialect_does_it(
    provider, dialect, kind, headers
):
    assert sent(provider, dialect, kind, "s") == headers


@pytest.mark.parametrize("named", ["one, two", "one,two", "one, two, oauth-2025-04-20"])
def test_flags_of_the_client_and_of_the_provider_stand_together(named):
    head = sent("anthropic", "anthropic", "oauth", "s", {"anthropic-beta": named})

    assert head["anthropic-beta"] == "one, two, oauth-2025-04-20"


def test_the_account_that_a_token_belongs_to_is_named_by_its_own_claim():
    told = {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-1"}}
    token = f"{base64url(b'{}')}.{base64url(jsonio.dumps(told))}.x"

    head = sent("openai-codex", "openai-responses", "oauth", token)

    assert head == {"authorization": f"Bearer {token}", "chatgpt-account-id": "acc-1"}


@pytest.mark.parametrize("claim", ["", None, 5, "two\nlines", {"a": 1}])
def test_a_claim_that_cannot_be_a_header_is_none(claim):
    told = {"https://api.openai.com/auth": {"chatgpt_account_id": claim}}
    token = f"{base64url(b'{}')}.{base64url(jsonio.dumps(told))}.x"

    assert list(sent("openai-codex", "openai-responses", "oauth", token)) == ["authorization"]


def test_a_provider_without_rules_of_its_own_gets_the_token_alone():
    account = Account(id="p:a", provider="p", kind="oauth")

    head = oauth.request_headers(account, Secret("s"), Provider(name="p"), "gemini", {"a": "b"})

    assert head == {"a": "b", "authorization": "Bearer s"}
