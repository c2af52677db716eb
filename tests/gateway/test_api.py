"""The management API as its table declares it: who may call what, and what is described."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway import api, surface
from proxypal_core.gateway.api import ENDPOINTS
from proxypal_core.gateway.dashboard_session import LINK_SECONDS, SESSION_SECONDS
from tests.gateway.owning import ADMIN, COOKIE, PAGE, owned
from tests.proxy import ADMIN_KEY, StoppedClock

CLIENT_KEY = "client-key-of-the-tests"
LOCKED = f"client_keys: [{{name: laptop, key: {CLIENT_KEY}}}]\n"
WRITES = {row.method for row in ENDPOINTS} - {"GET"}
NAMES = [f"{row.method} {row.path}" for row in ENDPOINTS]


def filled(path):
    """*path* with an account, a request, a key and a provider that nobody has."""
    return re.sub(r"\{\w+\}", "nobody", path)


def shown(holder, cookies):
    """The headers and cookies of somebody."""
    bearer = {
        "wrong key": "wrong-key",
        "client key": CLIENT_KEY,
        "admin key": ADMIN_KEY,
    }.get(holder)
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    if holder == "page":
        headers = PAGE
    return headers, cookies if holder in ("cookie", "page") else None


def allowed(row, holder):
    """The status with which *holder* is turned away from *row*; 0 for one who is let in."""
    match holder:
        case "admin key":
            return 0
        case "page":
            return 403 if row.holder == "admin" else 0
        case "cookie":
            return 403 if row.holder == "admin" or row.method in WRITES else 0
        case _:
            return 401


@pytest.mark.parametrize("row", ENDPOINTS, ids=NAMES)
async def test_an_endpoint_answers_those_whom_its_row_names(tmp_path, row):
    seen = {}
    async with owned(tmp_path, LOCKED) as owner:
        cookies = await owner.signed_in()
        for holder in ("nobody", "wrong key", "client key", "cookie", "page", "admin key"):
            headers, carried = shown(holder, cookies)
            body = {} if row.body else None
            seen[holder], _, _ = await owner.raw(
                row.method, filled(row.path), body, headers=headers, cookies=carried
            )

    for holder, status in seen.items():
        refused = allowed(row, holder)
        assert (status in (401, 403)) == bool(refused), holder
        assert not refused or status == refused, holder


@pytest.mark.parametrize(
    "place", ["x-api-key", "x-goog-api-key", "api-key", "authorization", "query"]
)
async def test_a_client_key_opens_nothing_wherever_it_stands(tmp_path, place):
    async with owned(tmp_path, LOCKED) as owner:
        query = f"?key={CLIENT_KEY}" if place == "query" else ""
        value = f"Bearer {CLIENT_KEY}" if place == "authorization" else CLIENT_KEY
        headers = {} if query else {place: value}
        for row in ENDPOINTS:
            status, _, _ = await owner.raw(row.method, filled(row.path) + query, headers=headers)

            assert status == 401


async def test_without_any_client_key_the_api_is_still_closed(tmp_path):
    async with owned(tmp_path) as owner:
        for row in ENDPOINTS:
            status, _, _ = await owner.raw(row.method, filled(row.path), headers={})

            assert status == 401


async def test_the_admin_key_is_no_client_key(tmp_path):
    async with owned(tmp_path, LOCKED) as owner:
        status, _ = await owner.call("GET", "/v1/models")

    assert status == 401


async def test_another_sites_page_with_the_cookie_is_refused(tmp_path):
    async with owned(tmp_path) as owner:
        cookies = await owner.signed_in()
        headers = {**PAGE, "origin": "http://localhost:9999"}
        status, _ = await owner.call(
            "POST", "/api/accounts/reset", headers=headers, cookies=cookies
        )

    assert status == 403


async def test_what_is_not_there_is_told_to_the_owner_alone(tmp_path):
    async with owned(tmp_path) as owner:
        statuses = [
            (await owner.raw("GET", "/api/nothing", headers=headers))[0] for headers in ({}, ADMIN)
        ]
        wrong = (await owner.raw("PATCH", "/api/state"))[:2]

    assert statuses == [401, 404]
    assert (wrong[0], wrong[1]["allow"]) == (405, "GET")


async def test_a_body_of_another_type_is_refused(tmp_path):
    async with (
        owned(tmp_path) as owner,
        owner.session.post(
            f"{owner.url}/api/keys",
            data='{"name": "x"}',
            headers={**ADMIN, "content-type": "text/plain"},
        ) as answer,
    ):
        status = answer.status

    assert status == 415


async def test_a_field_that_means_nothing_is_named(tmp_path):
    async with owned(tmp_path) as owner:
        status, answer = await owner.call("POST", "/api/keys", {"name": "x", "modles": []})

    assert status == 400
    assert "modles" in answer["error"]["message"]


# ── the description ──────────────────────────────────────────────────────────────────────────


async def test_the_description_has_every_endpoint_and_no_other(tmp_path):
    async with owned(tmp_path) as owner:
        status, document = await owner.call("GET", "/api/openapi.json")

    described = {
        (method.upper(), path) for path, row in document["paths"].items() for method in row
    }
    assert status == 200
    assert document["openapi"] == "3.1.0"
    assert described == {(row.method, row.path) for row in ENDPOINTS}


async def test_the_description_says_who_may_call_and_what_is_sent(tmp_path):
    async with owned(tmp_path) as owner:
        _, document = await owner.call("GET", "/api/openapi.json")

    for row in ENDPOINTS:
        told = document["paths"][row.path][row.method.lower()]
        ways = [set(way) for way in told["security"]]
        assert {"adminKey"} in ways
        assert any("dashboardCookie" in way for way in ways) == (row.holder == "owner")
        assert ("requestBody" in told) == (row.body is not None)
        names = {one["name"] for one in told["parameters"] if one["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", row.path))
        if row.body is not None:
            schema = told["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schema.rpartition("/")[2] in document["components"]["schemas"]


@given(st.sampled_from(ENDPOINTS), st.text(min_size=1, max_size=20))
def test_every_endpoint_is_found_by_its_path_whatever_the_names(row, text):
    name = quote(text, safe="")
    path = re.sub(r"\{\w+\}", lambda _: name, row.path)
    found, at = api.find(row.method, path)

    assert found is row or not at  # an account called "reset" is no account
    assert all(value == text for value in at.values())
    assert surface.match(row.method, path).route.operation is surface.Operation.API


# ── the way into the dashboard ───────────────────────────────────────────────────────────────


async def test_a_link_signs_in_once(tmp_path):
    async with owned(tmp_path) as owner:
        _, link = await owner.call("POST", "/api/session-links")
        first, headers, _ = await owner.raw("GET", link["url"], headers={})
        second, again, _ = await owner.raw("GET", link["url"], headers={})

    assert (first, headers["location"]) == (303, "/dashboard")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(headers["set-cookie"].split("; "))
    assert second == 303
    assert "set-cookie" not in again


async def test_a_link_that_is_followed_too_late_signs_nobody_in(tmp_path):
    clock = StoppedClock()
    async with owned(tmp_path, clock=clock) as owner:
        _, link = await owner.call("POST", "/api/session-links")
        clock.at += LINK_SECONDS
        _, headers, _ = await owner.raw("GET", link["url"], headers={})

    assert "set-cookie" not in headers


async def test_a_session_ends(tmp_path):
    clock = StoppedClock()
    async with owned(tmp_path, clock=clock) as owner:
        cookies = await owner.signed_in()
        before, _ = await owner.call("GET", "/api/state", headers={}, cookies=cookies)
        clock.at += SESSION_SECONDS
        after, _ = await owner.call("GET", "/api/state", headers={}, cookies=cookies)

    assert (before, after) == (200, 401)


@pytest.mark.parametrize("code", ["", "x", "%00"])
async def test_a_code_that_nobody_gave_signs_nobody_in(tmp_path, code):
    async with owned(tmp_path) as owner:
        await owner.call("POST", "/api/session-links")
        status, headers, _ = await owner.raw("GET", f"/dashboard?code={code}", headers={})

    assert status == 303
    assert "set-cookie" not in headers


async def test_a_cookie_begins_no_session_of_its_own(tmp_path):
    async with owned(tmp_path) as owner:
        for cookies in ({COOKIE: ""}, {COOKIE: "x"}, {}):
            status, _ = await owner.call("GET", "/api/state", headers=PAGE, cookies=cookies)

            assert status == 401


async def test_the_page_is_open_and_says_nothing_but_itself(tmp_path):
    async with owned(tmp_path, LOCKED) as owner:
        status, headers, text = await owner.raw("GET", "/dashboard", headers={})

    assert status == 200
    assert "script-src 'self'" in headers["content-security-policy"]
    assert CLIENT_KEY not in text
