"""The table of forged requests, at some routes; and that one which gets through is seen."""

import pytest

from proxypal_core.gateway import access
from proxypal_core.hub.failure import Failure, Kind, Refused
from tests.security import hosts
from tests.security.hosts import CASES
from tests.security.policy import POLICY
from tests.security.target import message, target

STEP = 25


def broken(figures):
    return [figure for figure in figures if not figure.held]


async def test_no_forged_request_is_served_and_every_proper_one_is():
    assert broken(await hosts.measure_table(STEP)) == []


async def test_no_malformed_request_is_served():
    assert broken(await hosts.measure_smuggling()) == []


def test_the_table_has_at_least_forty_forgeries():
    assert len([case for case in CASES if case.refused]) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("check", ["check_host", "check_origin", "check_content_type"])
async def test_a_guard_that_is_gone_is_seen(monkeypatch, check):
    monkeypatch.setattr(access, check, lambda *_: None)

    reached, *_ = await hosts.measure_table(step=len(POLICY) - 2)  # the first, and one with a body

    assert reached.held is False


async def test_a_guard_that_refuses_everything_is_seen(monkeypatch):
    def refuses(*_):
        raise Refused(Failure(Kind.MEDIA_TYPE, "whatever it is"))

    monkeypatch.setattr(access, "check_content_type", refuses)

    reached, _, turned_away, *_ = await hosts.measure_table(step=len(POLICY) - 2)

    assert reached.held
    assert turned_away.held is False


async def test_the_answer_to_a_preflight_opens_nothing_whoever_asks():
    async with target() as attacked:
        answers = [
            await attacked.ask(method, row.path, [f"Host: {attacked.host}", *lines])
            for method in ("OPTIONS", "GET", "PATCH", "TRACE")
            for row in POLICY[::6]
            for lines in ([], [f"Origin: http://{attacked.host}"], ["Origin: http://evil.example"])
        ]
        answers.append(await attacked.ask("GET", "/nowhere", [f"Host: {attacked.host}"]))

    assert {one.status for one in answers} >= {200, 204, 401, 403, 404, 405}
    assert [one.headers for one in answers if "access-control" in str(one.headers).lower()] == []
    assert [one.problem for one in answers if one.problem] == []


async def test_a_smuggled_request_that_is_answered_is_seen():
    async with target() as attacked:
        two = message("GET", "/health", [f"Host: {attacked.host}"]).replace(
            b"Connection: close", b"X: y"
        ) + message("GET", "/smuggled", [f"Host: {attacked.host}"])

        assert not await hosts.is_refused(attacked.port, two)
        assert not await hosts.is_refused(attacked.port, message("GET", "/", ["Host: localhost"]))
        assert await hosts.is_refused(attacked.port, message("GET", "/", ["Host: evil.example"]))
