"""The dashboard's sign-in: a link that works once, a cookie that lasts a working day.

Both live in memory alone. The cookie is HttpOnly and SameSite=Strict; since cookies know no ports,
a page of another local server is kept out by ``access.check_origin``, and a request that changes
something must carry a header of the page's own besides.
"""

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from aiohttp import web

from proxypal_core.gateway import access
from proxypal_core.gateway.request import Request
from proxypal_core.hub.failure import Failure, Kind, Refused

COOKIE = "proxypal_dashboard"
HEADER = "x-proxypal-dashboard"
LINK_SECONDS = 60.0
SESSION_SECONDS = 12 * 3600.0
_MOST = 64
"""Links and sessions at a time; the oldest goes first."""
_READING = ("GET", "HEAD")


class Sessions:
    """The links that wait to be followed, and the sessions that were begun by one."""

    def __init__(self, clock: Callable[[], float], token: Callable[[], str]) -> None:
        self._clock = clock
        self._token = token
        # By digest: how long a look-up takes then tells nothing of what was looked up.
        self._links: dict[bytes, float] = {}
        self._sessions: dict[bytes, float] = {}

    def link(self) -> str:
        """The code of a new link, which works once within LINK_SECONDS."""
        return self._keep(self._links, LINK_SECONDS)

    def enter(self, code: str) -> str:
        """The cookie of a new session, in exchange for a link's *code*; empty when that is not, or
        no longer, one.
        """
        until = self._links.pop(access.digest(code), 0.0)
        return self._keep(self._sessions, SESSION_SECONDS) if self._clock() < until else ""

    def holds(self, cookie: str) -> bool:
        """Whether *cookie* is a session's that has not ended."""
        return self._clock() < self._sessions.get(access.digest(cookie), 0.0)

    def _keep(self, kept: dict[bytes, float], seconds: float) -> str:
        while len(kept) >= _MOST:
            del kept[next(iter(kept))]
        token = self._token()
        kept[access.digest(token)] = self._clock() + seconds
        return token


def is_signed_in(sessions: Sessions, request: Request) -> bool:
    """Whether the dashboard's page makes *request*.

    Raises:
        Refused: it would change something, and only the cookie says that the page makes it.
    """
    if not sessions.holds(_cookie(request)):
        return False
    if request.method not in _READING and request.named.get(HEADER) != "1":
        raise Refused(
            Failure(Kind.FORBIDDEN_HERE, f"a change with the dashboard's cookie needs {HEADER}: 1")
        )
    return True


def _cookie(request: Request) -> str:
    try:
        found = SimpleCookie(request.named.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def entered(sessions: Sessions, request: Request) -> web.Response:
    """The answer to a followed link: a cookie, and the way to the page without the code."""
    answer = web.Response(
        status=303,
        headers={
            "location": "/dashboard",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        },
    )
    cookie = sessions.enter(request.query.get("code", ""))
    if cookie:
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(SESSION_SECONDS),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.connection.is_encrypted,
        )
    return answer
