"""What a provider is, and the addresses it answers at."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from proxypal_core.hub.failure import invalid

DialectName: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "gemini"]
Auth: TypeAlias = Literal["", "bearer", "x-api-key", "x-goog-api-key", "api-key", "none"]

_AUTH_OF_DIALECT: Mapping[str, Auth] = {
    "openai-chat": "bearer",
    "openai-responses": "bearer",
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
}


class OAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a person logs in at a provider: an OAuth client, and the addresses it goes to.

    ``authorize_url`` is for the authorization code with PKCE (RFC 7636), ``device_url`` for the
    device code (RFC 8628); at least one of them is there. ``redirect_port`` 0 is any free port.
    ``extra`` are parameters added to the authorize URL. ``issuer``, where it is known, must be the
    one that an answer names (RFC 9207).

    ``gives`` says what the code is exchanged for: a token (RFC 6749), or a lasting API key as
    OpenRouter does it (https://openrouter.ai/docs/guides/overview/auth/oauth), without a client id
    and in JSON.
    """

    client_id: str = ""
    client_secret: str = ""
    authorize_url: str = ""
    token_url: str
    device_url: str = ""
    scopes: tuple[str, ...] = ()
    redirect_port: int = 0
    extra: Mapping[str, str] = {}
    issuer: str = ""
    gives: Literal["token", "key"] = "token"

    def __repr__(self) -> str:
        return f"OAuth({self.client_id!r} at {self.token_url!r})"


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the catalog.

    ``endpoints`` maps each dialect the provider speaks to the base URL its vendor's SDK takes.
    ``auth`` is how the key travels; empty means as the dialect does it. ``env`` names the
    environment variables that may hold a key. ``models`` are well-known ids, for listings and for
    finding the provider of a bare name; they limit nothing. ``families`` are the patterns of names
    that are this provider's own. ``aliases`` are other names of the provider. ``stateless``: it
    speaks Responses but keeps no answer that a later request could go on from.

    ``login_only``: it takes the login of its vendor's own program, and no keys.
    ``oauth`` is how to log in, where the provider or its user offers a client for that.
    ``token_headers`` go with a login's token, not with a key; ``claim_headers`` do so too, each
    with the claim of the token (a path into it) that is its value.
    """

    name: str
    label: str = ""
    endpoints: Mapping[str, str] = {}
    auth: Auth = ""
    env: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    models: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    key_optional: bool = False
    stateless: bool = False
    login_only: bool = False
    oauth: OAuth | None = None
    token_headers: Mapping[str, str] = {}
    claim_headers: Mapping[str, tuple[str, ...]] = {}

    @property
    def keyless(self) -> bool:
        """Whether an account without a key makes sense."""
        return self.key_optional or self.auth == "none"

    def auth_in(self, dialect: str, kind: str = "api_key") -> Auth:
        """How a credential of *kind* travels in *dialect*: a key as the dialect has it, and tokens,
        pasted or of a login, as RFC 6750 does.
        """
        return (self.auth or _AUTH_OF_DIALECT[dialect]) if kind == "api_key" else "bearer"


def credential_headers(auth: Auth, key: str) -> Mapping[str, str]:
    """The headers that carry *key*; none for an empty key."""
    if not key or auth in ("", "none"):
        return {}
    if auth == "bearer":
        return {"authorization": f"Bearer {key}"}
    return {auth: key}


# ── addresses ────────────────────────────────────────────────────────────────────────────────

Operation: TypeAlias = Literal[
    "generate",
    "count_tokens",
    "compact",
    "input_tokens",
    "embed",
    "batch_embed",
    "models",
    "passthrough",
]

# {model} and {path} are filled in; of two paths the second is for a stream.
_PATHS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "anthropic": {
        "generate": ("/v1/messages",),
        "count_tokens": ("/v1/messages/count_tokens",),
        "models": ("/v1/models",),
        "passthrough": ("/v1/{path}",),
    },
    "openai-chat": {
        "generate": ("/chat/completions",),
        "models": ("/models",),
        "passthrough": ("/{path}",),
    },
    "openai-responses": {
        "generate": ("/responses",),
        "compact": ("/responses/compact",),
        "input_tokens": ("/responses/input_tokens",),
        "models": ("/models",),
        "passthrough": ("/{path}",),
    },
    "gemini": {
        "generate": (
            "/models/{model}:generateContent",
            "/models/{model}:streamGenerateContent?alt=sse",
        ),
        "count_tokens": ("/models/{model}:countTokens",),
        "embed": ("/models/{model}:embedContent",),
        "batch_embed": ("/models/{model}:batchEmbedContents",),
        "models": ("/models",),
        "passthrough": ("/{path}",),
    },
    # A program on this machine: its base URL is command:name.
    "command": {"generate": ("",)},
}
_TRAILING_V1 = re.compile(r"(?:/v1)+$")
_VERSION_SEGMENT = re.compile(r"/v\d+(?:alpha|beta)?\d*(?:/|$)")


@lru_cache(maxsize=1024)
def endpoint_url(
    base_url: str,
    dialect: str,
    operation: Operation,
    model: str = "",
    path: str = "",
    stream: bool = False,  # noqa: FBT001, FBT002 — lru_cache takes twice as long with keywords
) -> str:
    """Where *operation* is asked for.

    *base_url* is what the vendor's SDK takes; a query in it is kept. *model* matters where the
    dialect says the model in the path; *path* is the rest of a passed-through address, such as
    ``embeddings``, as it came and without its query.

    Raises:
        Refused: *model* or *path* would leave the folder it belongs in.
        KeyError: the dialect has no such operation.
    """
    _stay_inside(model, "model")
    _stay_inside(unquote(path), "path")
    scheme, host, base_path, base_query, _ = urlsplit(base_url)
    choices = _PATHS[dialect][operation]
    template, _, query = choices[-1 if stream else 0].partition("?")
    filled = template.format(model=_model_in_path(model), path=path.lstrip("/"))
    queries = "&".join(part for part in (base_query, query) if part)
    return urlunsplit((scheme, host, _root(base_path, dialect) + filled, queries, ""))


def _root(path: str, dialect: str) -> str:
    path = path.rstrip("/")
    if dialect == "anthropic":
        return _TRAILING_V1.sub("", path)
    if dialect == "gemini" and not _VERSION_SEGMENT.search(path):
        return f"{path}/v1beta"
    return path


def _model_in_path(model: str) -> str:
    # Ids contain slashes and colons (openrouter's x/y:free) that servers expect as they are.
    return quote(model.removeprefix("models/"), safe="/:@")


def _stay_inside(text: str, field: str) -> None:
    if any(segment in (".", "..") for segment in re.split(r"[/\\]", text)):
        raise invalid(f"{field}: must not contain '.' or '..' as a segment", param=field)
