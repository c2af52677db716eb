"""Where an operation is asked for, and how the key travels there."""

from urllib.parse import unquote, urlsplit

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Refused
from proxypal_core.providers.provider import Provider, credential_headers, endpoint_url

HOST = "https://api.example.com"
segments = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: "/" not in text and "\\" not in text and text not in (".", "..")
)
models = st.lists(segments, min_size=1, max_size=3).map("/".join)


@given(models.filter(lambda model: not model.startswith("models/")))
def test_whatever_a_model_is_called_it_stays_inside_the_path(model):
    url = endpoint_url(HOST, "gemini", "generate", model=model, stream=True)

    parts = urlsplit(url)
    assert unquote(parts.path) == f"/v1beta/models/{model}:streamGenerateContent"
    assert parts.query == "alt=sse"
    assert yarl.URL(url).path.startswith("/v1beta/models/")


@pytest.mark.parametrize("model", ["..", "../../v1/files", "a/../b", "a/./b", "..\\x"])
def test_a_model_cannot_leave_its_folder(model):
    with pytest.raises(Refused, match="model"):
        endpoint_url(HOST, "gemini", "generate", model=model)


@pytest.mark.parametrize("path", ["../admin", "files/%2e%2e/%2e%2e/x", "a/%2E%2e%2fx"])
def test_a_passed_through_path_cannot_leave_its_folder(path):
    with pytest.raises(Refused, match="path"):
        endpoint_url(f"{HOST}/v1", "openai-chat", "passthrough", path=path)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("base", "dialect", "operation", "path"),
    [
        ("", "anthropic", "generate", "/v1/messages"),
        ("/v1", "anthropic", "generate", "/v1/messages"),
        ("/v1/v1", "anthropic", "generate", "/v1/messages"),
        ("/anthropic", "anthropic", "count_tokens", "/anthropic/v1/messages/count_tokens"),
        ("/v1", "openai-chat", "generate", "/v1/chat/completions"),
        ("/api/paas/v4", "openai-chat", "generate", "/api/paas/v4/chat/completions"),
        ("/v1", "openai-responses", "generate", "/v1/responses"),
        ("/v1", "openai-responses", "compact", "/v1/responses/compact"),
        ("/v1", "openai-responses", "input_tokens", "/v1/responses/input_tokens"),
        ("", "gemini", "generate", "/v1beta/models/m:generateContent"),
        ("/v1", "gemini", "count_tokens", "/v1/models/m:countTokens"),
        ("/v1alpha", "gemini", "embed", "/v1alpha/models/m:embedContent"),
        ("/gemini", "gemini", "batch_embed", "/gemini/v1beta/models/m:batchEmbedContents"),
        (
            "/v1/publishers/google",
            "gemini",
            "generate",
            "/v1/publishers/google/models/m:generateContent",
        ),
    ],
)
def test_the_base_is_what_the_vendor_s_sdk_takes(base, slash, dialect, operation, path):
    assert endpoint_url(HOST + base + slash, dialect, operation, model="m") == HOST + path


def test_a_passed_through_path_goes_where_the_dialect_keeps_its_operations():
    assert (
        endpoint_url(f"{HOST}/v1", "openai-chat", "passthrough", path="embeddings")
        == f"{HOST}/v1/embeddings"
    )
    assert (
        endpoint_url(HOST, "anthropic", "passthrough", path="/files/a%20b")
        == f"{HOST}/v1/files/a%20b"
    )


def test_slashes_and_colons_of_an_id_stay_and_the_rest_is_escaped():
    url = endpoint_url(HOST, "gemini", "generate", model="models/x/y:free?k=1#z%")

    assert url == f"{HOST}/v1beta/models/x/y:free%3Fk%3D1%23z%25:generateContent"


def test_a_query_in_the_base_is_kept():
    base = f"{HOST}/openai/v1?api-version=preview"

    assert (
        endpoint_url(base, "openai-responses", "generate")
        == f"{HOST}/openai/v1/responses?api-version=preview"
    )


def test_an_operation_the_dialect_lacks_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        endpoint_url(HOST, "openai-chat", "count_tokens")


@pytest.mark.parametrize(
    ("dialect", "headers"),
    [
        ("anthropic", {"x-api-key": "k"}),
        ("gemini", {"x-goog-api-key": "k"}),
        ("openai-chat", {"authorization": "Bearer k"}),
        ("openai-responses", {"authorization": "Bearer k"}),
    ],
)
def test_a_key_travels_as_the_dialect_does_it(dialect, headers):
    assert credential_headers(Provider(name="p").auth_in(dialect), "k") == headers


def test_a_provider_may_have_its_own_way_or_want_no_key():
    assert credential_headers(Provider(name="p", auth="api-key").auth_in("openai-chat"), "k") == {
        "api-key": "k"
    }
    assert credential_headers(Provider(name="p", auth="none").auth_in("anthropic"), "k") == {}
    assert credential_headers("bearer", "") == {}


@pytest.mark.parametrize("kind", ["oauth", "token"])
@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openai-chat", "openai-responses"])
def test_tokens_travel_as_bearers_whatever_the_dialect(kind, dialect):
    auth = Provider(name="p", auth="x-api-key").auth_in(dialect, kind)

    assert credential_headers(auth, "t") == {"authorization": "Bearer t"}
