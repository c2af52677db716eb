"""A client continues a conversation by naming an answer, whoever gave it and whoever keeps it."""

from contextlib import asynccontextmanager

import openai
import pytest

from proxypal_core.gateway.responses import _streamed
from proxypal_core.wire import jsonio
from tests.fault_server import SCENARIOS, Answer, Raw, Scenario
from tests.fault_server.transcripts import openai_responses as spelling
from tests.gateway.asking import upstream
from tests.gateway.test_bad_input import send
from tests.proxy import proxy

NATIVE = "openai-responses"
FOREIGN = ("anthropic", "openai-chat", "gemini")
TEXT = "".join(SCENARIOS["text"].text)
TWO = ("k1", "k2")
JSON = {"content-type": "application/json"}

streamed_or_whole = pytest.mark.parametrize("stream", [True, False])


def client_of(p, key="any"):
    return openai.AsyncOpenAI(base_url=f"{p.url}/v1", api_key=key, max_retries=0)


@asynccontextmanager
async def talking(config="", **options):
    async with proxy(config, **options) as p, client_of(p) as client:
        yield client


async def ask(client, text, model="m-1", *, stream=False, **fields):
    if not stream:
        return await client.responses.create(model=model, input=text, **fields)
    async with client.responses.stream(model=model, input=text, **fields) as events:
        return await events.get_final_response()


async def refusal(awaitable):
    with pytest.raises(openai.APIStatusError) as caught:
        await awaitable
    error = caught.value.body
    return caught.value.status_code, error["code"], error["param"]


def said_in(messages):
    """Who said what in a body of Anthropic's."""
    return [
        (turn["role"], turn["content"] if isinstance(turn["content"], str) else part["text"])
        for turn in messages
        for part in (turn["content"] if isinstance(turn["content"], list) else [{}])
    ]


# ── where an answer stands ───────────────────────────────────────────────────────────────────

QUEUED, CREATED, COMPLETED = (
    jsonio.dumps({"type": f"response.{kind}", "response": {"id": kind, "of": {"response": 1}}})
    for kind in ("queued", "created", "completed")
)
DELTA = b'{"type":"response.output_text.delta","delta":"a \\"response\\""}'


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("events", "native", "found"),
    [
        ([CREATED, QUEUED, DELTA, COMPLETED], True, ["created", "completed"]),
        ([CREATED, QUEUED, DELTA, COMPLETED], False, ["completed"]),
        ([CREATED, QUEUED, DELTA], True, ["created"]),
        ([CREATED], True, ["created"]),
        ([DELTA, COMPLETED], True, ["completed"]),
        ([QUEUED, DELTA], True, []),
        ([DELTA, DELTA], True, []),
    ],
)
def test_answers_are_found_at_either_end_of_what_is_sent(events, native, found, end):
    data = b"".join(b"event: x" + end + b"data: " + event + 2 * end for event in events)

    assert [answer["id"] for answer in _streamed(data, native=native)] == found


# ── kept here ────────────────────────────────────────────────────────────────────────────────


@streamed_or_whole
async def test_the_demo_goes_on_from_its_answer(stream):
    async with talking() as client:
        first = await ask(client, "One", "demo", stream=stream)
        second = await ask(client, "Two", "demo", stream=stream, previous_response_id=first.id)
        listed = await client.responses.input_items.list(second.id, order="asc")

    assert second.id != first.id
    assert second.previous_response_id == first.id
    assert [item.content[0].text for item in listed.data] == ["One", first.output_text, "Two"]
    assert [item.role for item in listed.data] == ["user", "assistant", "user"]


