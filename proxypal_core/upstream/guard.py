"""A process between the daemon and one command, which ends the command's whole tree with it.

Started by its path with the interpreter's ``-I -S``, so that it is up in some tens of
milliseconds; it uses the standard library alone. On standard input comes one line of JSON and then the prompt::

    {"argv": […], "env": {…}, "cwd": "…", "prompt": 5, "grace": 5.0, "remove": "/…"}

``prompt`` is in bytes. Standard input then stays open for as long as the daemon wants the command
to live; its end, be it that the daemon was killed, ends the tree: SIGTERM, ``grace`` seconds later
SIGKILL. The folder ``remove`` is deleted at the end. The exit code is the command's own.
"""

import ctypes
import json  # noqa: TID251 — no package is there without site-packages
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

NOT_RUN = 126
"""The exit code of a command that could not be run; why is on standard error."""

_LINUX = sys.platform == "linux"
_WINDOWS = sys.platform == "win32"
_SET_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_PAUSE = 0.02
"""Seconds between two looks at who is still there."""
_KILLED = 2.0
"""Seconds that killed processes may take to be gone."""


def main() -> int:
    control = sys.stdin.buffer
    line = control.readline()
    if not line:
        return NOT_RUN
    spec = json.loads(line)
    prompt = control.read(spec["prompt"])
    try:
        # The daemon may be gone already: nobody waits for this answer.
        return _run(spec, prompt, control) if len(prompt) == spec["prompt"] else NOT_RUN
    finally:
        if spec["remove"]:
            shutil.rmtree(spec["remove"], ignore_errors=True)


def _run(spec: dict[str, Any], prompt: bytes, control: BinaryIO) -> int:
    _stay()
    try:
        child = subprocess.Popen(  # noqa: S603 — the command line is the settings' own
            spec["argv"],
            stdin=subprocess.PIPE,
            cwd=spec["cwd"],
            env=spec["env"],
            start_new_session=not _WINDOWS,
            preexec_fn=_die_with_the_guard if _LINUX else None,  # noqa: PLW1509 — no thread yet
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{spec['argv'][0]} cannot be run: {error}\n")
        return NOT_RUN
    # Both pipes end here and nowhere else, so that who reads them is not kept by us.
    os.close(1)
    os.close(2)
    over = threading.Event()
    for thread in (
        threading.Thread(target=_feed, args=(child, prompt), daemon=True),
        threading.Thread(target=_wait, args=(child, over), daemon=True),
        threading.Thread(target=_listen, args=(control, over), daemon=True),
    ):
        thread.start()
    over.wait()
    _end(child, spec["grace"])
    code = child.wait()
    return code if code >= 0 else 128 - code


def _feed(child: "subprocess.Popen[bytes]", prompt: bytes) -> None:
    with suppress(OSError):
        if child.stdin is not None:
            child.stdin.write(prompt)
            child.stdin.close()


def _wait(child: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    child.wait()
    over.set()


def _listen(control: BinaryIO, over: threading.Event) -> None:
    """Wait until the daemon has closed its end."""
    with suppress(OSError):
        control.read()
    over.set()


def _stay() -> None:
    """Live until the daemon or the command ends, whatever signal the terminal or systemd sends."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            # A handler and not SIG_IGN, which the command would inherit.
            signal.signal(getattr(signal, name), lambda *_: None)
    if _LINUX:
        # What loses its parent becomes a child of ours instead of getting away.
        _prctl(_SET_CHILD_SUBREAPER, 1)


def _die_with_the_guard() -> None:
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# ── the end of a tree ────────────────────────────────────────────────────────────────────────


def _end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    if _WINDOWS:
        taskkill = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
        subprocess.run(taskkill, check=False, capture_output=True)  # noqa: S603 — no input in it
        return
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILLED)):
        deadline = time.monotonic() + patience
        told: set[int] = set()
        while left := _left(child.pid):
            # One that is new since the signal was sent has not heard it.
            for pid in left - told:
                with suppress(OSError):
                    os.kill(pid, number)
            told |= left
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)


def _left(group: int) -> set[int]:
    """Who is still there of the command's tree; negative is a process group."""
    if _LINUX:
        with suppress(OSError):
            return set(_descendants())
    try:
        os.killpg(group, 0)
    except OSError:
        return set()
    return {-group}


def _descendants() -> Iterator[int]:
    """The processes below this one that still run, however far down."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 — pathlib is slow to load
        if name.isdigit():
            with suppress(OSError):
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 — the same
                    # pid (name) state parent …, where the name may hold brackets itself
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in (b"Z", b"X"):
                    children.setdefault(int(parent), []).append(int(name))
    ahead = children.get(os.getpid(), [])
    while ahead:
        pid = ahead.pop()
        yield pid
        ahead += children.get(pid, [])


if __name__ == "__main__":
    # At once: an orderly exit would wait for the threads that still read.
    os._exit(main())
