"""A row of the list is made of what the package of prices says, in the package's own form."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import msgspec

from proxypal_core.metering.prices import Price
from scripts.renew_prices import current

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def package(**prices):
    """A package that knows one model, ``m`` of Google."""
    found = SimpleNamespace(get_prices=lambda moment: SimpleNamespace(**prices))
    vendor = SimpleNamespace(find_model=lambda name: found if name == "m" else None)
    return {"google": vendor}


def tiered(base, start, price):
    tier = SimpleNamespace(start=start, price=Decimal(price))
    return SimpleNamespace(base=Decimal(base), tiers=[tier])


def test_what_is_not_priced_apart_is_left_out():
    vendors = package(input_mtok=Decimal(2), output_mtok=Decimal("12.5"), cache_read_mtok=None)

    assert current(vendors, "gemini/m", NOW) == {"input": 2, "output": 12.5}


def test_a_long_prompt_has_every_price_of_its_tier():
    vendors = package(
        input_mtok=tiered("2", 200_000, "4"),
        output_mtok=tiered("12", 200_000, "18"),
        cache_read_mtok=Decimal("0.2"),
    )
    row = current(vendors, "gemini/m", NOW)

    assert row == {
        "input": 2,
        "output": 12,
        "cache_read": 0.2,
        "long": {"above": 200_000, "input": 4, "output": 18, "cache_read": 0.2},
    }
    assert msgspec.convert(row, Price).rates(200_001).input == 4


def test_a_model_that_the_package_does_not_know_is_not_renewed():
    assert current(package(), "gemini/other", NOW) is None
    assert current(package(), "somebody/m", NOW) is None
