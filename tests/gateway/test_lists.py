"""Model lists in each dialect's shape, and the small routes that clients knock on first."""

import aiohttp
import pytest
from aiohttp_sse_client.client import EventSource
from anthropic.types import ModelInfo as AnthropicModel
from openai.types import Model as OpenAIModel

from proxypal_core.wire import jsonio
from tests.gateway.asking import ask
from tests.proxy import ADMIN_KEY, proxy


async def get(p, path, headers=None, method="GET"):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, p.url + path, headers=headers or {}) as answer,
    ):
        body = await answer.read()
        return answer.status, jsonio.loads(body) if body else None


CONFIG = """
accounts:
  - {id: "openai:a", api_key: k, models: [gpt-5]}
models:
  - {name: best, route: [openai/gpt-5, demo/echo]}
"""


@pytest.mark.parametrize(
    "path", ["/v1/models", "/models", "/openai/v1/models", "/v1/models?limit=1000"]
)
async def test_the_list_in_openai_shape(path):
    async with proxy(CONFIG) as p:
        status, doc = await get(p, path)

    ids = {OpenAIModel.model_validate(row, strict=True).id for row in doc["data"]}
    assert status == 200
    assert ids >= {"best", "demo", "openai/gpt-5", "demo/echo"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/models", {"anthropic-version": "2023-06-01"}), ("/anthropic/v1/models", {})],
)
async def test_the_list_in_anthropic_shape(path, headers):
    async with proxy(CONFIG) as p:
        _, doc = await get(p, path, headers)
        _, one = await get(p, "/anthropic/v1/models/openai/gpt-5")

    assert {AnthropicModel.model_validate(row).id for row in doc["data"]} >= {"best", "demo/echo"}
    assert doc["has_more"] is False
    assert AnthropicModel.model_validate(one).id == "openai/gpt-5"


@pytest.mark.parametrize("path", ["/v1beta/models", "/gemini/v1beta/models", "/gemini/models"])
async def test_the_list_in_gemini_shape(path):
    async with proxy(CONFIG) as p:
        _, doc = await get(p, path)
        _, one = await get(p, f"{path}/demo%2Fecho")

    names = {row["name"] for row in doc["models"]}
    assert all("generateContent" in row["supportedGenerationMethods"] for row in doc["models"])
    assert names >= {"models/best", "models/demo/echo"}
    assert one["name"] == "models/demo/echo"


async def test_an_unlisted_model_is_not_found():
    async with proxy() as p:
        status, doc = await get(p, "/v1/models/none")

    assert status == 404
    assert doc["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/health", "/healthz"])
async def test_anybody_may_ask_whether_it_lives(method, path):  # case 186
    async with proxy() as p:
        status, doc = await get(p, path, method=method)

    assert status == 200
    assert method == "HEAD" or doc["status"] == "ok"


@pytest.mark.parametrize("path", ["/", "/v1/messages", "/v1/models"])
async def test_what_a_path_takes_may_be_asked_without_a_key(path):  # case 186
    config = "client_keys:\n  - {name: laptop, key: a-long-enough-key-for-the-laptop}\n"
    async with (
        proxy(config) as p,
        aiohttp.ClientSession() as session,
        session.options(p.url + path) as answer,
    ):
        allowed = answer.headers["allow"].split(", ")
        shared = [name for name in answer.headers if name.lower().startswith("access-control")]

    assert answer.status == 204
    assert allowed in (["GET", "HEAD"], ["POST"], ["GET"])
    assert shared == []


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses", "/responses"])
async def test_a_websocket_is_refused_with_426(path):
    async with proxy() as p, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(p.url + path)

        assert refused.value.status == 426
        async with session.get(p.url + "/health") as answer:
            assert answer.status == 200


async def test_the_feed_is_followed_and_resumed():
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with proxy() as p:
        async with EventSource(f"{p.url}/api/events", headers=dict(admin)) as events:
            await ask(p, "openai-chat", "demo", text="one")
            first = await anext(events)
        await ask(p, "openai-chat", "demo", text="two")
        await ask(p, "anthropic", "demo", text="three")
        resumed = {**admin, "Last-Event-ID": first.last_event_id}
        async with EventSource(f"{p.url}/api/events", headers=resumed) as events:
            second, third = await anext(events), await anext(events)

    assert [first.type, second.type, third.type] == ["exchange"] * 3
    assert [jsonio.loads(event.data)["dialect"] for event in (first, second, third)] == [
        "openai-chat",
        "openai-chat",
        "anthropic",
    ]
    assert int(third.last_event_id) == int(first.last_event_id) + 2
