"""Profiles: the credentials that the vault holds, in OpenClaw's words.

A profile is kept as the JSON object that it came as, so that a field this version knows nothing of
outlives it, and goes out again as it came in. The structs here are views of such an object.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from proxypal_core.accounts.account import Secret
from proxypal_core.wire.jsonio import JsonObject, Malformed

_T = TypeVar("_T")


def is_profile_id(text: str) -> bool:
    """Whether *text* is ``provider:name``, printable, and not a path in any disguise."""
    provider, _, name = text.partition(":")
    return (
        0 < len(provider) <= 64
        and 0 < len(name) <= 254
        and text.isprintable()
        and not any(mark in text for mark in "/\\")
    )


class Reference(msgspec.Struct, frozen=True):
    """A secret that is kept elsewhere: ``source`` is env, file or exec, ``id`` what it is there."""

    source: str
    id: str


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that is paid by use."""

    provider: str
    key: Secret = Secret("")
    key_ref: Reference | None = None
    email: str = ""


class Token(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token that somebody pasted. It cannot be renewed; ``expires`` is in Unix milliseconds, 0
    where it is not known.
    """

    provider: str
    token: Secret = Secret("")
    token_ref: Reference | None = None
    expires: float = 0
    email: str = ""


class OAuth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A login. ``expires``, of its access token, is in Unix milliseconds."""

    provider: str
    access: Secret = Secret("")
    refresh: Secret = Secret("")
    expires: float = 0
    email: str = ""
    account_id: str = ""
    project_id: str = ""


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Google's key file, and the provider that it is for."""

    provider: str
    client_email: str
    private_key: Secret
    project_id: str = ""


Profile: TypeAlias = ApiKey | Token | OAuth | ServiceAccount

_VIEWS: Mapping[str, type[Profile]] = {
    "api_key": ApiKey,
    "token": Token,
    "oauth": OAuth,
    "service_account": ServiceAccount,
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What its owner wants of an account: the settings' ``accounts[]`` in the same words."""

    prefix: str = ""
    priority: int = 0
    weight: Annotated[int, msgspec.Meta(ge=1)] = 1
    max_concurrency: Annotated[int, msgspec.Meta(ge=0)] = 0
    proxy: str = ""
    models: tuple[str, ...] = ()
    excluded_models: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}


def view(profile: JsonObject) -> Profile | None:
    """*profile* as what its type says; None for a type that this version does not know.

    Raises:
        Malformed: a field of it is not what it must be.
    """
    kind = _VIEWS.get(str(profile.get("type")))
    return None if kind is None else _converted(profile, kind)


def options(profile: JsonObject) -> Options:
    """What *profile* says of how it is to be used.

    Raises:
        Malformed: a field of it is not what it must be.
    """
    return _converted(profile, Options)


def wishes(profile: JsonObject) -> JsonObject:
    """What the owner wants of *profile*, which a new credential does not change."""
    fields = (*Options.__struct_fields__, "disabled")
    return {name: value for name, value in profile.items() if name in fields}


def secret(profile: JsonObject) -> Secret:
    """The secret by which two profiles are known to be the same; empty where there is none."""
    for field in ("key", "token", "refresh", "access", "private_key"):
        if isinstance(profile.get(field), str) and profile[field]:
            return Secret(profile[field])
    return Secret("")


_REFERENCES = {"keyRef": "key", "tokenRef": "token"}


def resolved(profile: JsonObject, environment: Mapping[str, str]) -> JsonObject:
    """*profile* with the secret that it refers to, where that is a variable of *environment*."""
    for reference, field in _REFERENCES.items():
        named = profile.get(reference)
        if isinstance(named, dict) and named.get("source") == "env":
            found = environment.get(str(named.get("id")))
            if found:
                return {**profile, field: found}
    return profile


def unresolved(profile: JsonObject) -> str:
    """Why *profile*, as `resolved` left it, has no secret; empty where it refers to none."""
    for reference, field in _REFERENCES.items():
        named = profile.get(reference)
        if isinstance(named, dict) and not profile.get(field):
            if named.get("source") == "env":
                return f"its {field} is in the variable {named.get('id')}, which is not set"
            return (
                f"its {field} is kept by OpenClaw ({reference}, source {named.get('source')}), "
                "where this version cannot read it"
            )
    return ""


def _converted(profile: JsonObject, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(profile, kind, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise Malformed(path.strip("`."), problem[:1].lower() + problem[1:]) from None


def _decoded(kind: type[Any], value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("Expected `str`")  # msgspec adds where
