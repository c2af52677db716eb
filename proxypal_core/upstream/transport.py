"""What a way out is: a call goes in, a reply is read piece by piece, and closed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire.spliced import Spliced


class Call(msgspec.Struct, frozen=True):
    """A request to a provider, complete. ``headers`` hold the credential: never print them."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Spliced = b""
    proxy: str = ""

    def __repr__(self) -> str:
        return f"Call({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Broken(Exception):
    """The call failed below HTTP; ``failure`` says how. ``UNREACHABLE`` means that it was never
    placed, so that placing it elsewhere cannot bill it twice.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message)


class Reply(Protocol):
    """A provider's answer. Headers are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def pour(self) -> "Callable[[Callable[[bytes], bool]], Awaitable[None]] | None":
        """Gives what comes to a function as soon as it comes, for as long as that returns true; None
        where that cannot be done.
        """
        ...

    async def read(self) -> bytes:
        """The next bytes, as many as have come; empty at the end.

        Raises:
            Broken: the connection did not end as it should.
        """
        ...

    def whole(self) -> bytes | None:
        """The rest of the body, if all of it has come; it is not read again."""
        ...

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else cut it."""
        ...


class Transport(Protocol):
    async def open(self, call: Call, /) -> Reply:
        """Send *call*; return when the answer's status and headers have come.

        Raises:
            Broken: there is no answer.
        """
        ...
