"""The catalog is sound: every row can be reached, and no name means two providers."""

import pytest

from proxypal_core.providers import catalog
from proxypal_core.providers.provider import OAuth, endpoint_url
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
    assert [bool(row.env), row.keyless, row.login_only].count(True) == 1
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


def test_a_login_is_offered_over_tls_and_only_with_what_it_needs():
    for row in ROWS.values():
        if row.oauth is not None:
            assert row.oauth.token_url.startswith("https://")
            assert row.oauth.authorize_url.startswith("https://") or row.oauth.device_url
            assert row.oauth.client_id or row.oauth.gives == "key"


def test_no_row_has_the_client_of_a_vendors_own_program():
    assert {name for name, row in ROWS.items() if row.oauth} == {"openrouter"}


def test_a_clients_secret_is_not_shown():
    assert "hush" not in repr(OAuth(client_id="me", client_secret="hush", token_url="https://x"))