@streamed_or_whole
async def test_another_dialects_provider_is_sent_the_whole_conversation(fault_server, stream):
    """Case 179."""
    async with talking(upstream(fault_server, "anthropic")) as client:
        first = await ask(client, "One", stream=stream, instructions="Be brief.")
        second = await ask(client, "Two", stream=stream, previous_response_id=first.id)
        third = await ask(client, "Three", stream=stream, previous_response_id=second.id)

    requests = [request.json for request in fault_server.requests]
    assert said_in(requests[2]["messages"]) == [
        ("user", "One"),
        ("assistant", TEXT),
        ("user", "Two"),
        ("assistant", TEXT),
        ("user", "Three"),
    ]
    assert "Be brief." in str(requests[0]["system"])
    assert "Be brief." not in str(requests[1:])
    assert "previous_response_id" not in str(requests)
    assert (first.previous_response_id, second.previous_response_id) == (None, first.id)
    assert third.output_text == TEXT
    assert third.store is True


@pytest.mark.parametrize("dialect", FOREIGN)
@streamed_or_whole
async def test_a_tools_result_finds_its_call(fault_server, dialect, stream):
    fault_server.script(Answer("tool"))
    tools = [
        {
            "type": "function",
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]
    async with talking(upstream(fault_server, dialect)) as client:
        first = await ask(client, "How is it?", stream=stream, tools=tools)
        call = next(item for item in first.output if item.type == "function_call")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "SUNNY-17"}
        second = await ask(
            client, [result], stream=stream, tools=tools, previous_response_id=first.id
        )

    [_, request] = fault_server.requests
    assert request.body.index(b"How is it?") < request.body.index(b"SUNNY-17")
    assert b"get_weather" in request.body[: request.body.index(b"SUNNY-17")]
    assert second.output_text == TEXT


async def test_a_kept_answer_can_be_had_again_and_deleted(fault_server):
    async with talking(upstream(fault_server, "anthropic")) as client:
        answer = await ask(client, "One")
        again = await client.responses.retrieve(answer.id)
        await client.responses.delete(answer.id)
        gone = await refusal(client.responses.retrieve(answer.id))
        no_more = await refusal(ask(client, "Two", previous_response_id=answer.id))

    assert again == answer
    assert gone[0] == 404
    assert no_more == (400, "previous_response_not_found", "previous_response_id")
    assert len(fault_server.requests) == 1


async def test_what_a_deletion_says():
    async with proxy() as p, client_of(p) as client:
        answer = await ask(client, "One", "demo")
        status, body, headers = await send(p, "DELETE", f"/v1/responses/{answer.id}")

    assert (status, headers["content-type"]) == (200, "application/json")
    assert jsonio.loads(body) == {"id": answer.id, "object": "response", "deleted": True}


@streamed_or_whole
async def test_what_the_client_does_not_want_stored_is_not_kept(fault_server, stream):  # case 180
    async with talking(upstream(fault_server, "anthropic")) as client:
        answer = await ask(client, "One", stream=stream, store=False)
        again = await refusal(client.responses.retrieve(answer.id))
        more = await refusal(ask(client, "Two", previous_response_id=answer.id))

    assert answer.store is False
    assert again[0] == 404
    assert more[0] == 400


async def test_a_conversation_goes_on_unstored_from_one_that_is_stored(fault_server):
    async with talking(upstream(fault_server, "anthropic")) as client:
        first = await ask(client, "One")
        second = await ask(client, "Two", store=False, previous_response_id=first.id)
        kept = await client.responses.input_items.list(first.id)

    assert second.previous_response_id == first.id
    assert len(kept.data) == 1


async def test_an_answer_outlives_the_daemon(fault_server, tmp_path):
    config = upstream(fault_server, "anthropic")
    async with talking(config, data_dir=tmp_path) as client:
        first = await ask(client, "One")
    async with talking(config, data_dir=tmp_path) as client:
        await ask(client, "Two", previous_response_id=first.id)

    assert [text for _, text in said_in(fault_server.requests[1].json["messages"])] == [
        "One",
        TEXT,
        "Two",
    ]


