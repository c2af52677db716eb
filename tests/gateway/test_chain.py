"""Every client through every dialect to the demo and back: one proxy is the other's provider."""

import openai
import pytest

from tests.gateway.asking import DIALECTS
from tests.gateway.test_sdks import ASKING, TOOL, both_ways, openai_client
from tests.proxy import proxy


def through(p, dialect):
    """Settings whose only provider is the proxy *p*, spoken to in *dialect*."""
    base = f"{p.url}/v1" if dialect.startswith("openai") else p.url
    return f"""
providers: [{{name: up, dialect: {dialect}, base_url: "{base}", auth: none}}]
models:
  - {{name: echo, route: [up/demo/echo]}}
  - {{name: tool, route: [up/demo/tool]}}
  - {{name: think, route: [up/demo/think]}}
"""


@both_ways
@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize("client", ASKING)
@pytest.mark.parametrize("model", ["echo", "tool", "think"])
async def test_it_answers_as_if_there_were_nothing_between(client, provider, model, stream):
    async with proxy() as far, proxy(through(far, provider)) as near:
        text, calls = await ASKING[client](near, model, stream=stream, tools=True)

    assert calls == (["get_weather"] if model == "tool" else [])
    assert text == ("" if calls else "Hello there")


@pytest.mark.parametrize("provider", DIALECTS)
async def test_a_tool_is_called_and_its_result_understood(provider):
    tools = [{"type": "function", "function": {"name": "get.weather/v2", "parameters": TOOL}}]
    messages = [{"role": "user", "content": "How is it?"}]
    async with (
        proxy() as far,
        proxy(through(far, provider)) as near,
        openai_client(near) as client,
    ):
        first = await client.chat.completions.create(model="tool", messages=messages, tools=tools)
        said = first.choices[0].message
        [call] = said.tool_calls
        messages += [
            said.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "17 degrees"},
        ]
        second = await client.chat.completions.create(model="tool", messages=messages, tools=tools)

    assert call.function.name == "get.weather/v2"
    assert second.choices[0].message.content == "The tool answered: 17 degrees"
    assert second.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("provider", DIALECTS)
async def test_a_failure_comes_through_two_proxies(provider):
    config = "models: [{name: busy, route: [up/demo/fail-529]}]"
    messages = [{"role": "user", "content": "Hi"}]
    async with (
        proxy() as far,
        proxy(through(far, provider).split("models:")[0] + config) as near,
        openai_client(near) as client,
    ):
        with pytest.raises(openai.InternalServerError, match="overloaded, as asked"):
            await client.chat.completions.create(model="busy", messages=messages)
