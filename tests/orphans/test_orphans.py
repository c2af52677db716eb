import pytest

from tests import orphans
from tests.running import PATIENCE


@pytest.mark.parametrize("time", range(2))
async def test_nothing_is_left_of_a_program_whose_daemon_was_killed(monkeypatch, tmp_path, time):
    monkeypatch.setattr(orphans, "WITHIN", PATIENCE)  # how soon is measured where nothing else runs

    assert await orphans.one_round(tmp_path) < PATIENCE
