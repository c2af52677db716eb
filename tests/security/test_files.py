"""What lies on the disk is whole and its owner's alone; and the gates that say so can close."""

import os

import pytest

from proxypal_core.store.vault_format import Snapshot, decode
from tests.security import files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")

# Daemons that are proxypal but for one fault.
OPEN = """
import os
os.umask(0)
from proxypal_core.store import files
files._OWN_FILE = 0o644
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""
TRUSTING = """
import os
os.O_NOFOLLOW = 0
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""


async def test_no_changed_vault_opens():
    for figure in await files.measure_damage(size=300):
        assert figure.held, figure


async def test_a_vault_that_opens_although_a_bit_was_turned_is_seen():
    seen = []

    def forgiving(data, key, path):
        seen.append(data)  # the first is as it was written
        if len(data) == len(seen[0]) and data[60] ^ seen[0][60] == 1:
            return Snapshot()
        return decode(data, key, path)

    bits, cuts = await files.measure_damage(size=300, opened=forgiving)

    assert bits.held is False
    assert bits.measured.startswith("1 of")
    assert cuts.held


async def test_a_vault_that_opens_although_it_was_cut_is_seen():
    def careless(data, key, path):
        return Snapshot() if len(data) < 3 else decode(data, key, path)

    bits, cuts = await files.measure_damage(size=300, opened=careless)

    assert bits.held
    assert cuts.held is False
    assert cuts.measured.startswith("3 of")


async def test_nothing_of_a_daemon_is_open_to_others_whatever_the_umask():
    (figure,) = await files.measure_modes()

    assert figure.held, figure


async def test_a_file_that_others_may_read_is_seen():
    (figure,) = await files.measure_modes(OPEN)

    assert figure.held is False
    assert "is 644" in figure.measured


async def test_nothing_is_written_through_a_planted_link():
    (figure,) = await files.measure_links([("config.yaml.bak", True), ("state/daemon.log", False)])

    assert figure.held, figure


async def test_a_daemon_that_writes_through_a_link_is_seen():
    (figure,) = await files.measure_links([("data/state.db", False)], TRUSTING)

    assert figure.held is False
