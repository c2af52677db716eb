"""Credentials as other programs keep them, read and written.

OpenClaw's ``auth-profiles.json`` comes back as it went in. CLIProxyAPI keeps a JSON file for each
login and its keys in a ``config.yaml``; Google gives a JSON file for a service account.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from proxypal_core.accounts import profiles
from proxypal_core.accounts.profiles import is_profile_id
from proxypal_core.providers.catalog import Catalog, find
from proxypal_core.wire import jsonio, times
from proxypal_core.wire.jsonio import JsonObject, Malformed

Action: TypeAlias = Literal["added", "changed", "unchanged", "skipped"]


class Line(NamedTuple):
    """What becomes of one thing that was to be imported, and why if that is not plain."""

    what: str
    action: Action
    reason: str = ""


class Import(msgspec.Struct, frozen=True):
    """What another program's file holds. ``settings`` are rows by their section of ``config.yaml``
    that it would take besides; ``notes`` are sentences for the person.
    """

    profiles: Mapping[str, JsonObject] = {}
    bookkeeping: JsonObject = {}
    skipped: tuple[Line, ...] = ()
    settings: Mapping[str, tuple[JsonObject, ...]] = {}
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Import") -> "Import":
        return Import(
            {**self.profiles, **other.profiles},
            {**self.bookkeeping, **other.bookkeeping},
            self.skipped + other.skipped,
            {
                name: self.settings.get(name, ()) + other.settings.get(name, ())
                for name in {**self.settings, **other.settings}
            },
            tuple(dict.fromkeys(self.notes + other.notes)),
        )


class Merge(NamedTuple):
    """What there would be after an import, and how it came about."""

    profiles: Mapping[str, JsonObject]
    bookkeeping: JsonObject
    lines: list[Line]


def merge(
    profiles_now: Mapping[str, JsonObject], bookkeeping_now: JsonObject, new: Import
) -> Merge:
    """*new* put into what there is. Nothing is removed, and no newer login replaced by an older."""
    merged = dict(profiles_now)
    lines = list(new.skipped)
    for name, profile in new.profiles.items():
        action, reason = _fate(name, profile, merged)
        lines.append(Line(name, action, reason))
        if action in ("added", "changed"):
            merged[name] = profile
    return Merge(merged, _laid_over(bookkeeping_now, new.bookkeeping), lines)


def _fate(name: str, profile: JsonObject, merged: Mapping[str, JsonObject]) -> tuple[Action, str]:
    if not is_profile_id(name):
        return "skipped", "its id is not provider:name"
    if name not in merged:
        twin = _twin(name, profile, merged)
        return ("skipped", f"it is there already as {twin}") if twin else ("added", _flaw(profile))
    now = merged[name]
    if now == profile:
        return "unchanged", ""
    if _issued(now) > _issued(profile):
        return "skipped", "the login in the vault is newer"
    return "changed", _flaw(profile)


def _twin(name: str, profile: JsonObject, merged: Mapping[str, JsonObject]) -> str:
    """The id of a profile of the same provider and secret; OpenClaw's own ids are let be."""
    mine = profiles.secret(profile)
    if not mine or not name.partition(":")[2].startswith(_KEY_NAME):
        return ""
    provider = profile.get("provider")
    return next(
        (
            other
            for other, kept in merged.items()
            if kept.get("provider") == provider and profiles.secret(kept) == mine
        ),
        "",
    )


def _issued(profile: JsonObject) -> float:
    """When a login ends, which says which of two was given later; 0 for all else."""
    ends = profile.get("expires") if profile.get("type") == "oauth" else 0
    return times.number(ends) or 0.0


def _flaw(profile: JsonObject) -> str:
    try:
        known = profiles.view(profile)
    except Malformed as error:
        return f"it cannot be used as it is: {error}"
    return "" if known else f"kept, though this version does nothing with type {profile['type']}"


def _laid_over(now: JsonObject, new: JsonObject) -> JsonObject:
    """*new* over *now*; objects that both have (``order``, ``usageStats``) key by key."""
    merged = dict(now)
    for name, value in new.items():
        had = now.get(name)
        if isinstance(had, dict) and isinstance(value, dict):
            merged[name] = {**had, **value}
        else:
            merged[name] = value
    return merged


def report(lines: Sequence[Line], new: Import) -> JsonObject:
    """What became of *new*, as programs are told; nothing of it is secret."""
    return {
        "accounts": [line._asdict() for line in lines],
        "settings": msgspec.to_builtins(new.settings),
        "notes": list(new.notes),
    }


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────

