"""Small bombs against a daemon; and that the figures break when nothing bounds them."""

import os
import sys

import pytest

from tests.security import bombs
from tests.security.test_slow import short

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
    pytest.mark.timeout(180),  # a daemon and large things, on a machine that does more
]
SIZE = 80
"""MiB: more than anything may have."""


async def test_bombs_are_refused_and_take_hardly_any_memory(monkeypatch):
    for name in ("FROM_CLIENTS", "FROM_PROVIDERS"):  # packing them takes longer than all else
        cheap = [bomb for bomb in getattr(bombs, name) if "deflate" not in bomb.name]
        monkeypatch.setattr(bombs, name, cheap)
    figures = await bombs.measure(SIZE, program=short())

    assert len(figures) == len(bombs.FROM_CLIENTS) + len(bombs.FROM_PROVIDERS) > 15
    assert [figure for figure in figures if not figure.held] == []


async def test_bodies_that_nothing_bounds_are_seen(monkeypatch):
    unbounded = """
from proxypal_core.gateway import guard, request
request.BODY_LIMIT = 1 << 40
guard.Limits.inflated_from = lambda limits, size: 1 << 40
guard.Room.take = lambda room, size: None
"""
    monkeypatch.setattr(bombs, "FROM_CLIENTS", bombs.FROM_CLIENTS[:1])
    monkeypatch.setattr(bombs, "FROM_PROVIDERS", ())
    [figure] = await bombs.measure(SIZE, program=short(unbounded))
    status, memory = figure.measured.split(", ")

    assert figure.held is False
    assert status != "413"
    assert int(memory.removesuffix(" MiB")) >= SIZE


def test_memory_that_was_taken_and_given_back_is_seen():
    memory = bombs.Memory(os.getpid())
    before = memory.reset()
    bytearray(100 * bombs.MIB)[:] = b"x" * (100 * bombs.MIB)

    assert memory.most() - before > 100 * bombs.MIB
    assert memory.reset() - before < 100 * bombs.MIB
    assert bombs._figure(bombs.FROM_CLIENTS[0], 413, bombs.GROWTH).held is False