async def test_an_answer_that_broke_off_is_not_kept():
    async with talking() as client:
        events = await client.responses.create(model="demo/fail-cut", input="One", stream=True)
        created = await anext(events)
        with pytest.raises(openai.APIError):
            [event async for event in events]
        again = await refusal(client.responses.retrieve(created.response.id))

    assert again[0] == 404


async def test_one_client_does_not_see_anothers_answers():
    keys = "client_keys: [{name: a, key: key-of-a-123456}, {name: b, key: key-of-b-123456}]"
    async with (
        proxy(keys) as p,
        client_of(p, "key-of-a-123456") as a,
        client_of(p, "key-of-b-123456") as b,
    ):
        answer = await ask(a, "My secret", "demo")
        own = await a.responses.retrieve(answer.id)
        others = [
            await refusal(b.responses.retrieve(answer.id)),
            await refusal(b.responses.delete(answer.id)),
            await refusal(ask(b, "And?", "demo", previous_response_id=answer.id)),
        ]

    assert own.id == answer.id
    assert [status for status, _, _ in others] == [404, 404, 400]


async def test_a_kept_answer_is_no_stream_and_cannot_be_cancelled():
    async with talking() as client:
        answer = await ask(client, "One", "demo")
        replay = await refusal(client.responses.retrieve(answer.id, stream=True))
        cancel = await refusal(client.responses.cancel(answer.id))

    assert (replay[0], replay[2]) == (400, "stream")
    assert cancel[0] == 400


async def test_input_items_come_in_pages():
    items = [{"role": "user", "content": f"Line {at}"} for at in range(25)]
    async with talking() as client:
        answer = await ask(client, items, "demo")
        first = await client.responses.input_items.list(answer.id)
        rest = await client.responses.input_items.list(answer.id, after=first.last_id, limit=99)
        texts = [
            item.content[0].text
            async for item in client.responses.input_items.list(answer.id, order="asc", limit=7)
        ]

    assert texts == [f"Line {at}" for at in range(25)]
    assert [item.content[0].text for item in (*first.data, *rest.data)] == texts[::-1]
    assert (len(first.data), first.has_more, rest.has_more) == (20, True, False)


async def test_a_reference_to_an_item_is_replaced_by_the_item(fault_server):  # case 181
    async with talking(upstream(fault_server, "anthropic")) as client:
        first = await ask(client, "One")
        [message] = first.output
        items = [
            {"role": "user", "content": "Two"},
            {"type": "item_reference", "id": message.id},
            {"role": "user", "content": "Three"},
        ]
        second = await ask(client, items)
        lost = {"type": "item_reference", "id": "msg_0"}
        unknown = await refusal(ask(client, [lost], previous_response_id=second.id))

    assert said_in(fault_server.requests[1].json["messages"]) == [
        ("user", "Two"),
        ("assistant", TEXT),
        ("user", "Three"),
    ]
    assert (unknown[0], unknown[2]) == (400, "input[0]")


async def test_a_wish_for_what_only_openai_keeps_is_refused_by_name(fault_server):  # case 182
    async with talking(upstream(fault_server, "anthropic")) as client:
        refusals = [
            await refusal(ask(client, "One", background=True)),
            await refusal(ask(client, "One", conversation="conv_1")),
            await refusal(ask(client, "One", prompt={"id": "pmpt_1"})),
        ]

    assert [(status, param) for status, _, param in refusals] == [
        (400, "background"),
        (400, "conversation"),
        (400, "prompt"),
    ]
    assert fault_server.requests == []


async def test_tokens_are_counted_of_the_whole_conversation(fault_server):
    async with talking(upstream(fault_server, "anthropic")) as client:
        first = await ask(client, "One")
        await client.responses.input_tokens.count(
            model="m-1", input="Two", previous_response_id=first.id
        )

    count = fault_server.requests[1]
    assert count.path == "/v1/messages/count_tokens"
    assert [text for _, text in said_in(count.json["messages"])] == ["One", TEXT, "Two"]


# ── kept by the provider ─────────────────────────────────────────────────────────────────────


