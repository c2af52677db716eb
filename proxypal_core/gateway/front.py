"""What the way in is made of, and what a caller of the management API asks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from proxypal_core import routing
from proxypal_core.gateway import access
from proxypal_core.gateway.dashboard_session import Sessions
from proxypal_core.gateway.owned import Owned
from proxypal_core.gateway.prepare import Services
from proxypal_core.gateway.recorder import Recorder
from proxypal_core.gateway.request import Request
from proxypal_core.gateway.responses import Conversations
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import ModelInfo
from proxypal_core.settings.schema import Settings
from proxypal_core.upstream.logins import Logins
from proxypal_core.wire import jsonio

_T = TypeVar("_T")


class Sharing(Protocol):
    """What is known of other replicas."""

    def standing(self) -> Mapping[str, Any]:
        """Whether they are heard (``reachable``), and how many ``replicas`` there are."""
        ...

    async def seen(self) -> Mapping[str, Any]:
        """More of that, for the owner."""
        ...


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that a request may need; made by ``app`` at the start and at every reload."""

    settings: Settings
    services: Services
    book: routing.RouteBook
    keyring: access.Keyring
    admin: bytes
    """SHA-256 of the admin key."""
    allowed_hosts: frozenset[str]
    models: Sequence[ModelInfo]
    conversations: Conversations
    sessions: Sessions
    recorder: Recorder
    logins: Logins
    new_id: Callable[[], str]
    token: Callable[[], str]
    """A random text that cannot be guessed, fit for an address."""
    version: str
    heartbeat: float = 15.0
    owned: Owned | None = None
    sharing: Sharing | None = None

    @property
    def health(self) -> Mapping[str, Any]:
        """What anybody may know. Without the other replicas it is degraded, and serves."""
        told = {"status": "ok", "name": "proxypal", "version": self.version}
        if self.sharing is None:
            return told
        shared = self.sharing.standing()
        status = "ok" if shared["reachable"] else "degraded"
        return {**told, "status": status, "shared_state": shared}

    @property
    def owner(self) -> Owned:
        """What may be changed.

        Raises:
            Refused: this gateway has no files.
        """
        if self.owned is None:
            raise Refused(Failure(Kind.CONFLICT, "this gateway keeps nothing, so nothing changes"))
        return self.owned


class Call(msgspec.Struct, frozen=True):
    """A call of the management API. ``at`` holds the path's parameters, decoded; ``body`` is empty
    where there is none.
    """

    request: Request
    at: Mapping[str, str]
    body: jsonio.JsonObject

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    def as_(self, kind: type[_T]) -> _T:
        """The body as *kind*.

        Raises:
            Malformed: it is not one.
        """
        try:
            return msgspec.convert(self.body, kind)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$")
            problem = problem[:1].lower() + problem[1:]
            raise jsonio.Malformed(path.strip("`."), problem) from None
