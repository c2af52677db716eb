"""Who may come in by which route, declared a second time, and kept: every key at every route.

What is not declared here closes the gate: whoever adds a route says who it is for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from proxypal_core.gateway import api, surface
from tests.figures import Figure
from tests.gateway.owning import PAGE
from tests.proxy import ADMIN_KEY
from tests.security.target import QUESTION, Target, target

CLIENT_KEY = "client-key-of-the-laptop"
EXPIRED_KEY = "client-key-of-last-year"
LOCKED = (
    f"client_keys: [{{name: laptop, key: {CLIENT_KEY}}},"
    f" {{name: old, key: {EXPIRED_KEY}, expires: 2020-01-31}}]\n"
)


class Audience(Enum):
    """Whom a route is for: everybody, holders of a client key, the owner with the admin key or the
    dashboard's cookie, the admin key alone.
    """

    ALL = "all"
    CLIENT = "client"
    OWNER = "owner"
    ADMIN = "admin"


@dataclass(frozen=True)
class Row:
    """*path* is an example of a route's, with accounts, keys and requests in it that nobody has;
    *body* is what a request needs in order to have an effect.
    """

    method: str
    path: str
    audience: Audience
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _rows(audience: Audience, text: str, body: bytes = b"") -> Iterator[Row]:
    for line in text.split("\n"):
        methods, _, path = line.strip().partition(" ")
        for method in methods.split("|"):
            if path:
                writes = method in ("POST", "PUT", "PATCH")
                yield Row(method, path, audience, body if writes else b"")


POLICY: tuple[Row, ...] = (
    *_rows(
        Audience.ALL,
        """
        GET|HEAD /
        GET|HEAD /health
        GET|HEAD /dashboard
        GET|HEAD /dashboard/app.js
        """,
    ),
    *_rows(
        Audience.CLIENT,
        """
        POST /v1/chat/completions
        POST /openai/v1/chat/completions
        POST /v1/completions
        POST /v1/responses
        GET /v1/responses
        POST /v1/responses/input_tokens
        POST /v1/responses/compact
        GET|DELETE /v1/responses/resp_nobody
        POST /v1/responses/resp_nobody/cancel
        POST /v1/messages
        POST /anthropic/v1/messages
        POST /v1/messages/count_tokens
        POST /v1beta/models/m-1:generateContent
        POST /v1beta/models/m-1:streamGenerateContent
        POST /v1beta/models/m-1:countTokens
        POST /v1beta/models/m-1:embedContent
        POST /v1beta/models/m-1:batchEmbedContents
        POST /v1/embeddings
        POST /v1/images/generations
        GET|POST|DELETE /v1/files
        GET|POST|DELETE /v1/batches/nobody
        GET /v1/models
        GET /v1/models/m-1
        GET /v1beta/models
        GET /v1beta/models/m-1
        """,
        QUESTION,
    ),
    *_rows(
        Audience.OWNER,
        """
        GET|HEAD|PATCH /api/state
        GET /api/nothing
        GET /api/events
        GET /api/models
        GET /api/explain
        GET /metrics
        GET /api/requests
        GET /api/requests/nobody
        GET /api/requests/nobody/bodies
        GET /api/usage
        GET /api/replicas
        GET /api/accounts
        GET|POST /api/accounts/link
        POST /api/accounts/import
        DELETE /api/accounts/nobody
        POST /api/accounts/nobody/enable
        POST /api/accounts/nobody/disable
        POST /api/accounts/nobody/reset
        POST /api/accounts/nobody/test
        POST /api/accounts/reset
        GET|PUT|DELETE /api/order/nobody
        POST /api/logins
        GET|POST /api/logins/nobody
        GET /api/keys
        DELETE /api/keys/nobody
        GET|PUT /api/settings
        POST /api/settings/check
        GET /api/openapi.json
        """,
        b"{}",
    ),
    Row("POST", "/api/keys", Audience.OWNER, b'{"name": "intruder"}'),
    Row(
        "POST",
        "/api/accounts",
        Audience.OWNER,
        b'{"provider": "openai", "name": "intruder", "key": "sk-of-an-intruder"}',
    ),
    Row("POST", "/api/session-links", Audience.ADMIN),
)

HOLDERS = (
    "nobody",
    "wrong key",
    "client key",
    "expired key",
    "revoked key",
    "cookie",
    "page",
    "admin key",
)
_READING = ("GET", "HEAD")


def refused(row: Row, holder: str) -> int:
    """The status with which *holder* is turned away from *row*; 0 for one who is let in."""
    match row.audience, holder:
        case Audience.ALL, _:
            return 0
        case Audience.CLIENT, _:
            return 0 if holder == "client key" else 401
        case _, "admin key":
            return 0
        case Audience.OWNER, "page":
            return 0
        case Audience.OWNER, "cookie":
            return 0 if row.method in _READING else 403
        case _, "cookie" | "page":
            return 403
        case _:
            return 401


# ── what is declared ─────────────────────────────────────────────────────────────────────────


def undeclared(policy: Sequence[Row] = POLICY) -> list[str]:
    """Every route of the proxy that *policy* is silent about, and every row of it without a route."""
    declared = {(row.method, _route(row)) for row in policy}
    routes = [
        (method, route.pattern.pattern)
        for route in surface.ROUTES
        if route.operation is not surface.Operation.API  # its endpoints follow
        for method in route.methods
    ]
    routes += [(row.method, row.path) for row in api.ENDPOINTS]
    return [
        *(
            f"{method} {route}: not declared"
            for method, route in routes
            if (method, route) not in declared
        ),
        *(f"{row}: there is none" for row in policy if not _route(row)),
    ]


def _route(row: Row) -> str:
    """What the proxy calls the route of *row*; empty where it has none."""
    try:
        found = surface.match(row.method, row.path).route
    except surface.NotFound:
        return ""
    try:
        if found.operation is surface.Operation.API:
            return api.find(row.method, row.path)[0].path
    except surface.NotFound:
        pass  # the owner alone is told that there is none
    return found.pattern.pattern


# ── every key at every route ─────────────────────────────────────────────────────────────────


async def measure_routes(step: int = 1) -> list[Figure]:
    """Each *step*-th row of the policy, with every key there is."""
    async with target(LOCKED) as attacked:
        wrong, tries = await misjudged(attacked, POLICY[::step])
    silent = undeclared()
    return [
        Figure("S3", "routes without a declared policy", shown(silent), "0", held=not silent),
        Figure(
            "S3",
            f"keys judged otherwise than declared, of {tries} ({len(HOLDERS)} holders)",
            shown(wrong),
            "0",
            held=not wrong and tries > 0,
        ),
    ]


async def misjudged(attacked: Target, rows: Sequence[Row]) -> tuple[list[str], int]:
    """Where somebody is let in, or turned away, against the policy; and how often it was tried."""
    lines = await _lines(attacked)
    wrong: list[str] = []
    tries = 0
    for row in rows:
        for holder in HOLDERS:
            attacked.clock.at += 60  # guesses are forgotten
            before = attacked.hits
            answer = await _ask(attacked, row, lines[holder])
            expected = refused(row, holder)
            tries += 1
            let_in = answer.status not in (0, 401, 403)
            if let_in != (not expected) or (expected and answer.status != expected):
                wrong.append(f"{row} with {holder}: {answer.status}")
            if expected and attacked.hits > before:
                wrong.append(f"{row} with {holder}: it went upstream")
    return wrong, tries


async def _lines(attacked: Target) -> dict[str, list[str]]:
    """What each holder sends; one key is made, and revoked, for it."""
    _, made = await attacked.owner.call("POST", "/api/keys", {"name": "gone"})
    await attacked.owner.call("DELETE", "/api/keys/gone")
    cookie = f"Cookie: {await attacked.cookies()}"
    page = [f"{name}: {value}" for name, value in PAGE.items()]
    keys = {
        "wrong key": "a-key-that-nobody-gave",
        "client key": CLIENT_KEY,
        "expired key": EXPIRED_KEY,
        "revoked key": made["key"],
        "admin key": ADMIN_KEY,
    }
    bearers = {holder: [f"Authorization: Bearer {key}"] for holder, key in keys.items()}
    return {"nobody": [], "cookie": [cookie], "page": [cookie, *page], **bearers}


async def _ask(attacked: Target, row: Row, lines: Sequence[str]):
    typed = ["Content-Type: application/json"] if row.body else []
    head = [f"Host: {attacked.host}", *typed, *lines]
    return await attacked.ask(row.method, row.path, head, row.body)


def shown(found: Sequence[str]) -> str:
    """How many there are, and which come first."""
    return f"{len(found)}" + (f": {'; '.join(found[:3])}" if found else "")


# ── other ways in ────────────────────────────────────────────────────────────────────────────

# Lines of a request, or its query, with the key in place of %s; whether a client, and whether the
# owner, is let in by it.
PLACES: tuple[tuple[str, bool, bool], ...] = (
    ("Authorization: Bearer %s", True, True),
    ("authorization: bearer %s", True, True),
    ("x-api-key: %s", True, True),
    ("x-goog-api-key: %s", True, True),
    ("api-key: %s", True, True),
    ("?key=%s", True, False),
    ("Authorization: Basic %s", False, False),
    ("Authorization: %s", False, False),
    ("Proxy-Authorization: Bearer %s", False, False),
    ("Cookie: key=%s", False, False),
    ("Cookie: proxypal_dashboard=%s", False, False),
    ("X-Admin-Key: %s", False, False),
    ("Referer: http://127.0.0.1/?key=%s", False, False),
    ("Sec-WebSocket-Protocol: openai-insecure-api-key.%s", False, False),
    ("X-Forwarded-For: 127.0.0.1, %s", False, False),
    ("Authorization: Bearer %sx", False, False),
    ("Authorization: Bearer x%s", False, False),
    ("?api_key=%s", False, False),
    ("?x-api-key=%s", False, False),
)

# Each makes another target of a path, or adds a line that some servers route by.
_TARGETS: tuple[str, ...] = (
    "/%s", "%s/.", "/.%s", "/x/..%s", "/v1/..%s", "/health/..%s", "/dashboard/..%s", "/dashboard%s",
    "/dashboard/%%2e%%2e%s", "/%%2e%%2e%s", "/health;%s", "/health%%00%s", "%s%%00", "%s%%0d%%0a",
    "%s%%20", "%s;x=1", "%s/", "/health%%2f..%s", "/health?%s", "/health#%s", "\\%s", "/%%5c..%s",
)  # fmt: skip
_OVERRIDES: tuple[str, ...] = (
    "X-Original-URL: %s",
    "X-Rewrite-URL: %s",
    "X-Forwarded-Prefix: %s",
    "X-Forwarded-Host: 127.0.0.1%s",
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
_STEPPED_ASIDE = {0, 204, 400, 401, 404, 405}
"""What a stranger may be told who does not ask for what is everybody's."""


