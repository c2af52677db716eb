"""A first stretch of ``make vault-kills``."""

import os

import pytest

from tests.vault_kills import kill_writers


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9")
def test_writers_that_are_killed_lose_nothing_and_leave_the_vault_whole(tmp_path):
    tally = kill_writers(tmp_path, 20, seed=1)

    assert tally.kills == 20
    assert tally.acknowledged >= 20
