"""The short forms of R12 and R13, and that their gates can close."""

import sys

import pytest

from proxypal_core.upstream.connection import Lost
from tests.reliability import connections
from tests.reliability.connections import DESCRIPTORS, descriptors, stale_connections
from tests.running import PATIENCE

# A server that is asyncio's and nothing else: it logs each connection that it cannot take, and tries
# again at once.
NAIVE = f"""
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
    port = server.sockets[0].getsockname()[1]
    print(f"listens on http://127.0.0.1:{{port}}", file=sys.stderr, flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


async def test_no_request_is_lost_to_a_connection_that_the_provider_closed():
    figures = await stale_connections(posts=60)

    assert [one for one in figures if not one.held] == []


async def test_a_transport_that_does_not_ask_again_is_seen(monkeypatch):
    def answered(self, **_):
        self.answered = True

    monkeypatch.setattr(Lost, "__init__", answered)

    figures = await stale_connections(posts=60)

    assert {one.held for one in figures} == {False}


@pytest.mark.skipif(sys.platform != "linux", reason="the figures come from /proc")
async def test_a_daemon_without_descriptors_is_quiet_and_comes_back(monkeypatch):
    monkeypatch.setattr(connections, "RECOVERY", PATIENCE)

    figures = await descriptors(held=1.0)

    assert [one for one in figures if not one.held] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the figures come from /proc")
async def test_a_server_that_cries_when_it_has_no_descriptors_is_seen():
    _, lines, _ = await descriptors(held=1.0, program=NAIVE)

    assert lines.held is False
