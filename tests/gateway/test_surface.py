"""Which path is which dialect's which operation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway import surface
from proxypal_core.gateway.surface import Access, Operation, match

G = Operation.GENERATE


@pytest.mark.parametrize(
    ("path", "dialect", "prefix"),
    [
        ("/v1/chat/completions", "openai-chat", ""),
        ("/chat/completions", "openai-chat", ""),
        ("/openai/chat/completions", "openai-chat", "openai"),
        ("/openai/v1/chat/completions", "openai-chat", "openai"),
        ("/v1/v1/chat/completions", "openai-chat", ""),
        ("/v1/chat/completions/", "openai-chat", ""),
        ("/openrouter/v1/chat/completions", "openai-chat", "openrouter"),
        ("/v1/responses", "openai-responses", ""),
        ("/responses", "openai-responses", ""),
        ("/openai/responses", "openai-responses", "openai"),
        ("/codex/responses", "openai-responses", "codex"),
        ("/azure/responses", "openai-responses", "azure"),
        ("/v1/messages", "anthropic", ""),
        ("/messages", "anthropic", ""),
        ("/anthropic/v1/messages", "anthropic", "anthropic"),
        ("/anthropic/messages", "anthropic", "anthropic"),
        ("/anthropic/v1/v1/messages", "anthropic", "anthropic"),
    ],
)
def test_the_path_tells_the_dialect(path, dialect, prefix):  # case 188
    found = match("POST", path)

    assert (found.route.operation, found.route.dialect, found.prefix) == (G, dialect, prefix)
    assert found.route.access is Access.CLIENT


@pytest.mark.parametrize(
    "base", ["", "/v1", "/v1beta", "/gemini", "/gemini/v1", "/gemini/v1beta", "/v1/v1beta"]
)
@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("gemini%2Fgemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("openrouter/x/y:free", "openrouter/x/y:free"),
    ],
)
def test_gemini_says_the_model_in_the_path(base, written, model):  # case 188
    found = match("POST", f"{base}/models/{written}:streamGenerateContent")

    assert found.route.operation is G
    assert found.route.dialect == "gemini"
    assert found.model == model
    assert found.method == "streamGenerateContent"


def test_vertex_has_its_own_form():
    found = match("POST", "/vertex/v1/publishers/google/models/gemini-2.5-pro:generateContent")

    assert (found.route.dialect, found.prefix, found.model) == (
        "gemini",
        "vertex",
        "gemini-2.5-pro",
    )


@pytest.mark.parametrize(
    ("method", "path", "operation", "upstream", "suffix"),
    [
        ("POST", "/v1/completions", Operation.COMPLETIONS, "generate", ""),
        ("POST", "/v1/messages/count_tokens", Operation.COUNT_TOKENS, "count_tokens", ""),
        ("POST", "/anthropic/v1/messages/count_tokens", Operation.COUNT_TOKENS, "count_tokens", ""),
        ("POST", "/v1beta/models/g:countTokens", Operation.COUNT_TOKENS, "count_tokens", ""),
        ("POST", "/v1/responses/input_tokens", Operation.COUNT_TOKENS, "input_tokens", ""),
        ("POST", "/v1/responses/compact", Operation.PASS, "compact", ""),
        ("GET", "/v1/responses/resp_1", Operation.PASS, "passthrough", "responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1", Operation.PASS, "passthrough", "responses/resp_1"),
        ("POST", "/v1/responses/r/cancel", Operation.PASS, "passthrough", "responses/r/cancel"),
        ("POST", "/v1/embeddings", Operation.PASS, "passthrough", "embeddings"),
        ("POST", "/openai/v1/embeddings", Operation.PASS, "passthrough", "embeddings"),
        ("POST", "/v1/images/edits", Operation.PASS, "passthrough", "images/edits"),
        ("POST", "/v1/audio/speech", Operation.PASS, "passthrough", "audio/speech"),
        ("POST", "/v1/moderations", Operation.PASS, "passthrough", "moderations"),
        ("POST", "/v1/rerank", Operation.PASS, "passthrough", "rerank"),
        ("GET", "/v1/files", Operation.PASS, "passthrough", "files"),
        ("GET", "/v1/files/f1/content", Operation.PASS, "passthrough", "files/f1/content"),
        ("POST", "/v1/batches/b1/cancel", Operation.PASS, "passthrough", "batches/b1/cancel"),
        ("POST", "/v1beta/models/e:embedContent", Operation.PASS, "embed", ""),
        ("POST", "/v1beta/models/e:batchEmbedContents", Operation.PASS, "batch_embed", ""),
        ("GET", "/v1/responses", Operation.REALTIME, "passthrough", ""),
        ("GET", "/v1/models", Operation.MODELS, "passthrough", ""),
        ("GET", "/models", Operation.MODELS, "passthrough", ""),
        ("GET", "/v1/models/openai/gpt-5", Operation.MODEL, "passthrough", ""),
        ("HEAD", "/", Operation.ROOT, "passthrough", ""),
        ("GET", "/healthz", Operation.HEALTH, "passthrough", ""),
    ],
)
def test_every_other_operation(method, path, operation, upstream, suffix):
    found = match(method, path)

    assert (found.route.operation, found.route.upstream, found.suffix) == (
        operation,
        upstream,
        suffix,
    )


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/models", "openai-chat"),
        ("/openai/v1/models", "openai-chat"),
        ("/anthropic/v1/models", "anthropic"),
        ("/v1beta/models", "gemini"),
        ("/gemini/v1beta/models", "gemini"),
        ("/gemini/models", "gemini"),
    ],
)
def test_a_model_list_is_in_the_words_of_its_path(path, dialect):
    assert match("GET", path).route.dialect == dialect


@pytest.mark.parametrize(
    ("method", "path", "dialect", "allowed"),
    [
        ("GET", "/v1/chat/completions", "openai-chat", ("POST",)),
        ("PUT", "/v1/messages", "anthropic", ("POST",)),
        ("DELETE", "/v1beta/models/g:generateContent", "gemini", ("POST",)),
        ("POST", "/health", "openai-chat", ("GET", "HEAD")),
    ],
)
def test_a_wrong_method_says_which_is_right(method, path, dialect, allowed):
    with pytest.raises(surface.WrongMethod) as wrong:
        match(method, path)

    assert wrong.value.allowed[: len(allowed)] == allowed
    assert wrong.value.dialect == dialect


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/nowhere", "openai-chat"),
        ("/v2/chat/completions", "openai-chat"),
        ("/anthropic/v1/nothing", "anthropic"),
        ("/gemini/v1beta/nothing", "gemini"),
        ("/v1beta/nothing", "gemini"),
        ("//v1/messages", "anthropic"),
        ("/v1/../v1/nothing", "openai-chat"),
        ("/ollama/api/chat", "openai-chat"),
    ],
)
def test_an_unknown_path_is_refused_in_fitting_words(path, dialect):
    with pytest.raises(surface.NotFound) as missing:
        match("POST", path)

    assert missing.value.dialect == dialect


@given(st.sampled_from(["GET", "POST"]), st.text(max_size=60))
def test_any_path_has_a_route_or_none(method, path):
    try:
        found = match(method, path)
    except surface.NotFound:
        return

    assert method in found.route.methods


def test_what_is_open_is_named():
    open_ = {row.operation for row in surface.ROUTES if row.access is Access.OPEN}

    assert open_ == {Operation.HEALTH, Operation.ROOT, Operation.DASHBOARD}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/state", "/api/unknown/x", "/metrics"])
def test_the_management_api_is_its_owners_alone(method, path):
    assert match(method, path).route.access is Access.ADMIN


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/v1/models"])
def test_nothing_below_the_dashboard_is_a_providers_path(path):
    assert match("GET", path).route.operation is Operation.DASHBOARD


def test_nothing_can_be_asked_below_the_dashboard():
    with pytest.raises(surface.WrongMethod):
        match("POST", "/dashboard/v1/messages")
