"""The log says what happened and never what must stay secret, whoever writes to it."""

import json
import logging
import os
import re
import stat

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.metering import Shared, Summary
from proxypal_core.telemetry import log

LIVE = "the live/one+of an account"
QUOTED = 'with "quotes" and \\ in it'
LONGER = "the live/one+of an account-and-its-tail"
SECRETS = (LIVE, QUOTED, LONGER)
FORMS = (
    "Bearer abc.def-123",
    "bearer abc.def-123",
    "sk-ant-api03-abcdefgh_ijk",
    "AIzaSyA1234567890abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
)
CANARIES = (*SECRETS, *FORMS)
formats = pytest.mark.parametrize("form", ["text", "json"])


@pytest.fixture
def configured(capsys):
    """Calls ``configure`` and, after the test, puts everything back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    opened = []

    def configure(**options):
        log.configure(secrets=SECRETS, **options)
        opened.extend(root.handlers)
        return structlog.get_logger("a.room")

    yield configure
    for handler in opened:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fail(error, cause=None):
    raise error from cause


def assert_nothing_of(canary, text):
    secret = canary.removeprefix("Bearer ").removeprefix("bearer ")
    assert "***" in text
    for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelling not in text


# ── what looks secret ────────────────────────────────────────────────────────────────────────


_letters = st.text("abc*", min_size=6)


@given(st.text("xyz "), st.lists(_letters, min_size=1, max_size=3), st.text("xyz "))
def test_nothing_of_a_live_secret_stays_wherever_it_stands(before, secrets, after):
    shown = log.scrubbed(f"{before}{after.join(secrets)}{after}", secrets)

    assert not set("abc") & set(shown)


@given(st.from_regex(r"[A-Za-z0-9_-]{8,40}", fullmatch=True))
def test_what_has_the_form_of_a_key_is_left_out(token):
    text = f"a sk-{token} b AIza{token} c eyJ{token}.{token} d ?key={token}&x=1 e Bearer {token}"

    assert log.scrubbed(text) == "a *** b *** c *** d ?key=***&x=1 e Bearer ***"


def test_plain_words_are_left_alone():
    text = "risk-free skipping of a key=value? model=gpt-5 demo:built-in sk-1"

    assert log.scrubbed(text, ["", "demo"]) == text


def test_of_a_secret_that_begins_with_another_nothing_stays():
    assert log.scrubbed(f"<{LONGER}>", [LIVE, LONGER]) == "<***>"


# ── every way into the log ───────────────────────────────────────────────────────────────────


@formats
@pytest.mark.parametrize("canary", CANARIES)
def test_a_value_is_scrubbed(configured, capsys, form, canary):
    configured(format=form).info("asked", header=f"x {canary}", more={"deep": [canary]})

    assert_nothing_of(canary, capsys.readouterr().err)


@formats
@pytest.mark.parametrize("canary", CANARIES)
def test_a_message_is_scrubbed(configured, capsys, form, canary):
    configured(format=form).warning(f"asked with {canary}")

    assert_nothing_of(canary, capsys.readouterr().err)


@formats
def test_a_key_in_an_address_is_scrubbed(configured, capsys, form):
    configured(format=form).info("asked", url="https://h.example/v1?a=1&key=AQ.some-key&b=2")

    shown = capsys.readouterr().err
    assert "AQ.some-key" not in shown
    assert "key=***&b=2" in shown


@formats
@pytest.mark.parametrize("canary", CANARIES)
def test_an_exception_is_scrubbed(configured, capsys, form, canary):
    logger = configured(format=form)
    try:
        fail(ValueError(canary), KeyError(canary))
    except ValueError:
        logger.exception("it failed")

    shown = capsys.readouterr().err
    assert_nothing_of(canary, shown)
    assert "Traceback" in shown


@formats
@pytest.mark.parametrize("canary", CANARIES)
def test_other_libraries_loggers_are_scrubbed(configured, capsys, form, canary):
    configured(format=form)
    logger = logging.getLogger("some.library")
    try:
        fail(OSError(canary))
    except OSError:
        logger.exception("header %r of %s", canary, {"authorization": canary})

    shown = capsys.readouterr().err
    assert_nothing_of(canary, shown)
    assert "some.library" in shown
    assert "Traceback" in shown


@formats
def test_a_traceback_does_not_show_variables(configured, capsys, form):
    logger = configured(format=form)
    variable = "nobody-else-writes-this"
    try:
        fail(ValueError(len(variable)))
    except ValueError:
        logger.exception("it failed")

    assert variable not in capsys.readouterr().err.replace('variable = "nobody', "")


# ── forms ────────────────────────────────────────────────────────────────────────────────────


def test_json_is_an_object_a_line(configured, capsys):
    logger = configured(format="json")
    logger.info("two\nlines", n=1, account="a:b")
    logging.getLogger("some.library").warning("%d things", 3)
    try:
        fail(ValueError("no"))
    except ValueError:
        logger.exception("failed")

    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["event"] == "two\nlines"
    assert (first["n"], first["level"], first["logger"]) == (1, "info", "a.room")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"]) == ("3 things", "some.library")
    assert "ValueError: no" in third["exception"]


@formats
@pytest.mark.parametrize(
    "value", [object(), b"\xff", {1, 2}, {"k": b"x"}], ids=["object", "bytes", "set", "dict"]
)
def test_a_value_without_a_json_form_is_still_logged(configured, capsys, form, value):
    configured(format=form).info("odd", value=value, other=7)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "odd" in lines[0]
    assert "Logging error" not in lines[0]


def test_json_says_what_utf_8_cannot(configured, capsys):
    configured(format="json").info("odd", value="\ud800")

    assert json.loads(capsys.readouterr().err)["value"] == r"'\ud800'"


def test_what_a_client_wrote_does_not_drive_a_terminal(configured, capsys):
    logger = configured()
    logger.info("a\x1b[2Jb", model="c\x1b[31md", other="e\x9bf\ng")
    logging.getLogger("some.library").warning("h%s", "\x07\r")

    shown = capsys.readouterr().err
    assert not {"\x1b", "\x9b", "\x07", "\r"} & set(shown)
    assert len(shown.splitlines()) == 2
    assert r"model=c\x1b[31md" in shown


def test_text_for_a_file_or_a_pipe_has_no_colours(configured, capsys):
    configured().info("asked", account="a:b")

    line = capsys.readouterr().err
    assert "\x1b" not in line
    assert "account=a:b" in line


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("error", 1)])
def test_only_what_is_important_enough_is_logged(configured, capsys, level, shown):
    logger = configured(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)("words")

    assert len(capsys.readouterr().err.splitlines()) == shown


def test_configured_twice_a_line_is_logged_once(configured, capsys):
    configured()
    configured().info("once")

    assert capsys.readouterr().err.count("once") == 1


def test_configured_again_the_level_is_another_for_those_who_have_logged_already(
    configured, capsys
):
    logger = configured(level="info")
    logger.debug("one")
    configured(level="debug")
    logger.debug("two")
    configured(level="error")
    logger.info("three")

    [line] = capsys.readouterr().err.splitlines()
    assert "two" in line


def test_configured_again_the_log_goes_elsewhere(configured, tmp_path, capsys):
    logger = configured(file=str(tmp_path / "a.log"))
    logger.info("one")
    with pytest.raises(OSError, match="nowhere"):
        configured(file=str(tmp_path / "nowhere" / "b.log"))
    logger.info("two")
    configured(format="json")
    logger.info("three")

    assert (tmp_path / "a.log").read_text().count("\n") == 2
    assert json.loads(capsys.readouterr().err)["event"] == "three"


# ── the journal ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Puts a file in place of standard error that the environment says is the journal; its path."""
    with (tmp_path / "journal").open("w+") as stream:

        def lead_there():  # in the test itself: between its phases pytest puts its own stream back
            state = os.fstat(stream.fileno())
            monkeypatch.setenv("JOURNAL_STREAM", f"{state.st_dev}:{state.st_ino}")
            monkeypatch.setattr("sys.stderr", stream)
            return tmp_path / "journal"

        yield lead_there