def answered(name, *, stream, **fields):
    """A provider's answer called *name*, as a step of the fault server."""
    document = {**spelling.whole(SCENARIOS["text"], "m-1"), "id": name, "store": True, **fields}
    if not stream:
        return Raw(200, JSON, [jsonio.dumps(document)])
    frames = [
        b"event: %b\ndata: %b\n\n"
        % (kind.encode(), jsonio.dumps({"type": kind, "sequence_number": at, **rest}))
        for at, (kind, rest) in enumerate(
            [
                ("response.created", {"response": {**document, "output": []}}),
                ("response.output_item.added", {"output_index": 0, "item": document["output"][0]}),
                ("response.completed", {"response": document}),
            ]
        )
    ]
    return Raw(200, {"content-type": "text/event-stream"}, frames)


@streamed_or_whole
async def test_what_a_provider_keeps_is_asked_of_the_account_that_it_is_at(fault_server, stream):
    """Case 179."""
    fault_server.script(
        *[answered(f"resp_{n}", stream=stream) for n in range(4)],
    )
    async with talking(upstream(fault_server, NATIVE, accounts=TWO)) as client:
        firsts = [await ask(client, "One", stream=stream) for _ in range(2)]
        for first in (*firsts, *reversed(firsts)):
            await ask(client, "Two", stream=stream, previous_response_id=first.id)

    asked = [(request.key, request.json["input"]) for request in fault_server.requests]
    assert asked == [
        ("k1", "One"),
        ("k2", "One"),
        ("k1", "Two"),
        ("k2", "Two"),
        ("k2", "Two"),
        ("k1", "Two"),
    ]
    named = [request.json.get("previous_response_id") for request in fault_server.requests]
    assert named == [None, None, "resp_0", "resp_1", "resp_1", "resp_0"]


async def test_an_answer_at_a_provider_is_had_deleted_and_cancelled_there(fault_server):
    fault_server.script(answered("resp_a", stream=False), answered("resp_b", stream=False))
    async with proxy(upstream(fault_server, NATIVE, accounts=TWO)) as p, client_of(p) as client:
        for text in ("One", "Two"):
            await ask(client, text)
        for _ in range(2):
            await send(p, "GET", "/v1/responses/resp_b")
            await send(p, "GET", "/v1/responses/resp_b/input_items?limit=3")
            await send(p, "POST", "/v1/responses/resp_b/cancel", data=b"{}", headers=JSON)
            await send(p, "DELETE", "/v1/responses/resp_b")

    about = [(r.method, r.path, r.query, r.key) for r in fault_server.requests[2:]]
    assert about == 2 * [
        ("GET", "/v1/responses/resp_b", "", "k2"),
        ("GET", "/v1/responses/resp_b/input_items", "limit=3", "k2"),
        ("POST", "/v1/responses/resp_b/cancel", "", "k2"),
        ("DELETE", "/v1/responses/resp_b", "", "k2"),
    ]


async def test_an_item_at_a_provider_is_referred_to_there(fault_server):
    fault_server.script(*[answered(f"resp_{n}", stream=False) for n in range(3)])
    async with talking(upstream(fault_server, NATIVE, accounts=TWO)) as client:
        first = await ask(client, "One")
        reference = {"type": "item_reference", "id": first.output[0].id}
        for _ in range(2):
            await ask(client, [reference, {"role": "user", "content": "Two"}])

    assert [request.key for request in fault_server.requests] == ["k1", "k1", "k1"]
    assert fault_server.requests[1].json["input"][0] == reference


async def test_what_nobody_here_remembers_is_left_to_the_provider(fault_server):
    async with talking(upstream(fault_server, NATIVE)) as client:
        await ask(client, "Two", previous_response_id="resp_of_yesterday")
        await ask(client, "Two", background=True)

    first, second = fault_server.requests
    assert first.json["previous_response_id"] == "resp_of_yesterday"
    assert second.json["background"] is True


