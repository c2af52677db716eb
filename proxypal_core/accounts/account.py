"""An account: who pays, with what, for which models."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from proxypal_core.providers.provider import Provider


class Secret:
    """Text that must not be printed: ``repr`` and ``str`` show that it exists, never what it is."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; call it where it is sent, and nowhere else."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


CredentialKind: TypeAlias = Literal["oauth", "token", "api_key"]
"""What an account shows its provider, in the order of preference: a login that renews itself, a
token that somebody pasted, a key that is paid by use."""

DISABLED_BY_SETTINGS = "by the settings"
DISABLED_IN_VAULT = "in the vault"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One credential at one provider. ``id`` is ``provider:name``; a higher ``priority`` is used
    first; ``max_concurrency`` 0 means no limit; ``models`` empty means any; ``prefix`` is a name of
    its own that clients can put before a model, as in ``team/gpt-5``; ``disabled`` says why its
    owner wants it left alone.
    """

    id: str
    provider: str
    kind: CredentialKind = "api_key"
    secret: Secret = Secret("")
    disabled: str = ""
    prefix: str = ""
    priority: int = 0
    weight: int = 1
    max_concurrency: int = 0
    proxy: str = ""
    models: Sequence[str] = ()
    excluded_models: Sequence[str] = ()
    headers: Mapping[str, str] = {}

    def serves(self, model: str) -> bool:
        """Whether *model*, the provider's own name, may be asked of this account; empty where a
        request is about no model.
        """
        if self.excluded_models and matches(model, self.excluded_models):
            return False
        return not self.models or not model or matches(model, self.models)


def matches(model: str, patterns: Iterable[str]) -> bool:
    """Whether *model* fits one of *patterns*, in which only ``*`` is special: ids hold brackets."""
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), model, re.DOTALL)
        for pattern in patterns
    )


def masked(account_id: str) -> str:
    """*account_id* as it may be shown to clients: of an e-mail, the first letter and the domain."""
    provider, _, name = account_id.partition(":")
    user, at, domain = name.partition("@")
    return f"{provider}:{user[:1]}***@{domain}" if at else account_id


def model_for(account: Account, providers: Mapping[str, Provider]) -> str:
    """The model to ask *account* for; empty when none is known that it serves."""
    provider = providers.get(account.provider)
    named = [name for name in account.models if "*" not in name]
    known = (*named, *(provider.models if provider else ()))
    return next((model for model in known if account.serves(model)), "")