@pytest.mark.parametrize(
    ("level", "prefix"), [("debug", "<7>"), ("info", "<6>"), ("warning", "<4>"), ("error", "<3>")]
)
def test_the_journal_is_told_the_priority_and_no_time(configured, journal, level, prefix):
    file = journal()
    getattr(configured(level="debug"), level)("asked", account="a:b")

    [line] = file.read_text().splitlines()
    assert line.startswith(f"{prefix}[{level}")
    assert "account=a:b" in line
    assert "20" not in line
    assert "\x1b" not in line


def test_each_line_of_a_traceback_has_its_priority(configured, journal):
    file = journal()
    logger = configured()
    try:
        fail(ValueError("no"))
    except ValueError:
        logger.exception("it failed")

    lines = file.read_text().splitlines()
    assert len(lines) > 3
    assert {line[:3] for line in lines} == {"<3>"}


def test_the_journal_is_scrubbed_too(configured, journal):
    file = journal()
    configured().info("asked", header=f"x {LIVE}")

    assert_nothing_of(LIVE, file.read_text())


def test_json_stays_json_behind_the_priority(configured, journal):
    file = journal()
    configured(format="json").info("asked", n=1)

    line = file.read_text()
    assert line.startswith("<6>{")
    assert json.loads(line[3:])["n"] == 1


def test_a_pipe_is_not_the_journal_though_the_service_s_shell_had_one(
    configured, capsys, monkeypatch
):
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    configured().info("asked")

    assert capsys.readouterr().err.startswith("20")