async def test_what_a_provider_says_it_did_not_store_is_kept_here(fault_server):
    fault_server.script(
        answered("resp_a", stream=False, store=False), answered("resp_b", stream=False, store=False)
    )
    async with talking(upstream(fault_server, NATIVE)) as client:
        first = await ask(client, "One")
        second = await ask(client, "Two", previous_response_id=first.id)

    request = fault_server.requests[1].json
    assert "previous_response_id" not in request
    assert [item["role"] for item in request["input"]] == ["user", "assistant", "user"]
    assert second.previous_response_id == first.id


async def test_an_account_that_is_gone_leaves_its_answers_to_the_others(fault_server, tmp_path):
    fault_server.script(answered("resp_a", stream=False))
    both = upstream(fault_server, NATIVE, accounts=TWO)
    async with talking(both, data_dir=tmp_path) as client:
        first = await ask(client, "One")
    async with talking(
        upstream(fault_server, NATIVE, accounts=["k2"]), data_dir=tmp_path
    ) as client:
        await ask(client, "Two", previous_response_id=first.id)

    assert [request.key for request in fault_server.requests] == ["k1", "k2"]
    assert fault_server.requests[1].json["previous_response_id"] == first.id


async def test_a_model_elsewhere_cannot_go_on_from_what_a_provider_keeps(fault_server):
    fault_server.script(answered("resp_a", stream=False))
    async with talking(upstream(fault_server, NATIVE)) as client:
        first = await ask(client, "One")
        status, code, _ = await refusal(ask(client, "Two", "demo", previous_response_id=first.id))

    assert (status, code) == (400, "previous_response_not_found")


async def test_without_anything_to_keep_the_bytes_are_not_touched(fault_server):
    body = b'{ "model":"m-1",  "input":"One", "store": false, "temperature": 1.0 }'
    async with proxy(upstream(fault_server, NATIVE)) as p:
        await send(p, "POST", "/v1/responses", data=body, headers=JSON)

    assert fault_server.requests[0].body == body


# ── compaction ───────────────────────────────────────────────────────────────────────────────


async def test_a_conversation_is_compacted_into_a_summary(fault_server):  # case 183
    fault_server.script(Answer("text"), Answer(Scenario(text=("It was about ", "lakes."))))
    async with talking(upstream(fault_server, "anthropic")) as client:
        first = await ask(client, "One")
        compacted = await client.responses.compact(
            model="m-1", input="Two", previous_response_id=first.id
        )
        items = [item.model_dump(exclude_none=True) for item in compacted.output]
        answer = await ask(client, [*items, {"role": "user", "content": "Go on"}])

    _, summing_up, going_on = (said_in(r.json["messages"]) for r in fault_server.requests)
    assert [text for _, text in summing_up[:3]] == ["One", TEXT, "Two"]
    assert "summary" in summing_up[3][1]
    assert compacted.object == "response.compaction"
    assert compacted.usage.output_tokens
    assert compacted.output[0].content[0].text.endswith("It was about lakes.")
    assert going_on[-1] == ("user", "Go on")
    assert going_on[-2][1].endswith("It was about lakes.")
    assert answer.output_text == TEXT


async def test_a_provider_of_the_same_dialect_compacts_itself(fault_server):  # case 183
    body = b'{"model":"m-1","input":"One"}'
    async with proxy(upstream(fault_server, NATIVE)) as p:
        status, answer, _ = await send(p, "POST", "/v1/responses/compact", data=body, headers=JSON)

    [request] = fault_server.requests
    assert (status, request.path, request.body) == (200, "/v1/responses/compact", body)
    assert jsonio.loads(answer)["object"] == "echo"


async def test_no_summary_is_no_compaction(fault_server):
    fault_server.always(Answer("tool"))
    async with talking(upstream(fault_server, "anthropic")) as client:
        with pytest.raises(openai.InternalServerError, match="no summary"):
            await client.responses.compact(model="m-1", input="One")
