"""The catalog is sound: every row can be reached, and no name means two providers."""

import pytest

from proxypal_core.providers import catalog
from proxypal_core.providers.provider import endpoint_url
from proxypal_core.routing import canonical

AZURE = {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/"}
ROWS = catalog.builtin(AZURE)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_has_addresses_that_make_urls(row):
    assert row.label
    assert row.endpoints
    for dialect, base in row.endpoints.items():
        url = endpoint_url(base, dialect, "generate", model="m")
        assert url.startswith("http://127.0.0.1:" if row.key_optional else "https://")
        assert "//" not in url.partition("://")[2]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_has_a_variable_for_its_key_or_wants_none(row):
    assert row.env or row.keyless
    assert len(set(row.models)) == len(row.models)
    assert all(canonical(model) == model for model in row.models if row.families)


def test_a_provider_is_found_by_any_of_its_names():
    assert catalog.find(ROWS, "kimi").name == "moonshot"
    assert catalog.find(ROWS, "google").name == "gemini"
    assert catalog.find(ROWS, "nobody") is None


def test_an_address_that_needs_a_variable_is_missing_without_it():
    assert ROWS["azure-openai"].endpoints["openai-chat"] == "https://res.openai.azure.com/openai/v1"
    assert catalog.builtin({})["azure-openai"].endpoints == {}
    assert catalog.variables("azure") == ("AZURE_OPENAI_ENDPOINT",)


@pytest.mark.parametrize(
    "text",
    [
        "providers: [{name: a}, {name: b, aliases: [a]}]",
        "providers: [{name: a, colour: red}]",
        "providers: [{name: a, auth: cookie}]",
    ],
)
def test_a_wrong_row_is_an_error(text):
    with pytest.raises(ValueError):
        catalog.parse(text)