# ── the file ─────────────────────────────────────────────────────────────────────────────────


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing there")
def test_the_file_is_its_owner_s_alone(configured, tmp_path):
    configured(file=str(tmp_path / "p.log")).info("asked")

    assert mode(tmp_path / "p.log") == 0o600
    assert "asked" in (tmp_path / "p.log").read_text()


def test_the_file_goes_on_where_it_was_and_keeps_its_mode(configured, tmp_path):
    file = tmp_path / "p.log"
    file.write_text("earlier\n")
    before = mode(file)

    configured(file=str(file)).info("asked")

    assert file.read_text().startswith("earlier\n")
    assert "asked" in file.read_text()
    assert mode(file) == before


@pytest.mark.parametrize("keep", [1, 5])
def test_the_file_is_rotated(configured, tmp_path, keep):
    logger = configured(file=str(tmp_path / "p.log"), format="json", max_bytes=1000, keep=keep)
    for number in range(100):
        logger.info("asked", number=number)

    files = sorted(path.name for path in tmp_path.glob("p.log*"))
    assert files == ["p.log", *(f"p.log.{n}" for n in range(1, keep + 1))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.glob("p.log*"))
    if os.name == "posix":
        assert {mode(path) for path in tmp_path.glob("p.log*")} == {0o600}


def test_a_file_in_the_home_folder_may_be_written_with_a_tilde(configured, tmp_path):
    configured(file="~/p.log").info("asked")  # the tests' home is tmp_path

    assert "asked" in (tmp_path / "p.log").read_text()


def test_what_utf_8_cannot_say_is_logged_too(configured, tmp_path, capsys):
    configured(file=str(tmp_path / "p.log")).info("odd", value="\ud800")

    assert "odd" in (tmp_path / "p.log").read_text()
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_written_is_an_error(configured, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        configured(file=str(tmp_path / "nowhere" / "p.log"))


# ── a line for every request ─────────────────────────────────────────────────────────────────

READ = {"text": str, "json": json.loads}


def told(path="/v1", *, model="", asked="", seconds=0.5, tokens_in=0):
    return Summary(Shared(path, model, 200, "served", asked), seconds, tokens_in, 7)


@formats
@pytest.mark.parametrize(
    "one",
    [
        told(),
        told(seconds=12.0, tokens_in=10**9),
        told('/"a"=%s', model="it's 100 %", asked="a:b/c=served > d:e/f=server"),
        told("\x1b[2J", model="%(id)s", asked="é\n"),
    ],
)
def test_the_line_of_an_exchange_is_as_structlog_would_write_it(configured, capsys, form, one):
    configured(format=form)
    structlog.get_logger("some.where").info("exchange", id="17", **one.fields())
    log.exchange("17", one, "some.where")

    slow, quick = capsys.readouterr().err.splitlines()
    moment = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+\.\d{6}Z")
    assert READ[form](moment.sub("now", quick)) == READ[form](moment.sub("now", slow))


@formats
def test_the_line_of_an_exchange_has_no_date_in_the_journal(configured, capsys, monkeypatch, form):
    monkeypatch.setattr(log, "to_journal", lambda environment, stream: True)
    configured(format=form)
    log.exchange("17", told(), "some.where")

    line = capsys.readouterr().err
    assert "exchange" in line
    assert not re.search(r"timestamp|\d{4}-\d\d-\d\d", line)


@formats
@pytest.mark.parametrize("canary", CANARIES)
def test_the_line_of_an_exchange_is_scrubbed(configured, capsys, form, canary):
    configured(format=form)
    log.exchange("17", told(f"/v1/ {canary}"), "some.where")

    assert_nothing_of(canary, capsys.readouterr().err)


async def test_lines_of_exchanges_come_before_whatever_is_logged_after_them(configured, capsys):
    logger = configured()
    log.exchange("17", told(), "some.where")
    log.exchange("18", told(), "some.where")
    waiting = capsys.readouterr().err
    logger.info("after")

    assert waiting == ""
    assert re.findall(r"id=\d+|after", capsys.readouterr().err) == ["id=17", "id=18", "after"]


async def test_no_more_lines_wait_than_are_written_together(configured, capsys):
    configured()
    for number in range(2 * log._TOGETHER):
        log.exchange("17", told(tokens_in=number), "some.where")

    assert len(capsys.readouterr().err.splitlines()) == 2 * log._TOGETHER


def test_a_text_is_scrubbed_of_a_secret_that_is_told_after_it_was_seen(configured, capsys):
    configured()
    log.exchange("17", told("/v1/very-secret"), "some.where")
    log.leave_out({"very-secret"})
    capsys.readouterr()
    log.exchange("17", told("/v1/very-secret"), "some.where")

    assert "path=/v1/***" in capsys.readouterr().err


def test_the_line_of_an_exchange_is_as_important_as_any(configured, capsys):
    configured(level="warning")
    log.exchange("17", told(), "some.where")

    assert capsys.readouterr().err == ""
