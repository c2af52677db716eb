"""What only one dialect has, on its way to another."""

import pytest

from proxypal_core.dialects import DIALECTS
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import Request, Text, Turn

FIELDS = [
    ("openai-chat", {"prediction": {"type": "content"}}, "prediction"),
    ("openai-chat", {"web_search_options": {"a": 1}}, "web_search_options"),
    ("anthropic", {"mcp_servers": [{"name": "m"}]}, "mcp_servers"),
    ("gemini", {"safetySettings": [{"threshold": "OFF"}]}, "safetySettings"),
    ("gemini", {"generationConfig": {"speechConfig": {"a": 1}}}, "speechConfig"),
]


def asked(client, fields):
    return Request(
        dialect=client,
        model="some-model",
        turns=(Turn("user", (Text("hi"),)),),
        extras={client: fields},
    )


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize(("client", "fields", "name"), FIELDS, ids=lambda value: str(value)[:20])
def test_what_the_answer_will_lack_is_named_everywhere_but_at_home(target, client, fields, name):
    encoded = DIALECTS[target].encode_request(asked(client, fields))

    assert (name in encoded.dropped) == (target != client)
    assert (name.encode() in encoded.body) == (target == client)


@pytest.mark.parametrize("target", ["openai-chat", "gemini"])
def test_state_of_another_provider_is_refused(target):
    request = asked("openai-responses", {"previous_response_id": "resp_1"})

    with pytest.raises(Refused) as refused:
        DIALECTS[target].encode_request(request)

    assert refused.value.failure.param == "previous_response_id"


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses"])
def test_state_of_gemini_is_refused(target):
    with pytest.raises(Refused) as refused:
        DIALECTS[target].encode_request(asked("gemini", {"cachedContent": "cachedContents/1"}))

    assert refused.value.failure.param == "cachedContent"
