"""A file that holds secrets is whole or as it was, its owner's alone, and never somewhere else."""

import errno
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.store import files

LIMIT = 1 << 20
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def lowest_free():
    """The descriptor that the next file gets."""
    handle = os.open(os.devnull, os.O_RDONLY)
    os.close(handle)
    return handle


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=4))
def test_what_was_written_last_is_read(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("files") / "f"

    for data in contents:
        files.write(path, data)

    assert files.read(path, LIMIT) == contents[-1]
    assert names_in(path.parent) == ["f"]


@posix
def test_files_and_new_folders_are_the_owners_alone(tmp_path):
    path = tmp_path / "deep" / "folder" / "f"
    old = os.umask(0)
    try:
        with files.locked(path):
            files.write(path, b"x")
    finally:
        os.umask(old)

    assert mode(path.parent) == 0o700
    assert {mode(found) for found in path.parent.iterdir()} == {0o600}


@posix
def test_an_open_file_that_is_replaced_becomes_the_owners_alone(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o666)

    files.write(path, b"new")

    assert mode(path) == 0o600


@posix
def test_a_link_at_the_path_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = tmp_path / "f"
    path.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic link"):
        files.read(path, LIMIT)
    files.write(path, b"new")

    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert files.read(path, LIMIT) == b"new"


@posix
def test_a_link_at_the_temporary_name_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "guessed")
    (tmp_path / ".f.guessed.tmp").symlink_to(victim)

    with pytest.raises(FileExistsError):
        files.write(tmp_path / "f", b"new")

    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "f").exists()


@posix
def test_a_link_at_the_lock_is_not_followed(tmp_path):
    (tmp_path / "f.lock").symlink_to(tmp_path / "made")

    with pytest.raises(OSError, match="symbolic link"), files.locked(tmp_path / "f"):
        pass

    assert not (tmp_path / "made").exists()


@posix
def test_a_folder_is_refused_by_its_name_and_closed_again(tmp_path):
    before = lowest_free()
    with pytest.raises(OSError, match="not a regular file") as refused:
        files.read(tmp_path, LIMIT)

    assert refused.value.filename == str(tmp_path)
    assert lowest_free() == before


@posix
def test_a_pipe_or_a_folder_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match=r"regular|directory"):
            files.read(tmp_path / name, LIMIT)


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")

    assert files.read(path, 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4"):
        files.read(path, 4)


@posix
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o601])
def test_a_private_file_is_refused_when_others_may_touch_it(tmp_path, bits):
    path = tmp_path / "f"
    files.write(path, b"x")
    assert files.read(path, LIMIT, private=True) == b"x"

    path.chmod(bits)

    with pytest.raises(files.NotPrivate, match=f"{bits:03o}"):
        files.read(path, LIMIT, private=True)


@posix
def test_a_private_file_is_refused_when_it_is_somebody_elses(tmp_path, monkeypatch):
    path = tmp_path / "f"
    files.write(path, b"x")
    owner = path.stat().st_uid
    if owner == 0:
        os.chown(path, 4711, -1)
        owner = 4711

    monkeypatch.setattr(files.os, "geteuid", lambda: owner + 1)

    with pytest.raises(files.NotPrivate, match=f"uid {owner}"):
        files.read(path, LIMIT, private=True)


def test_short_writes_are_gone_on_with(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda handle, data: real(handle, bytes(data[:3])))

    files.write(tmp_path / "f", b"0123456789")

    assert files.read(tmp_path / "f", LIMIT) == b"0123456789"


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "f"
    files.write(path, b"old")
    real = os.write
    room = 5

    def filling(handle, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(handle, bytes(data[:room]))
        room -= taken
        return taken

    monkeypatch.setattr(files.os, "write", filling)

    with pytest.raises(OSError, match="No space"):
        files.write(path, b"much longer than five bytes")

    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["f"]


def test_leftovers_of_killed_writers_are_swept_and_nothing_else(tmp_path):
    for name in (".f.00ff.tmp", ".f.1.00ff.tmp", ".g.00ff.tmp", "f", "f.1", "f.tmp"):
        (tmp_path / name).touch()

    files.sweep(tmp_path / "f")

    assert names_in(tmp_path) == [".g.00ff.tmp", "f", "f.1", "f.tmp"]


def test_one_thread_at_a_time_holds_the_lock(tmp_path):
    counter = tmp_path / "n"
    counter.write_text("0")

    def count():
        for _ in range(50):
            with files.locked(counter):
                counter.write_text(str(int(counter.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter.read_text() == "200"


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "f"):
        1 / 0  # noqa: B018

    with files.locked(tmp_path / "f"):
        pass