async def measure_ways_around(step: int = 1) -> list[Figure]:
    """Keys where none belongs, and paths and methods by which somebody might pass without one."""
    async with target(LOCKED) as attacked:
        misplaced = await _misplaced(attacked)
        passed, tries = await passed_by(
            attacked, [r for r in POLICY if r.audience is not Audience.ALL][::step]
        )
    return [
        Figure(
            "S3",
            f"keys let in, or not, by their place, of {2 * len(PLACES)}",
            shown(misplaced),
            "0",
            held=not misplaced,
        ),
        Figure(
            "S3",
            f"strangers who came around the policy, of {tries} targets, methods and overrides",
            shown(passed),
            "0",
            held=not passed and tries > 0,
        ),
    ]


async def _misplaced(attacked: Target) -> list[str]:
    wrong: list[str] = []
    for place, client, owner in PLACES:
        for path, key, expected in (
            ("/v1/models", CLIENT_KEY, client),
            ("/api/state", ADMIN_KEY, owner),
        ):
            attacked.clock.at += 60
            put = place % key
            query, lines = (put, []) if put.startswith("?") else ("", [put])
            answer = await attacked.ask("GET", path + query, [f"Host: {attacked.host}", *lines])
            if answer.status != (200 if expected else 401):
                wrong.append(f"{path} with {place}: {answer.status}")
    return wrong


