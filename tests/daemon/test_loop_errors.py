"""What the event loop could give to nobody is logged once, and without words of a client."""

import asyncio

import pytest

from proxypal_core.daemon.loop_errors import SILENCE, LoopErrors


class Clock:
    def __init__(self):
        self.now = 100.0

    def time(self):
        return self.now


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def raised(text):
    with pytest.raises(ValueError) as info:
        raise ValueError(text)
    return info.value


def test_the_kind_and_the_place_are_told_and_the_words_are_not(capfd, caplog):
    LoopErrors()(Clock(), {"message": "it failed", "exception": raised("sk-CANARY")})

    shown = caplog.text + "".join(capfd.readouterr())
    assert "it failed" in shown
    assert "ValueError" in shown
    assert "test_loop_errors.py:" in shown
    assert "CANARY" not in shown


async def test_a_callback_is_told_without_its_arguments(capfd, caplog):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(LoopErrors())
    loop.call_soon(lambda key: 1 / 0, "sk-CANARY")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    shown = caplog.text + "".join(capfd.readouterr())
    assert "ZeroDivisionError" in shown
    assert "CANARY" not in shown


def test_the_same_thing_is_told_once_a_minute(capfd, caplog):
    clock, errors = Clock(), LoopErrors()
    for _ in range(1000):
        errors(clock, {"message": "again"})
    errors(clock, {"message": "another"})
    clock.now += SILENCE
    errors(clock, {"message": "again"})

    shown = caplog.text + "".join(capfd.readouterr())
    assert shown.count("again") == 2 * shown.count("another") > 0
