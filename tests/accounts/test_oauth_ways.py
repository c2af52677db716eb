"""The three ways through a login: an address that comes back, a code to enter, a key for a code."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import oauth
from proxypal_core.accounts.oauth import DeviceCode, Grant, LoginRefused
from proxypal_core.wire import jsonio
from tests.accounts.test_oauth import NOW, ROW, begun

ANSWER = {
    "device_code": "CANARY-device",
    "user_code": "AB-CD",
    "verification_uri": "https://id.example/enter",
    "expires_in": 600,
}


def device_code(**changed):
    return oauth.read_device_code(jsonio.dumps({**ANSWER, **changed}), NOW)


# ── the address that comes back ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"code": "x", "state": "another"}, "state"),
        ({"code": "x", "iss": "https://else.example"}, "issuer"),
        ({"error": "access_denied"}, "access_denied"),
        ({}, "code"),
        ({"code": ""}, "code"),
    ],
)
def test_an_address_that_is_no_answer_is_refused_for_what_it_is(query, error):
    pending = begun(issuer="https://id.example")
    sent = urlencode({"state": pending.state, **query})

    with pytest.raises(LoginRefused) as caught:
        oauth.code_of(pending, f"{pending.redirect_uri}?{sent}")
    assert caught.value.error == error


def test_a_code_is_exchanged_with_what_proves_who_began():
    pending = begun(client_id="client")

    form = oauth.code_form(pending, "the-code")

    assert form["grant_type"] == "authorization_code"
    assert (form["code"], form["code_verifier"]) == ("the-code", pending.verifier)
    assert form["redirect_uri"] == pending.redirect_uri
    assert form["client_id"] == "client"


def test_where_a_key_is_given_there_is_no_client_and_no_grant():
    pending = begun(gives="key")
    asked = parse_qs(urlsplit(pending.url).query)

    form = oauth.code_form(pending, "the-code")

    assert asked["callback_url"] == [pending.redirect_uri]
    assert form == {
        "code": "the-code",
        "code_verifier": pending.verifier,
        "code_challenge_method": "S256",
    }


# ── a code to enter ──────────────────────────────────────────────────────────────────────────


@given(st.integers(min_value=1, max_value=86400), st.floats(min_value=0, max_value=60))
def test_a_device_code_ends_when_it_says_and_is_asked_for_at_most_once_a_second(life, interval):
    code = device_code(expires_in=life, interval=interval)

    assert code.expires == NOW + life
    assert code.interval >= 1
    assert code.interval >= interval


@pytest.mark.parametrize("name", ["verification_uri", "verification_url"])
def test_the_address_has_either_name(name):
    answer = {key: value for key, value in ANSWER.items() if key != "verification_uri"}
    answer[name] = "https://id.example/here"

    assert oauth.read_device_code(jsonio.dumps(answer), NOW).url == "https://id.example/here"


@pytest.mark.parametrize("field", ["user_code", "verification_uri", "verification_uri_complete"])
def test_what_is_shown_drives_no_terminal(field):
    with pytest.raises(LoginRefused, match="must be printable"):
        device_code(**{field: "a\x1b[2J"})


def test_a_device_code_shows_what_is_to_be_entered_and_no_secret():
    assert repr(device_code()) == "DeviceCode('AB-CD' at 'https://id.example/enter')"
    assert isinstance(device_code(), DeviceCode)


def test_the_forms_name_the_client_and_the_code():
    form = oauth.poll_form(ROW, device_code())

    assert oauth.device_form(ROW) == {"client_id": "client", "scope": "a b"}
    assert form["device_code"] == "CANARY-device"
    assert form["grant_type"].endswith("device_code")
    assert form["client_id"] == "client"


@pytest.mark.parametrize(("error", "more"), [("authorization_pending", 0), ("slow_down", 5)])
def test_not_yet_means_to_ask_again_later(error, more):
    assert oauth.next_interval(LoginRefused(error, ""), 3) == 3 + more


def test_any_other_refusal_is_final():
    refused = LoginRefused("access_denied", "no")

    with pytest.raises(LoginRefused) as caught:
        oauth.next_interval(refused, 3)
    assert caught.value is refused


# ── what is kept ─────────────────────────────────────────────────────────────────────────────


def token(**claims):
    return f"x.{oauth.base64url(jsonio.dumps(claims))}.y"


@pytest.mark.parametrize(
    ("grant", "kept"),
    [
        (Grant(key="k"), {"type": "api_key", "provider": "acme", "key": "k"}),
        (
            Grant(access="a", refresh="r", expires=NOW + 60, id_token=token(email="a@b.c")),
            {
                "type": "oauth",
                "provider": "acme",
                "access": "a",
                "refresh": "r",
                "issued": round(NOW * 1000),
                "expires": round((NOW + 60) * 1000),
                "email": "a@b.c",
            },
        ),
        (
            Grant(access=token(email=3)),
            {
                "type": "oauth",
                "provider": "acme",
                "access": token(email=3),
                "issued": round(NOW * 1000),
                "expires": round((NOW + 3600) * 1000),
            },
        ),
    ],
)
def test_a_login_becomes_a_profile_of_what_it_gave(grant, kept):
    assert oauth.profile_of("acme", grant, NOW) == kept


@pytest.mark.parametrize("text", ["", "a.b", "a.!!!.c", "a.e30", "a.bm8.c"])
def test_a_token_that_is_none_claims_nothing(text):
    assert oauth.claims(text) == {}


def test_a_refusal_in_the_words_of_an_api_hides_what_was_asked():
    body = jsonio.dumps({"error": {"code": 401, "message": "CANARY-code is wrong\x1b"}})

    with pytest.raises(LoginRefused) as caught:
        oauth.read_grant(body, NOW, {"code": "CANARY-code"})
    assert (caught.value.error, str(caught.value)) == (
        "401",
        "the provider refused: 401: *** is wrong ",
    )
