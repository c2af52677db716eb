"""Accounts from elsewhere through the management API: logins of other programs of this machine, and
files in which other programs keep theirs.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proxypal_core.accounts import interchange
from proxypal_core.accounts.interchange import Import, Merge
from proxypal_core.gateway.accounts_api import created, profile_id_of, provider_called, replace
from proxypal_core.gateway.front import Call, Front
from proxypal_core.hub.failure import invalid
from proxypal_core.providers import yamlio
from proxypal_core.providers.catalog import Catalog
from proxypal_core.store.vault_format import Snapshot
from proxypal_core.upstream import linked
from proxypal_core.upstream.linked import SOURCES, Links, Source, Unusable
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import Malformed

LARGEST = 16 * 1024 * 1024
"""Characters of a file that can be imported."""


class NewLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which login, as ``GET`` calls it. The account is called after ``name``, or the program."""

    login: str
    name: str = ""


class NewImport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a file called ``file``: an auth-profiles.json of OpenClaw, a login or the
    config.yaml of CLIProxyAPI, or the key file of a Google service account.
    """

    text: Annotated[str, msgspec.Meta(max_length=LARGEST, description="It is never told.")]
    file: str = ""


async def links(front: Front, call: Call) -> Mapping[str, Any]:
    """The logins that could be linked. Whether one is usable is seen when it is."""
    return {"logins": [_shown(source) for source in SOURCES.values()]}


def _shown(source: Source) -> Mapping[str, Any]:
    paths = source.paths(Path.home(), os.environ)
    return {
        "login": source.name,
        "program": source.program,
        "provider": source.provider,
        "found": any(path.exists() for path in paths),
        "notice": source.notice,
    }


async def link(front: Front, call: Call) -> Mapping[str, Any]:
    """Use the login that a vendor's own program keeps on the daemon's machine.

    Raises:
        Refused: there is none, or it cannot be used.
    """
    new = call.as_(NewLink)
    source = SOURCES.get(new.login)
    if source is None:
        raise invalid(f"login: must be one of {', '.join(SOURCES)}", param="login")
    provider = provider_called(front, source.provider)
    name = profile_id_of(provider, new.name or source.program)
    try:
        profile = linked.profile_of(source, provider.name, Path.home(), os.environ)
        await Links(Path.home(), front.services.clock).login(profile)
    except Unusable as error:
        raise invalid(f"nothing was linked: {error}", param="login") from None
    await replace(front, name, {**profile, "created": created(front)})
    return {"id": name, "notice": source.notice}


async def take_in(front: Front, call: Call) -> Mapping[str, Any]:
    """Take in the accounts of a file. Nothing is removed, and no newer login replaced by an older.

    Raises:
        Refused: the file is none that is known.
    """
    new = call.as_(NewImport)
    try:
        found = _read(new, front.settings.catalog)
    except (Malformed, yamlio.BadYaml) as error:
        # Of what cannot be read only the place is told: the rest may be a secret.
        raise invalid(
            f"nothing was imported: the file {_told(error)}; export it again", param="text"
        ) from None
    now = await front.owner.snapshot()
    merge = _merged(now, found)
    if merge.profiles != now.profiles or merge.bookkeeping != now.bookkeeping:
        await front.owner.revise(lambda now: _after(now, found))
    return interchange.report(merge.lines, found)


def _read(new: NewImport, catalog: Catalog) -> Import:
    if new.text.lstrip("\ufeff \t\r\n").startswith("{"):
        return interchange.detected(Path(new.file).stem, _json(new.text.lstrip("\ufeff")))
    config = jsonio.obj(yamlio.load(new.text).value, "")
    found = interchange.from_cliproxyapi_config(config, catalog)
    if not found.profiles:
        raise Malformed("", "holds no account")
    return found


def _json(text: str) -> jsonio.JsonObject:
    try:
        return jsonio.load_object(text)
    except Malformed:
        raise Malformed("", "is not valid JSON, or was cut") from None


def _told(error: Malformed | yamlio.BadYaml) -> str:
    if isinstance(error, yamlio.BadYaml):
        return f"is neither JSON nor YAML (line {error.line})"
    return f"is not well made: {error}" if error.path else error.problem


def _merged(now: Snapshot, found: Import) -> Merge:
    return interchange.merge(now.profiles, now.bookkeeping, found)


def _after(now: Snapshot, found: Import) -> Snapshot:
    merge = _merged(now, found)
    return msgspec.structs.replace(now, profiles=merge.profiles, bookkeeping=merge.bookkeeping)
