"""Who may come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway import access
from proxypal_core.hub.failure import Kind, Refused
from tests.strategies import named


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8317", "LOCALHOST:1", "127.0.0.1:8317", "[::1]:8317", "box.lan:8317"],
)
def test_our_own_names_are_served(host):
    access.check_host(host, frozenset({"box.lan"}))


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.com", "evil.com:8317", "127.0.0.1.evil.com", "localhost.", "0x7f.1",
        "a@127.0.0.1", "127.0.0.1/x?", "127.0.0.1:8317:1", "127.0.0.1:port", "[::1", "::1",
        "127.1", "localhost evil.com", "localhost\x00", "127.0.0.1,evil.com", "0.0.0.0", "127.0.0.2",
    ],
)  # fmt: skip
def test_any_other_host_is_refused(host):
    with pytest.raises(Refused) as refused:
        access.check_host(host, frozenset({"box.lan"}))

    assert refused.value.failure.status == 421


@given(st.text(max_size=30))
def test_a_host_is_ours_only_if_its_name_is(host):
    try:
        access.check_host(host, frozenset())
    except Refused:
        return

    assert host.rpartition(":")[0].lower() in access._LOOPBACK or host.lower() in access._LOOPBACK


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8317"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Mode": "cors"},
    ],
)
def test_programs_and_our_own_pages_pass(headers):
    access.check_origin(named(headers), "127.0.0.1:8317")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "file://127.0.0.1:8317"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_web_sites_are_refused(headers):
    with pytest.raises(Refused) as refused:
        access.check_origin(named(headers), "127.0.0.1:8317")

    assert refused.value.failure.kind is Kind.FORBIDDEN_HERE


@pytest.mark.parametrize(
    "value",
    ["application/json", "Application/JSON; charset=utf-8", "application/x+json"],
)
def test_bodies_with_a_type_that_pages_cannot_send(value):
    access.check_content_type(value)


def test_forms_are_taken_where_files_are_uploaded():
    access.check_content_type("multipart/form-data; boundary=x", forms=True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
def test_bodies_with_a_type_that_pages_can_send_are_refused(value):
    with pytest.raises(Refused) as refused:
        access.check_content_type(value)

    assert refused.value.failure.kind is Kind.MEDIA_TYPE
    assert "application/json" in refused.value.failure.message


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer k-1"}, {}),
        ({"authorization": "bearer k-1"}, {}),
        ({"x-api-key": "k-1"}, {}),
        ({"x-goog-api-key": "k-1"}, {}),
        ({"api-key": "k-1"}, {}),
        ({}, {"key": "k-1"}),
        ({"x-api-key": "other", "Authorization": "Bearer k-1"}, {}),
    ],
)
def test_a_key_is_found_wherever_clients_put_it(headers, query):  # case 187
    ring = access.Keyring([access.ClientKey("laptop", access.digest("k-1"))], lambda: 0.0)

    key = ring.admit(access.shown_keys(named(headers), query))

    assert key is not None
    assert key.name == "laptop"


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("openai-chat", "a"), ("openai-responses", "a"), ("anthropic", "b"), ("gemini", "c")],
)
def test_of_two_keys_the_one_in_the_dialects_own_place_counts(dialect, name):  # case 187
    keys = [access.ClientKey(name, access.digest(f"k-{name}")) for name in "dcba"]
    shown = {
        "x-goog-api-key": "k-c",
        "x-api-key": "k-b",
        "api-key": "k-d",
        "Authorization": "Bearer k-a",
    }
    ring = access.Keyring(keys, lambda: 0.0)

    key = ring.admit(access.shown_keys(named(shown), {}, dialect))

    assert key is not None
    assert key.name == name


def test_without_keys_loopback_is_open():
    assert access.Keyring([], lambda: 0.0).admit([access.digest("anything")]) is None


@pytest.mark.parametrize("shown", [[], ["wrong"], ["K-1"]])
def test_a_wrong_key_is_refused(shown):
    ring = access.Keyring([access.ClientKey("laptop", access.digest("k-1"))], lambda: 0.0)

    with pytest.raises(Refused) as refused:
        ring.admit([access.digest(key) for key in shown])

    assert refused.value.failure.kind is Kind.CLIENT_KEY
    assert "k-1" not in refused.value.failure.message


def test_an_expired_key_is_refused():
    key = access.ClientKey("laptop", access.digest("k-1"), expires=access.expiry("2026-12-01"))
    moment = [key.expires - 1]
    ring = access.Keyring([key], lambda: moment[0])
    assert ring.admit([access.digest("k-1")]) == key
    moment[0] += 1

    with pytest.raises(Refused, match="expired"):
        ring.admit([access.digest("k-1")])


def test_requests_a_minute_are_counted_and_forgotten():
    now = [0.0]
    key = access.ClientKey("laptop", access.digest("k-1"), requests_per_minute=2)
    ring = access.Keyring([key], lambda: now[0])
    ring.admit([access.digest("k-1")])
    now[0] = 10.0
    ring.admit([access.digest("k-1")])

    with pytest.raises(Refused) as refused:
        ring.admit([access.digest("k-1")])
    assert refused.value.failure.retry_after == 50

    now[0] = 60.0
    assert ring.admit([access.digest("k-1")]) == key


def test_the_admin_key_is_another_one():
    admin = access.digest("admin")

    assert access.is_admin([access.digest("x"), admin], admin)
    assert not access.is_admin([], admin)
    assert not access.is_admin([access.digest("client")], admin)
