"""What a request cost follows from its tokens and the bundled prices, or is said to be unknown."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Record, prices
from proxypal_core.metering.prices import LongRates, Price, bundled, cost, cost_at, price_of
from proxypal_core.providers import catalog
from proxypal_core.upstream import demo
from proxypal_core.wire import jsonio
from scripts import renew_prices
from tests.strategies import usages

every_price = pytest.mark.parametrize("name", bundled().models)
amounts = st.integers(0, 400).map(lambda cents: cents / 8)
flat = st.builds(
    Price, input=amounts, output=amounts, cache_read=st.none() | amounts, cache_write=amounts
)


def record(provider="anthropic", model="claude-haiku-4-5", **fields):
    given_fields = {"outcome": "served", "usage": Usage(1_000_000), "path": "/v1/messages"} | fields
    who = {"served_by": provider and f"{provider}:a", "provider": provider, "served_model": model}
    return Record(id="1", at=0.0, dialect="anthropic", **who, **given_fields)


def together(one, other):
    return Usage(*(getattr(one, name) + getattr(other, name) for name in one.__struct_fields__))


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(flat, usages(), usages())
def test_without_tiers_two_requests_cost_what_they_cost_together(price, one, other):
    apart = cost_at(price, one) + cost_at(price, other)

    assert cost_at(price, together(one, other)) == pytest.approx(apart)


@given(flat, usages())
def test_where_caching_costs_as_much_as_input_it_changes_nothing(price, usage):
    plain = Price(input=price.input, output=price.output)
    uncached = Usage(usage.input_total, output_total=usage.output_total)

    assert cost_at(plain, usage) == pytest.approx(cost_at(plain, uncached))


@given(flat, usages(), st.integers(0, 20_000))
def test_above_its_bound_every_token_of_a_prompt_costs_more(price, usage, above):
    long = LongRates(above=above, input=100.0, output=100.0, cache_read=100.0, cache_write=100.0)
    tiered = Price(input=price.input, output=price.output, cache_write=price.cache_write, long=long)
    short = Price(input=price.input, output=price.output, cache_write=price.cache_write)

    expected = Price(input=100.0, output=100.0) if usage.input_total > above else short
    assert cost_at(tiered, usage) == pytest.approx(cost_at(expected, usage))


# ── examples, reckoned by hand ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("claude-haiku-4-5", Usage(1_000_000), 1.0),
        ("claude-haiku-4-5", Usage(1_000_000, input_cached=1_000_000), 0.1),
        ("claude-haiku-4-5", Usage(1_000_000, input_cache_write=1_000_000), 1.25),
        ("claude-haiku-4-5", Usage(0, output_total=1_000_000, output_reasoning=900_000), 5.0),
        # 50,000 new, 140,000 read, 10,000 written, 2,000 told: the bound of the long tier itself.
        ("claude-sonnet-4-5", Usage(200_000, 140_000, 10_000, 2_000), 0.15 + 0.042 + 0.0375 + 0.03),
        # One token more, and all of them are of the long tier.
        (
            "claude-sonnet-4-5",
            Usage(200_001, 140_000, 10_001, 2_000),
            0.30 + 0.084 + 0.0750075 + 0.045,
        ),
    ],
)
def test_a_request_costs_what_its_vendor_lists(model, usage, dollars):
    assert cost(record(model=model, usage=usage)) == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("provider", "model", "listed"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-5[1m]", "anthropic/claude-sonnet-4-5"),
        ("openai", "gpt-5-2025-08-07", "openai/gpt-5"),
        ("openai-codex", "gpt-5.3-codex", "openai/gpt-5.3-codex"),
        ("azure-openai", "gpt-4o", "openai/gpt-4o"),
        ("vertex", "gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("claude-cli", "claude-opus-5", "anthropic/claude-opus-5"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ("openrouter", "x-ai/grok-4.5", "xai/grok-4.5"),
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        ("minimax", "minimax-m3", "minimax/MiniMax-M3"),
    ],
)
def test_a_model_is_known_by_the_names_it_goes_by(provider, model, listed):
    assert price_of(provider, model) == bundled().models[listed]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-haiku"),
        ("somebody", "gpt-5"),
        ("anthropic", "openai/gpt-5"),
        ("github-models", "openai/gpt-5"),
        ("", "gpt-5"),
    ],
)
def test_a_price_is_not_guessed(provider, model):
    assert price_of(provider, model) is None
    assert cost(record(provider or "p", model)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": demo.PROVIDER.name, "model": "echo"},
        {"provider": "ollama", "model": "anything"},
        {"provider": "", "usage": Usage(), "outcome": "model"},
        {"usage": Usage(), "outcome": "rate_limit"},
        {"usage": Usage(), "path": "/v1/messages/count_tokens"},
        {"usage": Usage(), "path": "/v1beta/models/m:countTokens"},
    ],
)
def test_what_takes_no_paid_token_costs_nothing(fields):
    assert cost(record(**fields)) == 0.0


def test_an_answer_whose_provider_says_nothing_of_tokens_has_no_price():
    assert cost(record(usage=Usage())) is None


# ── the list ─────────────────────────────────────────────────────────────────────────────────


@every_price
def test_a_price_is_what_a_price_can_be(name):
    price = bundled().models[name]
    all_rates = [price, *filter(None, [price.long])]

    for rates in all_rates:
        assert 0 < rates.input < 1000
        assert 0 <= rates.output < 1000
        assert rates.cache_read is None or 0 < rates.cache_read <= rates.input
        assert rates.cache_write is None or 0 < rates.cache_write <= 2 * rates.input
    assert price.long is None or price.long.above >= 100_000


def test_the_list_says_of_when_and_from_where_it_is():
    table = bundled()
    vendors = {name.partition("/")[0] for name in table.models}

    assert date.fromisoformat(table.as_of) >= date(2026, 11, 1)
    assert vendors == set(table.sources)
    assert all(source.startswith("https://") for source in table.sources.values())
    assert "MIT" in table.licence


def test_whom_the_list_names_the_catalog_knows():
    table, known = bundled(), {*catalog.builtin({}), demo.PROVIDER.name}
    named = {*table.sources, *table.same_as.values(), *table.resellers, *table.free}

    assert named <= known


def test_most_models_of_the_catalog_have_a_price():
    models = [(one.name, model) for one in catalog.builtin({}).values() for model in one.models]
    priced = [price_of(*model) is not None for model in models]

    assert sum(priced) > 0.8 * len(models)


def test_two_names_of_the_list_are_two_models():
    plain = [prices._plain(name) for name in bundled().models]

    assert len(set(plain)) == len(plain)


def test_the_file_is_as_the_script_that_renews_it_writes_it():
    text = renew_prices.PATH.read_text("utf-8")

    assert renew_prices.rendered(jsonio.load_object(text.encode())) == text
