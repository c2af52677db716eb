"""What tokens cost: the vendors' list prices as of a date, bundled with the program.

``prices.json`` beside this module says where each price comes from; ``scripts/renew_prices.py``
renews it. Cached reads and writes have their own prices, and some vendors ask more for every token
of a long prompt. Batch, priority and regional prices are not known here.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Record, is_failure, used

_MILLION = 1_000_000


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a million tokens. What is None costs as much as other input."""

    input: float
    output: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None


class LongRates(Rates, frozen=True, kw_only=True):
    """The rates of every token of a request whose prompt has more than ``above`` tokens."""

    above: int


class Price(Rates, frozen=True, kw_only=True):
    long: LongRates | None = None

    def rates(self, prompt: int) -> Rates:
        """The rates of a request whose prompt has *prompt* tokens, cached ones included."""
        return self.long if self.long is not None and prompt > self.long.above else self


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``models`` by ``provider/model``; ``same_as`` says whose prices hold for another provider,
    ``resellers`` whose models are called ``vendor/model``, ``free`` where tokens cost nothing.
    """

    as_of: str
    unit: str
    licence: str
    sources: Mapping[str, str]
    same_as: Mapping[str, str]
    resellers: tuple[str, ...]
    free: tuple[str, ...]
    models: Mapping[str, Price]


@cache
def bundled() -> PriceList:
    """The prices that come with the program."""
    text = files("proxypal_core.metering").joinpath("prices.json").read_bytes()
    return msgspec.json.decode(text, type=PriceList)


def cost(record: Record) -> float | None:
    """What *record* cost in US dollars at the vendors' list prices; None when that is not known.

    For an account with a plan it is what the same tokens would have cost without one.
    """
    if not record.usage.total:
        return 0.0 if not record.served_by or _is_free_of_tokens(record) else None
    price = price_of(record.provider, record.served_model)
    return None if price is None else cost_at(price, record.usage)


def cost_at(price: Price, usage: Usage) -> float:
    """What *usage* costs in US dollars."""
    rates = price.rates(usage.input_total)
    fresh, output, cached, written, _ = used(usage)
    read = rates.input if rates.cache_read is None else rates.cache_read
    write = rates.input if rates.cache_write is None else rates.cache_write
    total = fresh * rates.input + cached * read + written * write + output * rates.output
    return total / _MILLION


@lru_cache(maxsize=1024)
def price_of(provider: str, model: str) -> Price | None:
    """What *model* costs at *provider*."""
    if provider in bundled().free:
        return Price(input=0.0)
    return next((_by_name()[name] for name in _names(provider, model) if name in _by_name()), None)


_COUNTING = ("/count_tokens", ":countTokens", "/input_tokens")
"""How the paths end on which tokens are only counted, which costs nothing anywhere."""


def _is_free_of_tokens(record: Record) -> bool:
    """Whether a request that reports no tokens used none, rather than saying nothing of them."""
    return record.path.endswith(_COUNTING) or is_failure(record.outcome)


def _names(provider: str, model: str) -> Iterator[str]:
    """How *model* of *provider* may be called in the list, the surest first."""
    table = bundled()
    yield _plain(f"{table.same_as.get(provider, provider)}/{model}")
    vendor, slash, bare = model.partition("/")
    if slash and provider in table.resellers:
        yield _plain(f"{table.same_as.get(vendor, vendor)}/{bare}")


@cache
def _by_name() -> Mapping[str, Price]:
    return {_plain(name): price for name, price in bundled().models.items()}


_SNAPSHOT = re.compile(r"-20\d\d-?\d\d-?\d\d$")


def _plain(name: str) -> str:
    """*name* without what does not change the price: the snapshot's date, case, and the dot that
    vendors write where others write a dash.
    """
    return _SNAPSHOT.sub("", name.lower().removesuffix("[1m]")).replace(".", "-")
