"""An AI command line that plays what a test wants, and shows what it was given."""

import sys
from pathlib import Path

from proxypal_core.providers.backend import Backend, from_row
from proxypal_core.wire import jsonio

PROGRAM = Path(__file__).with_name("program.py")


def row(play, dump="", **keys):
    """The settings of a backend that plays *play* and writes what it was given to *dump*."""
    env = {"FAKE_DUMP": str(dump), **keys.pop("env", {})}
    args = [str(PROGRAM), f"--play={play}", *keys.pop("args", ())]
    return {"command": sys.executable, "args": args, "env": env, **keys}


def backend(play, dump="", *, name="fake", **keys) -> Backend:
    return from_row(name, row(play, dump, **keys))


def dumped(dump):
    """What each run was given, the first first: argv, env, cwd, stdin and the files it was named."""
    return [jsonio.loads(line) for line in Path(dump).read_bytes().splitlines()]
