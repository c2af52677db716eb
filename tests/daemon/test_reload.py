"""A running daemon goes by what its files say now, and by what they said before when they are wrong."""

import asyncio
from contextlib import suppress

import pytest

from proxypal_core.daemon import reload
from proxypal_core.settings.parse import parse


class Files:
    """A settings file, and a clock whose ticks a test lets pass."""

    def __init__(self, folder):
        self.path = folder / "config.yaml"
        self.path.write_text("")
        self.applied = []
        self.sources = reload.Sources((self.path,), lambda: parse(self.path.read_text(), {}))

    async def after(self, *texts):
        """What was applied after the file said each of *texts*, a look apart."""
        waiting = list(texts)

        async def sleep(_):
            await asyncio.sleep(0)
            if not waiting:
                raise asyncio.CancelledError
            text = waiting.pop(0)
            if text is not None:
                self.path.write_text(text)

        with suppress(asyncio.CancelledError):
            await reload.follow(self.sources, parse("", {}), self.applied.append, sleep=sleep)
        return [settings.strict for settings in self.applied]


async def test_what_changed_is_applied_once(tmp_path):
    files = Files(tmp_path)

    assert await files.after("strict: true", None, "strict: false", None) == [True, False]


async def test_what_is_wrong_changes_nothing_and_the_next_is_read(tmp_path):
    assert await Files(tmp_path).after("strict: maybe", "strict: true") == [True]


async def test_a_file_that_is_gone_changes_nothing(tmp_path):
    files = Files(tmp_path)
    files.path.unlink()

    assert await files.after("strict: true") == [True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: {port: 9000}", ["listen"]),
        ("timeouts: {connect: 1s, idle: 5s}", ["timeouts.connect"]),
        ("routing: {strategy: weighted}", []),
        ("strict: true", []),
    ],
)
def test_what_needs_a_restart_is_known(text, told):
    assert reload.changed(reload.NEEDS_RESTART, parse("", {}), parse(text, {})) == told
