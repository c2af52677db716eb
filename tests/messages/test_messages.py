"""Whatever goes wrong, a person is told what happened, why, and what to do next."""

import os

import pytest

from tests.messages import answering, commands, conversions, machine, managing, requests, settings
from tests.messages.table import Row, rows

ROWS = {row.when: row for row in rows()}
VENDORS = {
    "openai-chat": "OpenAI",
    "openai-responses": "OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
}
AT_THE_COMMAND_LINE = {**commands.CASES, **machine.CASES, **settings.CASES}
OVER_HTTP = {**requests.CASES, **conversions.CASES, **answering.CASES, **managing.CASES}
TYPED = [pytest.param(case, id=when) for when, case in AT_THE_COMMAND_LINE.items()]
ASKED = [
    pytest.param(when, case, dialect, id=f"{when}-{dialect}")
    for when, case in OVER_HTTP.items()
    for dialect in case.dialects
]


def test_the_page_has_a_row_for_every_case_and_a_case_for_every_row():
    assert sorted(ROWS) == sorted([*AT_THE_COMMAND_LINE, *OVER_HTTP])
    assert len(ROWS) == len(rows())


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.when)
def test_every_row_names_a_next_step(row):
    assert row.says.strip("…: ")
    assert row.step.strip("…: ")


@pytest.mark.skipif(os.name != "posix", reason="paths and modes are those of POSIX")
@pytest.mark.parametrize("case", TYPED)
def test_a_command_says_what_the_page_says(case, tmp_path, monkeypatch, request):
    row = ROWS[request.node.callspec.id]

    message, ends = case.result(tmp_path, monkeypatch)

    assert row.fits(message), f"{message!r} is not: {row.says} … {row.step}"
    assert ends == row.ends


@pytest.mark.parametrize(("when", "case", "dialect"), ASKED)
async def test_a_client_is_told_what_the_page_says_in_its_own_dialect(
    fault_server, when, case, dialect
):
    row = ROWS[when]

    status, message = await case.told(dialect, fault_server)
    fault_server.release()

    assert row.fits(message), f"{message!r} is not: {row.says} … {row.step}"
    assert status == row.status(VENDORS[dialect])


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ("port 1 is taken. Stop it.", True),
        ("port 1 is\n  taken. Stop it.", True),
        ("port 1 is taken.", False),
        ("Stop it. port 1 is taken", False),
        ("port 1 is free. Stop it.", False),
    ],
)
def test_a_message_without_its_next_step_is_seen(message, fits):
    assert Row("", "port … is taken", "Stop it", "").fits(message) is fits


def test_a_status_may_differ_by_vendor():
    row = Row("", "", "", "503 (Anthropic: 529)")

    assert (row.status("OpenAI"), row.status("Anthropic")) == (503, 529)
