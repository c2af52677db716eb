"""A listener between a program and the daemon that keeps what the program sent."""

from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

_HOP = frozenset({"host", "content-length", "accept-encoding", "connection", "transfer-encoding"})


class Recorder:
    def __init__(self, to):
        self.sent = []
        self._to = to

    async def __call__(self, request):
        body = await request.read()
        self.sent.append(body)
        head = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self._to + request.path_qs, data=body, headers=head
            ) as answer,
        ):
            passed = web.StreamResponse(status=answer.status)
            passed.content_type = answer.content_type
            await passed.prepare(request)
            with suppress(ConnectionError):  # a program that has read enough is gone
                async for data in answer.content.iter_any():
                    await passed.write(data)
                await passed.write_eof()
            return passed


@asynccontextmanager
async def recorder(to, port):
    recording = Recorder(to)
    runner = web.ServerRunner(web.Server(recording, access_log=None), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield recording
    finally:
        await runner.cleanup()
