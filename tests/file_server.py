"""A server of files, and of whatever else an address may lead to."""

from contextlib import asynccontextmanager

from aiohttp import web

PNG = b"\x89PNG\r\n\x1a\n and what follows"


class FileServer:
    """Answers each path as ``files`` says, and writes down what was asked."""

    def __init__(self):
        self.files = {"/a.png": Answer("image/png", PNG)}
        self.requests = []
        self.origin = ""
        self.port = 0

    def add(self, path, mime, *pieces, **how):
        """The address of a new file."""
        self.files[path] = Answer(mime, *pieces, **how)
        return self.origin + path

    def move(self, path, to, status=302, **headers):
        """The address of what was moved *to* another."""
        return self.add(path, "text/html", status=status, headers={"Location": to, **headers})

    async def __call__(self, request):
        self.requests.append(request)
        answer = self.files.get(request.path)
        return await answer(request) if answer else web.Response(status=404)


class Answer:
    """*pieces* one after the other; one that is a function is called and awaited instead."""

    def __init__(self, mime, *pieces, status=200, headers=None):
        self.pieces = pieces
        self.headers = {"Content-Type": mime, **(headers or {})}
        self.status = status

    async def __call__(self, request):
        response = web.StreamResponse(status=self.status, headers=self.headers)
        await response.prepare(request)
        for piece in self.pieces:
            if callable(piece):
                await piece()
            else:
                await response.write(piece)
        await response.write_eof()
        return response


@asynccontextmanager
async def file_server(host="127.0.0.1", port=0, tls=None):
    server = FileServer()
    runner = web.ServerRunner(
        web.Server(server, handler_cancellation=True, access_log=None), shutdown_timeout=1
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    server.port = runner.addresses[0][1]
    server.origin = f"http{'s' * bool(tls)}://{host}:{server.port}"
    try:
        yield server
    finally:
        await runner.cleanup()
