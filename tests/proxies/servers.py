"""Real proxies on loopback: SOCKS5 (RFC 1928 and 1929), and HTTP with CONNECT (RFC 9110).

They write down what they are asked for, and connect only to what a test lets them: a name leads where
``hosts`` says, as a name does that only the proxy can look up.
"""

import asyncio
import base64
import ipaddress
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit


class Asked(NamedTuple):
    """``host`` as the client wrote it; ``user`` and ``password`` as it showed them."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    command: str = "CONNECT"


class Server:
    """Calls *serve* with each connection, on a port of its own; none outlives it."""

    def __init__(self, serve=None, *, tls=None, address="127.0.0.1"):
        self.serve = serve or self.serve
        self.address, self.tls = address, tls
        self.port = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, self.address, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader, writer):
        task = asyncio.ensure_future(self._one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, reader, writer):
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Proxy(Server):
    """One proxy; with *user*, others are refused."""

    scheme = ""

    def __init__(self, *, user="", password="", hosts=None, refuses=0, **options):
        super().__init__(**options)
        self.asked = []
        self.user, self.password = user, password
        self.hosts = hosts or {}
        self.refuses = refuses

    @property
    def url(self):
        return self.url_for(self.user, self.password)

    def url_for(self, user, password):
        shown = f"[{self.address}]" if ":" in self.address else self.address
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"{self.scheme}{'s' if self.tls else ''}://{login}{shown}:{self.port}"

    def knows(self, user, password):
        return not self.user or (user, password) == (self.user, self.password)

    async def connection(self, asked):
        """To where *asked* leads; raises OSError."""
        host, port = self.hosts.get(asked.host, (asked.host, asked.port))
        if not ipaddress.ip_address(host).is_loopback:
            raise OSError(f"{host} is not for tests")
        return await asyncio.open_connection(host, port)


class Socks5(Proxy):
    scheme = "socks5h"

    async def serve(self, reader, writer):
        _, many = await reader.readexactly(2)
        methods = await reader.readexactly(many)
        user = password = ""
        if self.user:
            if 2 not in methods:
                writer.write(b"\x05\xff")
                return
            writer.write(b"\x05\x02")
            user, password = await self._login(reader)
            writer.write(b"\x01\x00" if self.knows(user, password) else b"\x01\x01")
            if not self.knows(user, password):
                return
        else:
            writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        host = await self._host(reader, kind)
        port = int.from_bytes(await reader.readexactly(2), "big")
        asked = Asked(host, port, user, password)
        self.asked.append(asked)
        if self.refuses:
            writer.write(_socks_reply(self.refuses))
            return
        try:
            there, back = await self.connection(asked)
        except (OSError, ValueError):
            writer.write(_socks_reply(5))
            return
        writer.write(_socks_reply(0))
        await _joined(reader, writer, there, back)

    async def _login(self, reader):
        await reader.readexactly(1)
        fields = []
        for _ in range(2):
            (length,) = await reader.readexactly(1)
            fields.append((await reader.readexactly(length)).decode())
        return fields

    async def _host(self, reader, kind):
        if kind == 3:
            (length,) = await reader.readexactly(1)
            return (await reader.readexactly(length)).decode()
        return str(ipaddress.ip_address(await reader.readexactly({1: 4, 4: 16}[kind])))


def _socks_reply(code):
    return bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0))


class Http(Proxy):
    scheme = "http"

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        command, target, _ = head[0].split(" ")
        fields = [line.partition(": ")[::2] for line in head[1:] if line]
        login = next((v for n, v in fields if n.lower() == "proxy-authorization"), "")
        user, _, password = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        parts = urlsplit(f"//{target}" if command == "CONNECT" else target)
        asked = Asked(parts.hostname, parts.port or 80, user, password, command)
        self.asked.append(asked)
        status = self.refuses or (0 if self.knows(user, password) else 407)
        if status:
            writer.write(f"HTTP/1.1 {status} no\r\nContent-Length: 0\r\n\r\n".encode())
            return
        try:
            there, back = await self.connection(asked)
        except (OSError, ValueError):
            writer.write(b"HTTP/1.1 502 no\r\nContent-Length: 0\r\n\r\n")
            return
        if command == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            kept = [f"{n}: {v}" for n, v in fields if not n.lower().startswith(("proxy-", "conn"))]
            lines = [f"{command} {path} HTTP/1.1", *kept, "Connection: close", "", ""]
            back.write("\r\n".join(lines).encode("latin-1"))
        await _joined(reader, writer, there, back)


async def _joined(reader, writer, there, back):
    """Carry bytes both ways until both ends are silent."""
    try:
        await asyncio.gather(_carry(reader, back), _carry(there, writer))
    finally:
        back.close()


async def _carry(reader, writer):
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
