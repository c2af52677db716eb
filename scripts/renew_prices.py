"""Renew ``proxypal_core/metering/prices.json`` from the ``genai-prices`` package (MIT).

    pip install --upgrade genai-prices
    python -m scripts.renew_prices           # what would change
    python -m scripts.renew_prices --write   # change it

Only models that the list has are looked up; to add one, write its row with any numbers and run
this. What the package does not know stays as it is and is named. Compare what changes with the
vendors' own pages, which ``sources`` names: the package is made by hand, as the list is.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from proxypal_core.wire import jsonio

PATH = Path(__file__).parent.parent / "proxypal_core" / "metering" / "prices.json"
PROVIDERS = {"gemini": "google", "moonshot": "moonshotai", "xai": "x-ai"}
"""Names of the package that differ from ours."""
KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}
NOON = time(12, tzinfo=UTC)
"""DeepSeek asks twice as much in some hours of the day; at noon it does not."""


@click.command()
@click.option("--write", is_flag=True, help="Change the file.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Prices of that day.")
def main(write: bool, day: datetime | None) -> None:  # noqa: FBT001 — click passes flags by name
    """Say how the bundled prices differ from the package's, and renew them."""
    vendors = {one.id: one for one in import_module("genai_prices.data").providers}
    moment = datetime.combine(day or datetime.now(UTC), NOON)  # noqa: TID251 — run by hand
    document = jsonio.load_object(PATH.read_bytes())
    for name, old in document["models"].items():
        new = current(vendors, name, moment)
        if new is None:
            click.echo(f"? {name}: not in the package")
        elif new != old:
            click.echo(f"! {name}: {jsonio.dumps_text(old)} -> {jsonio.dumps_text(new)}")
            document["models"][name] = new
    if write:
        PATH.write_text(rendered({**document, "as_of": f"{moment:%Y-%m-%d}"}), "utf-8")


def current(vendors: Mapping[str, Any], name: str, moment: datetime) -> dict[str, Any] | None:
    """The row of *name*, which is ``provider/model``; None when the package does not know it."""
    provider, _, model = name.partition("/")
    vendor = vendors.get(PROVIDERS.get(provider, provider))
    found = vendor.find_model(model) if vendor else None
    if found is None:
        return None
    prices = found.get_prices(moment)
    given = {ours: getattr(prices, theirs, None) for ours, theirs in KINDS.items()}
    tiers = {kind: price for kind, price in given.items() if hasattr(price, "tiers")}
    row: dict[str, Any] = {
        kind: number(getattr(price, "base", price)) for kind, price in given.items() if price
    }
    if tiers:
        above = {tier.start for price in tiers.values() for tier in price.tiers}
        row["long"] = {
            "above": max(above),
            **{
                kind: number(tiers[kind].tiers[-1].price if kind in tiers else given[kind])
                for kind in row
            },
        }
    return row


def number(value: Any) -> float:
    """*value* without a fraction where it has none."""
    return int(value) if value == int(value) else float(value)


def rendered(document: Mapping[str, Any]) -> str:
    """*document* with a line for each model, so that a renewal is easy to review."""
    return "\n".join(["{", ",\n".join(_members(document)), "}", ""])


def _members(document: Mapping[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            rows = ",\n".join(
                f"    {jsonio.dumps_text(key)}: {jsonio.dumps_text(row)}"
                for key, row in value.items()
            )
            yield f"  {jsonio.dumps_text(name)}: {{\n{rows}\n  }}"
        else:
            yield f"  {jsonio.dumps_text(name)}: {jsonio.dumps_text(value)}"


if __name__ == "__main__":
    main()
