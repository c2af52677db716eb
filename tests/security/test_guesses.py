"""How wrong keys are counted, and that right ones never are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.gateway import access
from proxypal_core.hub.failure import Kind, Refused
from tests.gateway.asking import question
from tests.security.guesses import guessed
from tests.security.policy import LOCKED
from tests.security.target import target


@given(st.lists(st.floats(0, 90), min_size=1, max_size=200))
def test_no_more_than_a_bucket_and_a_minutes_worth_of_wrong_keys_are_looked_at(pauses):
    now = [1000.0]
    guesses = access.Guesses(lambda: now[0], a_minute=10)
    looked_at = []
    for pause in pauses:
        now[0] += pause
        if not guesses.wrong():
            looked_at.append(now[0])

    for at in looked_at:
        assert len([one for one in looked_at if at <= one < at + 60]) <= 20


@given(st.integers(10, 40))
def test_who_waits_as_long_as_told_is_looked_at_again(count):
    now = [1000.0]
    guesses = access.Guesses(lambda: now[0])
    for _ in range(count):
        guesses.wrong()
    wait = guesses.wrong()
    assert 0 < wait <= 6
    now[0] += wait + 1e-6

    assert guesses.wrong() == 0


def test_a_clock_that_is_set_back_locks_nobody_out():
    now = [1000.0]
    guesses = access.Guesses(lambda: now[0])
    for _ in range(11):
        guesses.wrong()
    now[0] = 0.0
    assert guesses.wrong() > 0
    now[0] = 60.0

    assert guesses.wrong() == 0


def keyring():
    return access.Keyring([ClientKey("laptop", access.digest("k-1"))], lambda: 0.0)


def told(ring, *shown):
    with pytest.raises(Refused) as refused:
        ring.admit([access.digest(key) for key in shown])
    return refused.value.failure.kind


def test_after_ten_wrong_keys_the_next_has_to_wait_and_a_right_one_has_not():
    ring = keyring()
    kinds = [told(ring, f"guess-{number}") for number in range(12)]

    assert kinds == [Kind.CLIENT_KEY] * 10 + [Kind.RATE_LIMIT] * 2
    assert ring.admit([access.digest("k-1")]) is not None


def test_who_shows_no_key_guesses_nothing():
    ring = keyring()
    kinds = {told(ring) for _ in range(50)}

    assert kinds == {Kind.CLIENT_KEY}
    assert told(ring, "guess") is Kind.CLIENT_KEY


def test_a_right_key_in_the_wrong_place_is_no_guess():
    ring = keyring()
    kinds = {
        ring.stranger([access.digest("k-1")], "the owner's alone").failure.kind for _ in range(50)
    }

    assert kinds == {Kind.CLIENT_KEY}


async def test_guessers_are_told_how_long_to_wait_in_words_of_their_own():
    path, body = question("anthropic", stream=False)
    async with target(LOCKED) as attacked:
        for number in range(11):
            headers = {"x-api-key": f"guess-{number}"}
            status, headers, text = await attacked.owner.raw("POST", path, body, headers=headers)

    assert status == 429
    assert headers["retry-after"] == "6"
    assert headers["x-should-retry"] == "false"
    assert '"type":"rate_limit_error"' in text
    assert "too many wrong keys" in text


async def few_guesses():
    """Whether each figure holds of a few guesses at a proxy in this process, but for the time."""
    async with target(LOCKED) as attacked:
        return [figure.held for figure in await guessed(attacked.owner.url, 60, 2)][:3]


async def test_a_right_key_is_let_in_while_keys_are_guessed():
    assert await few_guesses() == [True, True, True]


async def test_a_proxy_that_lets_anybody_in_is_seen(monkeypatch):
    monkeypatch.setattr(access.Keyring, "admit", lambda *_: None)

    assert await few_guesses() == [False, True, False]


async def test_a_proxy_that_locks_everybody_out_is_seen(monkeypatch):
    def refuses(ring, *_):
        raise ring.stranger([access.digest("nobody's")], "too many were wrong")

    monkeypatch.setattr(access.Keyring, "admit", refuses)

    assert (await few_guesses())[1] is False


async def test_a_proxy_that_does_not_count_is_seen(monkeypatch):
    monkeypatch.setattr(access.Guesses, "wrong", lambda _: 0.0)

    assert await few_guesses() == [True, True, False]