_ALIASES = {"mode": "type", "apiKey": "key"}
"""Words that OpenClaw itself reads for another."""


def from_openclaw(document: JsonObject) -> Import:
    """An ``auth-profiles.json``. All that is not profiles (order, lastGood, usageStats, version) is
    the bookkeeping.

    Raises:
        Malformed: it is none.
    """
    kept: dict[str, JsonObject] = {}
    skipped = []
    for name, value in jsonio.need(document, "profiles", jsonio.obj).items():
        if not isinstance(value, dict):
            skipped.append(Line(name, "skipped", "it is not an object"))
            continue
        profile = _plain(value)
        if isinstance(profile.get("type"), str):
            kept[name] = profile
        else:
            skipped.append(Line(name, "skipped", "it has no type"))
    book = {key: value for key, value in document.items() if key != "profiles"}
    return Import(kept, book, tuple(skipped))


def _plain(profile: JsonObject) -> JsonObject:
    """*profile* without aliases, unless the word itself stands there as well."""
    words = {key: _ALIASES.get(key, key) for key in profile}
    return {key if words[key] in profile else words[key]: value for key, value in profile.items()}


def to_openclaw(kept: Mapping[str, JsonObject], bookkeeping: JsonObject) -> JsonObject:
    """An ``auth-profiles.json``, in which nothing is encrypted."""
    return {"version": 1, **bookkeeping, "profiles": dict(kept)}


# ── Google ───────────────────────────────────────────────────────────────────────────────────


def from_google(key_file: JsonObject) -> Import:
    """The key file of a service account, for Vertex AI.

    Raises:
        Malformed: it is none.
    """
    email = jsonio.need(key_file, "client_email", jsonio.filled)
    jsonio.need(key_file, "private_key", jsonio.filled)
    return Import({f"vertex:{email}": {**key_file, "provider": "vertex"}})


# ── CLIProxyAPI ──────────────────────────────────────────────────────────────────────────────

_LOGINS = {
    "claude": "anthropic",
    "codex": "openai-codex",
    "kimi": "kimi-coding",
    "antigravity": "google-antigravity",
    "gemini": "google-gemini-cli",
    "qwen": "qwen-portal",
}
"""Its types of login by OpenClaw's names of providers; the others are called the same."""
_WORDS = {
    "access_token": "access",
    "refresh_token": "refresh",
    "id_token": "idToken",
    "account_id": "accountId",
    "project_id": "projectId",
    "token_endpoint": "tokenEndpoint",
    "proxy_url": "proxy",
}
_DROPPED = frozenset({"type", "expired", "expires_in", "timestamp", "service_account"})
_SHARED_LOGIN = (
    "A login that two programs renew is ended by the provider sooner or later: stop CLIProxyAPI, "
    "or log in anew with proxypal auth login."
)


def from_cliproxyapi_login(stem: str, content: JsonObject) -> Import:
    """One file of its folder of logins; *stem* is the file's name without ``.json``.

    Raises:
        Malformed: it is none.
    """
    kind = jsonio.need(content, "type", jsonio.filled)
    rest = {_WORDS.get(key, key): value for key, value in content.items() if key not in _DROPPED}
    rest = _with_options(rest)
    key_file = jsonio.opt(content, "service_account", jsonio.obj)
    if key_file is not None:
        google = from_google(key_file)
        return Import({name: {**rest, **kept} for name, kept in google.profiles.items()})
    if not (content.get("access_token") or content.get("refresh_token")):
        raise Malformed("access_token", "is required")
    provider = _LOGINS.get(kind, kind)
    ends = times.moment(str(content.get("expired")))
    login = {
        "type": "oauth",
        "provider": provider,
        **rest,
        **({} if ends is None else {"expires": round(ends * 1000)}),
    }
    name = content.get("email") or stem
    return Import({f"{provider}:{name}": login}, notes=(_SHARED_LOGIN,))


def _with_options(profile: JsonObject) -> JsonObject:
    """*profile* with CLIProxyAPI's ways of saying no or none put in ours."""
    out = dict(profile)
    if out.get("proxy") == "none":
        out["proxy"] = "direct"
    if isinstance(out.get("weight"), int) and out["weight"] < 1:
        del out["weight"]
        out["disabled"] = True
    return out


