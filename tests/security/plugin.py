"""After each test: did a secret get out?

A secret is what carries the suite's mark, what became a ``Secret`` or a ``SecretText`` in this
process, and the admin and vault keys that a test's daemon made for itself. None may be in what
the proxy's connections told clients, what any of our loggers said at DEBUG, what was printed, what
a daemon or a command printed, the files that the product wrote, or the command lines and
environments of the programs that it started.

A test in which a secret must be seen says where and why: ``shows_secrets("answers", "...")``.
"""

import asyncio
import logging
import os
import re
import sys
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxypal_core.accounts.account import Secret
from proxypal_core.gateway.connection import Connection
from proxypal_core.settings.schema import SecretText
from tests.running import Running
from tests.security.spellings import MARKS, found_in, spellings

PRODUCT = "proxypal_core"
CHANNELS = ("answers", "logs", "printed", "files", "children")
LOGGERS = (PRODUCT, "aiohttp", "asyncio")
AT_DEBUG = (PRODUCT, "aiohttp")
PRODUCTS_FILES = ("*.db", "*.db-*", "*.vault", "*.vault.*", "*.log", "*.log.*", "*.tmp", "*.lock")
DUMPS = ("dump", "dump-*")
"""Where the programs of the tests write what they were given."""
KEY_FILES = ("admin.key", "vault.key")
CLIENT_KEY = re.compile(rb"\bpp-[A-Za-z0-9_-]{40,}")
"""A client key that was made and not kept anywhere but at its owner."""

SHORTEST, FEWEST = 12, 8
"""Characters, and different ones: what is shorter or plainer may be an ordinary word."""
MOST = 200
"""Secrets that are remembered of one test: a law hands out thousands."""
_TAIL = 256


class Watch:
    """What one test hands out, and what was heard of it. *allowed* are the channels in which it
    must show a secret.
    """

    def __init__(self, allowed=()):
        self.allowed = frozenset(allowed)
        self.leaks = []
        self._secrets = set()
        self._wanted = MARKS
        self._running = []
        self._tails = defaultdict(bytes)

    def keep(self, secret):
        if (
            len(secret) >= SHORTEST
            and len(set(secret)) >= FEWEST
            and len(self._secrets) < MOST
            and secret not in self._secrets
        ):
            self._secrets.add(secret)
            self._wanted |= spellings(secret)

    def hear(self, channel, data, where=""):
        """Look through *data*, all that was heard at once."""
        if channel not in self.allowed and (shown := found_in(data, self._wanted)):
            self.leaks.append(f"{channel} {where}: {shown}")

    def hear_part(self, channel, data, stream):
        """Look through *data*, which follows what *stream* brought before."""
        data = self._tails[stream] + bytes(data)
        self._tails[stream] = data[-_TAIL:]
        self.hear(channel, data)

    def follow(self, running):
        """Look through what a process prints, at the end."""
        self._running.append(running)

    def end(self, folder, sections=()):
        """Look through what was printed and written, and give all that got out."""
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        for path in files:
            if path.name in KEY_FILES:
                self.keep(path.read_text("ascii", "replace").strip())
        for title, text in sections:
            channel = "logs" if "log" in title else "printed"
            self.hear(channel, text.encode("utf-8", "surrogatepass"), title)
        for running in self._running:
            for name in ("out", "err"):
                self.hear("printed", getattr(running, name).encode(), f"by a process ({name})")
        for path in files:
            self._look_at(path)
        return self.leaks

    def _look_at(self, path):
        if any(fnmatch(path.name, pattern) for pattern in DUMPS):
            self.hear("children", path.read_bytes(), path.name)
        elif any(fnmatch(path.name, pattern) for pattern in PRODUCTS_FILES):
            data = path.read_bytes()
            self.hear("files", data, path.name)
            if "files" not in self.allowed and (key := CLIENT_KEY.search(data)):
                self.leaks.append(f"files {path.name}: {key[0]!r}")


# ── where it listens ─────────────────────────────────────────────────────────────────────────


class _Heard(logging.Handler):
    def emit(self, record):
        if _watch is not None:
            text = logging.Formatter().format(record)
            _watch.hear("logs", text.encode("utf-8", "surrogatepass"), record.name)


_watch = None


def _listen():
    """Put an ear on every way out of this process; for good, since a fixture may end too early."""
    for name in LOGGERS:
        logging.getLogger(name).addHandler(_Heard())
    for name in AT_DEBUG:
        logging.getLogger(name).setLevel(logging.DEBUG)
    _after(Secret, "__init__", lambda _, text: _watch.keep(text))
    _after(Running, "__init__", lambda running, _: _watch.follow(running))
    _after(Connection, "connection_made", _listen_to)
    _SecretText_new()
    _invoke()
    _spawn()


def _after(owner, name, act):
    """Have *act* done with its arguments after each call of *owner*'s method *name*."""
    method = getattr(owner, name)

    def called(*args, **options):
        result = method(*args, **options)
        if _watch is not None:
            act(*args, **options)
        return result

    setattr(owner, name, called)


def _listen_to(connection, transport):
    watch, write, writelines = _watch, transport.write, transport.writelines

    def written(data):
        watch.hear_part("answers", data, connection)
        write(data)

    def lines_written(lines):
        lines = list(lines)
        watch.hear_part("answers", b"".join(lines), connection)
        writelines(lines)

    transport.write, transport.writelines = written, lines_written


def _SecretText_new():  # noqa: N802 — the name of what it replaces
    def new(cls, *args):
        text = str.__new__(cls, *args)
        if _watch is not None:
            _watch.keep(str(text))
        return text

    SecretText.__new__ = new


def _invoke():
    invoke = CliRunner.invoke

    def invoked(*args, **options):
        result = invoke(*args, **options)
        if _watch is not None:
            _watch.hear("printed", result.output_bytes, "by a command")
        return result

    CliRunner.invoke = invoked


def _spawn():
    spawn = asyncio.create_subprocess_exec

    def spawned(*words, **options):
        ours = sys._getframe(1).f_globals.get("__name__", "").startswith(PRODUCT)
        if ours and _watch is not None:
            environment = options.get("env")
            environment = os.environ if environment is None else environment
            given = "\n".join([*map(str, words), *map("=".join, environment.items())])
            _watch.hear("children", given.encode("utf-8", "surrogateescape"), str(words[0]))
        return spawn(*words, **options)

    asyncio.create_subprocess_exec = spawned


# ── pytest's hooks ───────────────────────────────────────────────────────────────────────────


def pytest_configure(config):
    config.addinivalue_line(
        "markers", 'shows_secrets(channel, reason): a secret must be seen there, since "reason"'
    )
    _listen()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    global _watch  # noqa: PLW0603 — the test that runs, of which there is one
    allowed = [mark.args for mark in item.iter_markers("shows_secrets")]
    for channel, reason in allowed:
        assert channel in CHANNELS, f"there is no channel {channel}"
        assert reason
    _watch = Watch(channel for channel, _ in allowed)
    try:
        return (yield)
    finally:
        _watch = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "teardown" and _watch is not None and report.passed:
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        leaks = _watch.end(folder or Path(os.devnull), report.sections)
        if leaks:
            report.outcome = "failed"
            report.longrepr = "a secret got out:\n" + "\n".join(dict.fromkeys(leaks))
    return report
