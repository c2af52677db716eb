"""Each fault of the matrix somewhere, and the gate itself: what is broken on purpose is counted."""

import asyncio

import pytest

from proxypal_core.dialects import anthropic, openai_chat, pipe
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.gateway.exchange import Exchange
from proxypal_core.hub.failure import Failure, Kind
from tests.faults.catalogue import ALL, FAULTS
from tests.faults.matrix import (
    BAD,
    ERROR,
    FALSE_SUCCESS,
    HANG,
    LOST,
    OK,
    WAYS,
    WRONG_DIALECT,
    WRONG_TEXT,
    Cell,
    Judgement,
    cells,
    figures,
    judged,
    table,
)

pytestmark = pytest.mark.filterwarnings(  # google-genai leaves answers that are errors open
    "ignore:unclosed|Unclosed:ResourceWarning",
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning",
)

PARTS = 4


def sample():
    """A cell of each fault; all pairs and ways take their turns."""
    for number, fault in enumerate(FAULTS):
        own = list(cells([fault]))
        yield own[number * 7 % len(own)]


@pytest.mark.parametrize("part", range(PARTS))
async def test_no_fault_deceives_anybody(part):
    found = await judged(list(sample())[part::PARTS])

    assert [one for one in found if one.verdict in BAD] == []


def test_the_sample_is_of_all_that_there_is():
    chosen = list(sample())

    assert [cell.fault for cell in chosen] == list(FAULTS)
    assert {(cell.client, cell.upstream) for cell in chosen} == {(a, b) for a in ALL for b in ALL}
    assert {cell.way for cell in chosen} == set(WAYS)


def test_no_two_faults_have_the_same_name():
    names = [fault.name for fault in FAULTS]

    assert len(names) == len(set(names)) >= 40


# ── the gate closes ──────────────────────────────────────────────────────────────────────────


def cell(fault, client, upstream, way="stream"):
    return Cell(next(one for one in FAULTS if one.name == fault), client, upstream, way)


async def verdicts(*chosen, patience=10.0):
    return {one.verdict for one in await judged(chosen, patience)}


async def test_it_is_open_to_a_proxy_that_does_right():
    good = cell("comments", "gemini", "gemini")
    bad = cell("cut amid the text", "anthropic", "openai-chat")

    assert (await verdicts(good), await verdicts(bad)) == ({OK}, {ERROR})


@pytest.mark.parametrize("client", ALL)
async def test_a_clean_end_in_place_of_a_cut_is_seen(monkeypatch, client):
    async def finish(self, _):
        return await self.finish()

    monkeypatch.setattr(Downstream, "break_off", finish)

    assert FALSE_SUCCESS in await verdicts(cell("cut amid the text", client, "anthropic"))


@pytest.mark.parametrize("client", ALL)
async def test_an_error_that_is_told_and_then_ends_cleanly_is_seen(monkeypatch, client):
    async def tell_and_finish(self, last):
        await self.write(last)
        return await self.finish()

    monkeypatch.setattr(Downstream, "break_off", tell_and_finish)

    assert FALSE_SUCCESS in await verdicts(cell("cut amid the text", client, "anthropic"))


@pytest.mark.parametrize("upstream", ALL)
async def test_an_end_taken_for_the_terminal_event_is_seen(monkeypatch, upstream):
    def close(self):
        self.seen.finished = True
        return b""

    monkeypatch.setattr(pipe.Passthrough, "close", close)

    fault = "a clean end amid the text"
    assert FALSE_SUCCESS in await verdicts(cell(fault, upstream, upstream))


async def test_an_error_status_of_another_dialect_is_seen(monkeypatch):
    monkeypatch.setattr(anthropic, "encode_failure", openai_chat.encode_failure)

    assert WRONG_DIALECT in await verdicts(cell("500", "anthropic", "gemini"))


async def test_an_error_event_of_another_dialect_is_seen(monkeypatch):
    told = b'data: {"error":{"message":"Gone.","type":"server_error","param":null,"code":null}}\n\n'
    monkeypatch.setattr(pipe.Passthrough, "fail", lambda self, failure: told)

    found = await verdicts(cell("cut amid the text", "anthropic", "anthropic"))
    assert found & {WRONG_DIALECT, FALSE_SUCCESS}


async def test_a_cut_without_a_word_is_seen(monkeypatch):
    monkeypatch.setattr(pipe.Passthrough, "fail", lambda self, failure: b"")

    assert await verdicts(cell("cut amid the text", "gemini", "gemini")) == {WRONG_DIALECT}


async def test_a_wrong_status_is_seen(monkeypatch):
    def refused(status, body):
        return Failure(Kind.INVALID, "No.")

    monkeypatch.setattr(anthropic, "decode_failure", refused)

    assert WRONG_DIALECT in await verdicts(cell("429", "openai-chat", "anthropic"))


async def test_a_client_that_waits_for_ever_is_seen(monkeypatch):
    async def stand_still(self, request):
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Exchange, "_attempts", stand_still)

    found = await verdicts(cell("500", "openai-chat", "gemini"), patience=0.3)
    assert found == {HANG}


async def test_lost_text_is_seen(monkeypatch):
    write, write_now = Downstream.write, Downstream.write_now

    async def write_less(self, data):
        await write(self, data.replace(b"and no wind", b"and no wins"))

    def write_less_now(self, data):
        write_now(self, data.replace(b"and no wind", b"and no wins"))

    monkeypatch.setattr(Downstream, "write", write_less)
    monkeypatch.setattr(Downstream, "write_now", write_less_now)

    assert await verdicts(cell("comments", "anthropic", "gemini")) == {WRONG_TEXT}


async def test_an_error_for_a_good_answer_is_seen(monkeypatch):
    async def refuse(self, prepared, reply):
        return Failure(Kind.SERVER, "No.")

    monkeypatch.setattr(Exchange, "_stream", refuse)

    assert await verdicts(cell("comments", "anthropic", "gemini")) == {LOST}


@pytest.mark.parametrize("verdict", BAD)
def test_a_single_bad_verdict_breaks_a_bound(verdict):
    good = [Judgement(fault.name, ALL[0], ALL[0], "stream", "raw", OK) for fault in FAULTS]
    bad = good[0]._replace(verdict=verdict)

    assert all(figure.held for figure in figures(good))
    assert [figure.held for figure in figures([*good, bad])].count(False) == 1
    assert verdict in table([*good, bad])


def test_too_few_faults_break_the_bound():
    few = [Judgement(str(n), ALL[0], ALL[0], "stream", "raw", OK) for n in range(39)]

    assert not figures(few)[0].held