_KEYS = {
    "gemini-api-key": ("gemini", "gemini"),
    "interactions-api-key": ("gemini", "gemini"),
    "claude-api-key": ("anthropic", "anthropic"),
    "codex-api-key": ("openai", "openai-responses"),
    "xai-api-key": ("xai", "openai-responses"),
    "vertex-api-key": ("vertex", "gemini"),
}
"""Its lists of keys: whose they are, and the dialect spoken where they have an address."""
_OPTIONS = {
    "weight": "weight",
    "priority": "priority",
    "prefix": "prefix",
    "proxy-url": "proxy",
    "excluded-models": "excluded_models",
    "headers": "headers",
}
_KEY_NAME = "key-"


def from_cliproxyapi_config(config: JsonObject, catalog: Catalog) -> Import:
    """Its ``config.yaml``: the keys of providers. Its logins are in the folder ``auth-dir``.

    Raises:
        Malformed: a list in it is none.
    """
    found = Import()
    for section, (provider, dialect) in _KEYS.items():
        for at, row in enumerate(_rows(config, section)):
            path = f"{section}[{at}]"
            home, needed = _home(provider, dialect, row, catalog)
            found += Import(_key_profile(home, row, path), settings=needed)
    for at, row in enumerate(_rows(config, "openai-compatibility")):
        found += _compatible(row, f"openai-compatibility[{at}]", catalog)
    clients = jsonio.opt(config, "api-keys", jsonio.arr)
    if clients:
        note = (
            f"Its client keys are not imported ({len(clients)}): make new ones with proxypal keys."
        )
        found += Import(notes=(note,))
    return found


def _compatible(row: JsonObject, path: str, catalog: Catalog) -> Import:
    name = jsonio.need(row, "name", jsonio.filled, path).strip().lower().replace(" ", "-")
    home, needed = _home(name, "openai-chat", row, catalog)
    found = Import(settings=needed)
    for at, entry in enumerate(_rows(row, "api-key-entries", path)):
        shared: JsonObject = {key: row[key] for key in ("headers", "prefix") if key in row}
        where = f"{path}.api-key-entries[{at}]"
        found += Import(_key_profile(home, {**shared, **entry}, where))
    return found


def _key_profile(provider: str, row: JsonObject, path: str) -> dict[str, JsonObject]:
    key = jsonio.need(row, "api-key", jsonio.filled, path)
    # Eight digits of a digest say nothing of a key, and are the same at the next import.
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    own = {_OPTIONS[name]: value for name, value in row.items() if name in _OPTIONS}
    profile = {"type": "api_key", "provider": provider, "key": key, **_with_options(own)}
    return {f"{provider}:{_KEY_NAME}{digest}": profile}


def _home(
    name: str, dialect: str, row: JsonObject, catalog: Catalog
) -> tuple[str, Mapping[str, tuple[JsonObject, ...]]]:
    """The name of the provider that *row* is about, and the rows that the settings need for it."""
    url = str(row.get("base-url") or "")
    host = urlsplit(url).hostname or ""
    known = find(catalog, name)
    ids = [model for model in row.get("models") or () if isinstance(model, dict)]
    if known is not None and host in ("", *map(_host, known.endpoints.values())):
        return known.name, _aliases(known.name, ids)
    own = name if known is None else host.replace(".", "-")
    provider: JsonObject = {"name": own, "dialect": dialect, "base_url": url}
    if ids:
        provider["models"] = [model.get("name") for model in ids]
    return own, {"providers": (provider,), **_aliases(own, ids)}


def _aliases(provider: str, models: list[JsonObject]) -> Mapping[str, tuple[JsonObject, ...]]:
    rows = tuple(
        {"name": model["alias"], "route": [f"{provider}/{model.get('name')}"]}
        for model in models
        if model.get("alias") and model["alias"] != model.get("name")
    )
    return {"models": rows} if rows else {}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _rows(parent: JsonObject, key: str, path: str = "") -> Iterator[JsonObject]:
    place = jsonio.join(path, key)
    for at, row in enumerate(jsonio.opt(parent, key, jsonio.arr, path) or ()):
        yield jsonio.obj(row, f"{place}[{at}]")


# ── which of them ────────────────────────────────────────────────────────────────────────────


def detected(stem: str, content: JsonObject) -> Import:
    """What the JSON file *stem*, of whichever program, holds.

    Raises:
        Malformed: it is of none that is known, or not well made.
    """
    if isinstance(content.get("profiles"), dict):
        return from_openclaw(content)
    if content.get("type") == "service_account":
        return from_google(content)
    if {"access_token", "refresh_token", "service_account"} & content.keys():
        return from_cliproxyapi_login(stem, content)
    raise Malformed(
        "",
        "is neither an auth-profiles.json of OpenClaw, nor a login of CLIProxyAPI, nor the key file"
        " of a Google service account",
    )
