"""The frame of the suites: a broken bound, and a measure that fails, close the gate."""

import json

import pytest

from tests.figures import Figure, main


def suite(*, held):
    async def measure():
        return [Figure("R1", "answers lost", "3", "0", held=held)]

    return {"lost": measure}


@pytest.mark.parametrize(("held", "code"), [(True, 0), (None, 0), (False, 1)])
def test_only_a_broken_bound_fails(held, code, capsys):
    assert main("tests.it", suite(held=held), []) == code
    assert "answers lost" in capsys.readouterr().out


def test_a_measure_that_fails_is_a_broken_promise_and_the_others_still_run(capsys):
    async def fails():
        raise RuntimeError("it stood still")

    code = main("tests.it", {"first": fails, **suite(held=True)}, ["--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [one["held"] for one in told] == [False, True]
    assert "it stood still" in told[0]["measured"]


def test_what_is_named_is_run_and_nothing_else(capsys):
    async def other():
        raise AssertionError("not asked for")

    assert main("tests.it", {"other": other, **suite(held=True)}, ["lost"]) == 0


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main("tests.it", suite(held=True), ["lots"])

    assert "there is no lots" in capsys.readouterr().err
