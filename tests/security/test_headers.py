"""Two hundred random heads each way; and that a header which gets through is seen."""

import re

import pytest
from structlog.testing import capture_logs

from proxypal_core.gateway import headers, request
from proxypal_core.wire import head as wire_head
from tests.security.headers import measure_headers

COUNT, FEW = 200, 80


async def test_no_header_passes_that_may_not():
    figures = await measure_headers(COUNT)

    assert [figure for figure in figures if not figure.held] == []


@pytest.mark.parametrize("way", ["_UP", "_DOWN"])
async def test_a_list_that_lets_everything_through_is_seen(monkeypatch, way):
    allow = re.compile(r"(?!content-|host|transfer-|connection|te$|trailer|expect|keep-alive).*")
    monkeypatch.setattr(headers, way, dict.fromkeys(getattr(headers, way), allow))
    for known in ("_going_up", "_going_down"):
        monkeypatch.setattr(headers, known, getattr(headers, known).__wrapped__)

    up, down, *_ = await measure_headers(FEW)

    assert (up if way == "_UP" else down).held is False


async def test_a_header_for_the_neighbour_alone_that_passes_is_seen(monkeypatch):
    def careless(said, names):
        return clean({name: said[name] for name in names if name != "connection"}, names)

    clean = headers._clean
    monkeypatch.setattr(headers, "_clean", careless)

    up, down, *_ = await measure_headers(FEW)

    assert (up.held, down.held) == (False, False)


async def test_a_value_that_no_header_may_have_is_seen(monkeypatch):
    monkeypatch.setattr(headers, "_clean", lambda said, names: {name: said[name] for name in names})

    up, down, *_ = await measure_headers(FEW, seed=6)  # whose heads have some, each way

    assert (up.held, down.held) == (False, False)


async def test_a_head_that_the_proxy_itself_fails_on_is_seen(monkeypatch):
    def fails(*_):
        raise ValueError

    monkeypatch.setattr(headers, "_clean", fails)

    with capture_logs():  # where nothing is configured, a traceback shows the values of variables
        *_, failed = await measure_headers(8)

    assert failed.held is False


async def test_an_answer_that_is_no_http_is_seen(monkeypatch):
    def head(*said):
        return wire_head.head(*said).replace(b"\r\nx-request-id", b"\r\nx request id")

    monkeypatch.setattr(request, "head", head)

    _, _, refused, _ = await measure_headers(8)

    assert refused.held is False
