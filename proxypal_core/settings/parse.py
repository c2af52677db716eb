"""Text and environment in, checked settings out."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from proxypal_core.providers import catalog as catalogs
from proxypal_core.providers import yamlio
from proxypal_core.providers.catalog import Catalog
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.settings.backends import idle_keys, normalised
from proxypal_core.settings.checks import check
from proxypal_core.settings.reading import Problem, SettingsError, read
from proxypal_core.settings.schema import (
    Account,
    Document,
    Listen,
    ProviderRow,
    SecretText,
    Settings,
)
from proxypal_core.settings.variables import Unset, expand_all, expanded

__all__ = ["Problem", "SettingsError", "parse", "without_effect"]


def parse(
    text: str,
    environment: Mapping[str, str],
    *,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """The settings that *text*, a ``config.yaml``, makes in *environment*. *host* and *port*, when
    given, stand for those of ``listen``.

    Raises:
        SettingsError: with everything that is wrong.
    """
    try:
        source = yamlio.load(text)
    except yamlio.BadYaml as error:
        hint = "change it there or just before; the repository's config.yaml shows every key"
        raise SettingsError([Problem("", error.problem, hint, error.line)]) from None
    problems: list[Problem] = []
    raw, left_out = _without_unset_keys(source.value, environment)
    document: Document = read(Document, expand_all(raw, environment, "", problems), "", problems)
    document = msgspec.structs.replace(
        document,
        listen=_listening(document.listen, host, port),
        backends={name: normalised(backend) for name, backend in document.backends.items()},
    )
    catalog = _merged(catalogs.builtin(environment), document)
    # What follows from a mistake is not another, and an account that is left out needs no key.
    known = {problem.path for problem in problems}
    known |= {f"accounts[{at}].api_key" for at in left_out}
    problems += [
        problem
        for problem in check(document, catalog)
        if not any(path in known for path in _upwards(problem.path))
    ]
    if problems:
        raise SettingsError(_placed(problems, source.lines))
    kept = [row for at, row in enumerate(document.accounts) if at not in left_out]
    return Settings(
        **{name: getattr(document, name) for name in document.__struct_fields__}
        | {"accounts": (*kept, *_implied(document, catalog, kept, environment))},
        catalog=catalog,
        notices=tuple(left_out.values()),
    )


def _listening(listen: Listen, host: str | None, port: int | None) -> Listen:
    return msgspec.structs.replace(
        listen,
        host=listen.host if host is None else host,
        port=listen.port if port is None else port,
    )


def _placed(problems: list[Problem], lines: Mapping[str, int]) -> Iterator[Problem]:
    """*problems* with their lines, the first of each path."""
    seen: set[str] = set()
    for problem in problems:
        if problem.path not in seen:
            seen.add(problem.path)
            yield msgspec.structs.replace(problem, line=_line_of(problem.path, lines))


def _line_of(path: str, lines: Mapping[str, int]) -> int:
    """The line of *path*, or of what would hold it when it is missing."""
    return next((lines[where] for where in _upwards(path) if where in lines), 0) if path else 0


def _upwards(path: str) -> Iterator[str]:
    """*path*, and each path that holds it."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


# ── accounts ─────────────────────────────────────────────────────────────────────────────────


def _without_unset_keys(raw: Any, environment: Mapping[str, str]) -> tuple[Any, dict[int, str]]:
    """*raw* without the keys whose variable is not set, and a notice for each such account."""
    left_out: dict[int, str] = {}
    rows = raw.get("accounts") if isinstance(raw, dict) else None
    if not isinstance(rows, list):
        return raw, left_out
    kept = []
    for at, row in enumerate(rows):
        name = _unset_key(row, environment)
        if name:
            left_out[at] = (
                f"accounts[{at}] ({row.get('id', 'no id')}) is left out: {name} is not set"
            )
            kept.append({key: value for key, value in row.items() if key != "api_key"})
        else:
            kept.append(row)
    return {**raw, "accounts": kept}, left_out


def _unset_key(row: Any, environment: Mapping[str, str]) -> str:
    """The variable that *row*'s key waits for; empty when there is none."""
    key = row.get("api_key") if isinstance(row, dict) else None
    if not isinstance(key, str):
        return ""
    filled = {name: value for name, value in environment.items() if value}
    try:
        expanded(key, filled)
    except Unset as error:
        return error.name
    except ValueError:
        return ""
    return ""


def _implied(
    document: Document, catalog: Catalog, accounts: list[Account], environment: Mapping[str, str]
) -> Iterator[Account]:
    """Accounts that nobody wrote down: keys in the environment, and providers that want none."""
    ids = {row.id for row in accounts}
    used = {(_owner(row.id, catalog), row.api_key) for row in accounts}
    for provider in catalog.values():
        key = next((environment[name] for name in provider.env if environment.get(name)), "")
        account_id = f"{provider.name}:env"
        if (
            key
            and provider.endpoints
            and (provider.name, key) not in used
            and account_id not in ids
        ):
            yield Account(id=account_id, api_key=SecretText(key))
    with_account = {_owner(row.id, catalog) for row in document.accounts}
    for name in (_owner(row.name, catalog) for row in document.providers):
        if name not in with_account and catalog[name].keyless:
            yield Account(id=f"{name}:local")


def _owner(account_id: str, catalog: Catalog) -> str:
    provider = catalogs.find(catalog, account_id.partition(":")[0])
    return provider.name if provider else ""


# ── providers ────────────────────────────────────────────────────────────────────────────────


def _merged(builtin: Catalog, document: Document) -> Catalog:
    """The built-in providers with the rows of *document* added to, or laid over, them."""
    merged = dict(builtin)
    for row in document.providers:
        known = catalogs.find(merged, row.name)
        name = known.name if known else row.name
        merged[name] = _overlaid(known or Provider(name=name), row)
    return merged


def _overlaid(known: Provider, row: ProviderRow) -> Provider:
    endpoints: Mapping[str, str] = dict(row.endpoints.items())
    if row.base_url:
        endpoints = {row.dialect: row.base_url}
    # Addresses replace all built-in ones: the key of a gateway that speaks one dialect must not
    # travel to the vendor in another. A row that only repeats what is known takes nothing away.
    if endpoints.items() <= known.endpoints.items():
        endpoints = known.endpoints
    return msgspec.structs.replace(
        known,
        endpoints=endpoints,
        auth=row.auth or known.auth,
        headers={**known.headers, **row.headers},
        models=row.models or known.models,
        families=row.families or known.families,
        aliases=tuple(dict.fromkeys((*known.aliases, *row.aliases))),
        env=row.env or known.env,
        oauth=_oauth(row) or known.oauth,
    )


def _oauth(row: ProviderRow) -> OAuth | None:
    given = msgspec.structs.asdict(row.oauth)
    return OAuth(**given) if row.oauth.token_url else None


# ── what is accepted and does nothing yet ────────────────────────────────────────────────────

NOT_YET: tuple[str, ...] = ()


def without_effect(settings: Settings) -> list[str]:
    """A sentence for each setting that was changed from its default and does nothing yet."""
    defaults = Document()
    changed = (path for path in NOT_YET if _at(path, settings) != _at(path, defaults))
    return [
        f"{path} has no effect in this version"
        for path in (*changed, *idle_keys(settings.backends))
    ]


def _at(path: str, settings: Settings | Document) -> object:
    return attrgetter(path)(settings)
