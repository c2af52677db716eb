"""A running daemon goes by what its files say now, and by what they said before when they are wrong."""

import asyncio
from contextlib import suppress

import pytest

from proxypal_core.daemon import reload
from proxypal_core.settings.parse import parse

HANG_UP = "SIGHUP"
UNUSABLE, BROKEN = 98, 99


class Files:
    """A settings file, and a clock whose ticks a test lets pass."""

    def __init__(self, folder):
        self.path = folder / "config.yaml"
        self.path.write_text("")
        self.applied = []
        self.while_settling = []
        self.supervisor = Told()
        self.sources = reload.Sources((self.path,), lambda: parse(self.path.read_text(), {}))

    async def after(self, *texts):
        """What was applied after the file said each of *texts*, a look apart."""
        waiting = list(texts)

        async def wait(event, seconds):
            event.close()
            await asyncio.sleep(0)
            if seconds == reload.SETTLED:
                for text in self.while_settling:
                    self.path.write_text(text)
                self.while_settling = []
                return
            if not waiting:
                raise asyncio.CancelledError
            text = waiting.pop(0)
            if text == HANG_UP:
                follower.asked.set()
            elif text is not None:
                self.path.write_text(text)

        follower = reload.Follower(
            sources=self.sources,
            running=parse("", {}),
            apply=self.apply,
            supervisor=self.supervisor,
            wait=wait,
        )
        with suppress(asyncio.CancelledError):
            await follower.run()
        return [settings.strict for settings in self.applied]

    def apply(self, settings):
        self.applied.append(settings)
        if settings.routing.max_attempts == UNUSABLE:
            raise reload.Unreadable("the log cannot be written")
        if settings.routing.max_attempts == BROKEN:
            raise RuntimeError("half of it is done")


class Told:
    """What a supervisor was told."""

    def __init__(self):
        self.states = []

    def reloading(self):
        self.states.append("reloading")

    def ready(self):
        self.states.append("ready")


async def test_what_changed_is_applied_once(tmp_path):
    files = Files(tmp_path)

    assert await files.after("strict: true", None, "strict: false", None) == [True, False]


async def test_what_is_wrong_changes_nothing_and_the_next_is_read(tmp_path):
    assert await Files(tmp_path).after("strict: maybe", "strict: true") == [True]


async def test_a_file_that_is_gone_changes_nothing(tmp_path):
    files = Files(tmp_path)
    files.path.unlink()

    assert await files.after("strict: true") == [True]


async def test_asked_to_it_reads_what_has_not_changed(tmp_path):
    files = Files(tmp_path)

    assert await files.after(HANG_UP, HANG_UP, None) == [False, False]
    assert files.supervisor.states == ["reloading", "ready"] * 2


async def test_a_file_that_an_editor_has_just_emptied_is_not_read_yet(tmp_path):
    files = Files(tmp_path)
    files.path.write_text("strict: true")
    files.while_settling = ["strict: true\nrouting: {max_attempts: 7}"]

    assert await files.after("", None) == [True]
    assert files.applied[0].routing.max_attempts == 7


async def test_what_is_refused_leaves_the_old(tmp_path):
    files = Files(tmp_path)

    refused = f"strict: true\nrouting: {{max_attempts: {UNUSABLE}}}"

    assert await files.after(refused, "strict: false") == [True, False]
    assert files.supervisor.states == ["reloading", "ready"] * 2


async def test_what_breaks_half_way_is_put_back_whole(tmp_path):
    files = Files(tmp_path)
    broken = f"strict: false\nrouting: {{max_attempts: {BROKEN}}}"

    assert await files.after("strict: true", broken, "routing: {max_attempts: 2}") == [
        True,
        False,
        True,  # the last that was whole
        False,
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: {port: 9000}", ["listen"]),
        ("timeouts: {connect: 1s, idle: 5s}", ["timeouts.connect"]),
        ("routing: {strategy: weighted}", []),
        ("strict: true", []),
        ("logging: {level: debug}", []),
    ],
)
def test_what_needs_a_restart_is_known(text, told):
    assert reload.changed(reload.NEEDS_RESTART, parse("", {}), parse(text, {})) == told
