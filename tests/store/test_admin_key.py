"""The key of the management API is made once, for its owner alone."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxypal_core.store import admin_key


def test_the_key_is_made_once_and_kept(tmp_path):
    folder = tmp_path / "state"
    assert admin_key.read(folder) == ""

    made = admin_key.read_or_make(folder)

    assert len(made) >= 43
    assert admin_key.read_or_make(folder) == made
    assert admin_key.read(folder) == made
    if os.name == "posix":
        assert stat.S_IMODE(admin_key.path(folder).stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_starts_at_the_same_time_agree(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(admin_key.read_or_make, [tmp_path] * 16))

    assert len(keys) == 1


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_file_is_no_key(tmp_path, content):
    admin_key.path(tmp_path).write_text(content)

    assert admin_key.read_or_make(tmp_path)
    assert admin_key.read_or_make(tmp_path) == admin_key.read(tmp_path)
