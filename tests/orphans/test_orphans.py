import pytest

from tests.orphans import WITHIN, one_round


@pytest.mark.parametrize("time", range(2))
async def test_nothing_is_left_of_a_program_whose_daemon_was_killed(tmp_path, time):
    assert await one_round(tmp_path) < WITHIN
