"""A data directory has one daemon at a time, and who comes second is told of the first."""

import os
from contextlib import closing

import pytest

from proxypal_core.daemon import lock


def test_the_second_is_told_of_the_first(tmp_path):
    with closing(lock.take(tmp_path, "http://first")) as held:
        held.note("http://first:1")
        with pytest.raises(lock.Taken) as taken:
            lock.take(tmp_path, "http://second")

    assert taken.value.holder == lock.Holder(os.getpid(), "http://first:1")
    assert str(taken.value) == f"process {os.getpid()}, http://first:1"


def test_after_the_first_comes_the_next(tmp_path):
    lock.take(tmp_path, "http://first").close()
    assert lock.holder(tmp_path) == lock.Holder()

    with closing(lock.take(tmp_path, "http://second")):
        assert lock.holder(tmp_path).url == "http://second"


def test_another_folder_is_another_daemon_s(tmp_path):
    with closing(lock.take(tmp_path / "a", "")), closing(lock.take(tmp_path / "b", "")):
        assert lock.holder(tmp_path / "a").pid == lock.holder(tmp_path / "b").pid == os.getpid()


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"pid": "x", "url": 1}', b"\xff" * 5000])
def test_whatever_stands_in_the_file_the_lock_is_what_counts(tmp_path, left):
    (tmp_path / lock.NAME).write_bytes(left)

    assert lock.holder(tmp_path) == lock.Holder()
    lock.take(tmp_path, "").close()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_the_lock_is_not_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / lock.NAME).symlink_to(tmp_path / "victim")

    with pytest.raises(OSError):
        lock.take(tmp_path, "")

    assert (tmp_path / "victim").read_text() == "precious"


def test_a_holder_that_said_nothing_is_called_another_process():
    assert str(lock.Holder()) == "another process"
    assert str(lock.Holder(7)) == "process 7"