async def passed_by(attacked: Target, rows: Sequence[Row]) -> tuple[list[str], int]:
    """What a stranger was given at, or near, the paths of *rows*; and how often it was tried."""
    host = f"Host: {attacked.host}"
    secret = (await attacked.owner.raw("GET", "/api/state"))[2].encode()
    paths = list(dict.fromkeys(row.path for row in rows))
    tries = [
        *(("GET", form % path, [host]) for path in paths for form in _TARGETS),
        *(("GET", path.upper(), [host]) for path in paths),
        *((method, path, [host]) for path in paths for method in _METHODS),
        *(("GET", "/health", [host, line % path]) for path in paths for line in _OVERRIDES),
        *(
            ("GET", path, [host, f"X-HTTP-Method-Override: {method}"])
            for path in paths
            for method in ("HEAD", "OPTIONS")
        ),
    ]
    passed: list[str] = []
    for method, path, lines in tries:
        before = attacked.hits
        answer = await attacked.ask(method, path, lines)
        everybodys = path.startswith("/health") and answer.body.startswith(b'{"status":"ok"')
        if attacked.hits > before or (answer.status not in _STEPPED_ASIDE and not everybodys):
            passed.append(f"{method} {path}: {answer.status}")
        if answer.body and answer.body in secret:
            passed.append(f"{method} {path}: it was told the state")
    return passed, len(tries)
