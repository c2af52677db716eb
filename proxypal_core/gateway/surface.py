"""The HTTP surface as a table: which path is which dialect's which operation.

The path alone tells the dialect; ``match`` never looks at a body, a key or the host. Every base
works with and without a trailing slash, under a provider's prefix, and with ``/v1`` doubled, since
clients append it to a base URL that already has it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from proxypal_core.providers import provider


# No Enum: each request looks at a dozen of these names, and in CPython 3.11 a look at a member is a
# call of a descriptor.
class Operation:
    """What a path is for."""

    GENERATE: Final = "generate"
    COMPLETIONS: Final = "completions"  # the legacy form of chat
    COUNT_TOKENS: Final = "count_tokens"
    PASS: Final = "pass"  # forwarded as it is
    REALTIME: Final = "realtime"  # a WebSocket upgrade
    MODELS: Final = "models"
    MODEL: Final = "model"
    HEALTH: Final = "health"
    ROOT: Final = "root"
    API: Final = "api"  # the management API: api.ENDPOINTS says more
    DASHBOARD: Final = "dashboard"


class Access:
    """Who may call: everybody on loopback, holders of a client key, holders of the admin key or of
    the dashboard's cookie.
    """

    OPEN: Final = "open"
    CLIENT: Final = "client"
    ADMIN: Final = "admin"


class Route(msgspec.Struct, frozen=True):
    """``operation`` is one of ``Operation``, ``access`` one of ``Access``."""

    operation: str
    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    dialect: str
    access: str = Access.CLIENT
    upstream: provider.Operation = "passthrough"
    """What it is called in ``providers.provider``, for operations that reach a provider."""


class Match(msgspec.Struct, frozen=True):
    """``prefix`` is the first path segment when it names a provider to prefer; ``model`` and
    ``stream`` are set where the path says them (Gemini); ``suffix`` is what follows the base,
    for operations that are forwarded.
    """

    route: Route
    prefix: str = ""
    model: str = ""
    method: str = ""
    suffix: str = ""


class NotFound(Exception):
    """No route. ``dialect`` is whose words the refusal should be in."""

    def __init__(self, dialect: str) -> None:
        super().__init__(dialect)
        self.dialect = dialect


class WrongMethod(NotFound):
    def __init__(self, dialect: str, allowed: tuple[str, ...]) -> None:
        super().__init__(dialect)
        self.allowed = allowed


CHAT, RESPONSES, ANTHROPIC, GEMINI = "openai-chat", "openai-responses", "anthropic", "gemini"

# A prefix is one segment that is not a version and nothing of our own.
_PREFIX = r"(?:/(?!v\d|api/|dashboard/|files|models)(?P<prefix>[a-z][a-z0-9_-]*))?"
_V1 = r"(?:/v1){0,2}"
_GEMINI = rf"{_PREFIX}(?:/v1(?:beta|alpha)?){{0,2}}(?:/publishers/google)?"
_GEMINI_MODEL = rf"{_GEMINI}/(?:models|tunedModels)/(?P<model>.+):"
_ID = r"[^/]+"
_ANY = "GET HEAD POST PUT PATCH DELETE"


def _route(
    operation: str,
    methods: str,
    pattern: str,
    dialect: str = CHAT,
    access: str = Access.CLIENT,
    upstream: provider.Operation = "passthrough",
) -> Route:
    return Route(operation, tuple(methods.split()), re.compile(pattern), dialect, access, upstream)


def _generate(pattern: str, dialect: str) -> Route:
    return _route(Operation.GENERATE, "POST", pattern, dialect, upstream="generate")


def _count(pattern: str, dialect: str, upstream: provider.Operation) -> Route:
    return _route(Operation.COUNT_TOKENS, "POST", pattern, dialect, upstream=upstream)


def _pass(
    methods: str,
    pattern: str,
    dialect: str = CHAT,
    upstream: provider.Operation = "passthrough",
) -> Route:
    return _route(Operation.PASS, methods, pattern, dialect, upstream=upstream)


ROUTES: tuple[Route, ...] = (
    _generate(rf"{_PREFIX}{_V1}/chat/completions", CHAT),
    _generate(rf"{_PREFIX}{_V1}/responses", RESPONSES),
    _generate(rf"{_PREFIX}{_V1}/messages", ANTHROPIC),
    _generate(rf"{_GEMINI_MODEL}(?P<method>(?:g|streamG)enerateContent)", GEMINI),
    _route(Operation.REALTIME, "GET", rf"{_PREFIX}{_V1}/responses", RESPONSES),
    _route(Operation.COMPLETIONS, "POST", rf"{_PREFIX}{_V1}/completions", upstream="generate"),
    _count(rf"{_PREFIX}{_V1}/messages/count_tokens", ANTHROPIC, "count_tokens"),
    _count(rf"{_PREFIX}{_V1}/responses/input_tokens", RESPONSES, "input_tokens"),
    _count(rf"{_GEMINI_MODEL}(?P<method>countTokens)", GEMINI, "count_tokens"),
    _pass("POST", rf"{_GEMINI_MODEL}(?P<method>embedContent)", GEMINI, "embed"),
    _pass("POST", rf"{_GEMINI_MODEL}(?P<method>batchEmbedContents)", GEMINI, "batch_embed"),
    _pass("POST", rf"{_PREFIX}{_V1}/responses/compact", RESPONSES, "compact"),
    _pass("POST", rf"{_PREFIX}{_V1}/(?P<suffix>responses/{_ID}/cancel)", RESPONSES),
    _pass("GET DELETE", rf"{_PREFIX}{_V1}/(?P<suffix>responses/{_ID}(?:/input_items)?)", RESPONSES),
    _pass("POST", rf"{_PREFIX}{_V1}/(?P<suffix>embeddings|moderations|rerank|images/.+|audio/.+)"),
    _pass("GET POST DELETE", rf"{_PREFIX}{_V1}/(?P<suffix>(?:files|batches)(?:/.+)?)"),
    _route(Operation.MODELS, "GET", rf"{_PREFIX}/v1beta/models", GEMINI),
    _route(Operation.MODEL, "GET", rf"{_PREFIX}/v1beta/models/(?P<model>.+)", GEMINI),
    _route(Operation.MODELS, "GET", rf"{_PREFIX}{_V1}/models"),
    _route(Operation.MODEL, "GET", rf"{_PREFIX}{_V1}/models/(?P<model>.+)"),
    _route(Operation.HEALTH, "GET HEAD", r"/healthz?", access=Access.OPEN),
    _route(Operation.ROOT, "GET HEAD", r"/?", access=Access.OPEN),
    _route(Operation.DASHBOARD, "GET HEAD", r"/dashboard(?:/(?P<suffix>.+))?", access=Access.OPEN),
    _route(Operation.API, _ANY, r"/api(?:/.*)?|/metrics", access=Access.ADMIN),
)

# A prefix that says which dialect's words a model list, or a refusal, should be in.
_PREFIX_DIALECTS: Mapping[str, str] = {"anthropic": ANTHROPIC, "gemini": GEMINI, "vertex": GEMINI}


@lru_cache(maxsize=1024)
def match(method: str, path: str) -> Match:
    """The route of *method* on *path*, which is the raw path: percent-encoded, without a query.

    Raises:
        WrongMethod: the path is known, the method is not.
        NotFound: the path is unknown.
    """
    bare = path.rstrip("/") or "/"
    allowed: list[str] = []
    dialect = ""
    for route in ROUTES:
        found = route.pattern.fullmatch(bare)
        if found is None:
            continue
        if method not in route.methods:
            allowed += route.methods
            dialect = dialect or route.dialect
            continue
        groups = found.groupdict()
        prefix = groups.get("prefix") or ""
        if route.operation in (Operation.MODELS, Operation.MODEL):
            route = msgspec.structs.replace(  # noqa: PLW2901
                route, dialect=_PREFIX_DIALECTS.get(prefix, route.dialect)
            )
        return Match(
            route,
            prefix=prefix,
            model=unquote(groups.get("model") or ""),
            method=groups.get("method") or "",
            suffix=groups.get("suffix") or "",
        )
    if allowed:
        raise WrongMethod(dialect, tuple(dict.fromkeys(allowed)))
    raise NotFound(guess_dialect(path))


@lru_cache(maxsize=1024)
def guess_dialect(path: str) -> str:
    """Whose words to refuse an unknown *path* in."""
    first = path.strip("/").partition("/")[0]
    if first in _PREFIX_DIALECTS:
        return _PREFIX_DIALECTS[first]
    if "/messages" in path:
        return ANTHROPIC
    return GEMINI if first in ("v1beta", "v1alpha") or ":generate" in path else CHAT
