"""Bodies are kept word for word where the settings ask for it, and nowhere else."""

import aiohttp
import pytest

from proxypal_core.settings.parse import parse
from proxypal_core.store import bodies_db
from proxypal_core.store.bodies_db import BODIES_FILE
from proxypal_core.wire import jsonio
from tests.gateway.asking import DIALECTS, ask, question, read, upstream
from tests.proxy import ADMIN_KEY, proxy

FIRST = f"{1:032x}"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


async def bodies(running, request_id=FIRST):
    """Status and JSON."""
    url = f"{running.url}/api/requests/{request_id}/bodies"
    async with aiohttp.ClientSession() as session, session.get(url, headers=ADMIN) as answer:
        return answer.status, jsonio.loads(await answer.read())


async def post(running, path, data, **headers):
    head = {"content-type": "application/json", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + path, data=data, headers=head) as answer,
    ):
        return answer.status, (await read(answer))[0]


def capture(which):
    return f"usage: {{capture_bodies: {which}}}\n"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_was_asked_and_told_is_kept_as_the_client_saw_it(dialect, stream):
    async with proxy(capture("all")) as running:
        path, body = question(dialect, "demo/echo", stream=stream)
        sent = jsonio.dumps(body)
        _, told = await post(running, path, sent)
        status, kept = await bodies(running)

    assert status == 200
    assert kept["request"] == {"text": sent.decode(), "size": len(sent), "cut": False}
    assert kept["answer"] == {"text": told.decode(), "size": len(told), "cut": False}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/completions", {"model": "demo/echo", "prompt": "Hello?", "stream": True}),
        (
            "/v1beta/models/demo%2Fecho:streamGenerateContent",
            {"contents": [{"parts": [{"text": "Hello?"}]}]},
        ),
    ],
)
async def test_an_answer_in_another_frame_is_kept_in_that_frame(path, said):
    async with proxy(capture("all")) as running:
        _, told = await post(running, path, jsonio.dumps(said))
        _, kept = await bodies(running)

    assert kept["answer"]["text"] == told.decode()


async def test_a_forwarded_answer_is_kept(fault_server):
    config = upstream(fault_server, "openai-chat", extra=capture("all"))
    async with proxy(config) as running:
        sent = jsonio.dumps({"model": "m-1", "input": "Hello?"})
        _, told = await post(running, "/v1/embeddings", sent)
        _, kept = await bodies(running)

    assert kept["answer"]["text"] == told.decode() != ""


async def test_none_is_the_default_and_says_how_to_turn_it_on(tmp_path):
    async with proxy(data_dir=tmp_path) as running:
        await ask(running, "anthropic", "demo/echo")
        status, refused = await bodies(running)

    assert status == 404
    assert "usage.capture_bodies" in refused["error"]["message"]
    assert not (tmp_path / BODIES_FILE).exists()


async def test_of_errors_only_failures_are_kept():
    async with proxy(capture("errors")) as running:
        await ask(running, "anthropic", "demo/echo")
        _, _, told, _ = await ask(running, "anthropic", "demo/fail-429", stream=False)
        served, _ = await bodies(running, f"{1:032x}")
        number = await newest(running)
        status, kept = await bodies(running, number)

    assert served == 404
    assert status == 200
    assert kept["answer"]["text"] == told.decode()
    assert "Hello?" in kept["request"]["text"]


async def newest(running):
    await running.gateway.front.recorder.usage.flush()
    url = f"{running.url}/api/requests?limit=1"
    async with aiohttp.ClientSession() as session, session.get(url, headers=ADMIN) as answer:
        return jsonio.loads(await answer.read())["requests"][0]["id"]


async def test_a_body_that_is_no_json_is_kept_with_its_refusal():
    async with proxy(capture("errors")) as running:
        status, told = await post(running, "/v1/messages", b'{"model": "demo/echo", ')
        _, kept = await bodies(running)

    assert status == 400
    assert kept["request"]["text"] == '{"model": "demo/echo", '
    assert kept["answer"]["text"] == told.decode()


@pytest.mark.shows_secrets("answers", "the model that is asked repeats what it is told")
async def test_keys_are_not_kept():
    key = "Qm7kTz0pWv9xRb3nLs"
    known = '"Qm7kTz0pWv9xRb3nLs" and sk-ant-api03-AAAABBBBCCCC and Bearer abcdefghijkl'
    config = f'accounts:\n  - {{id: "openai:a", api_key: {key}}}\n{capture("all")}'
    async with proxy(config) as running:
        text = f"{known}, {ADMIN_KEY}"
        path, body = question("anthropic", "demo/echo", stream=False, text=text)
        await post(running, f"{path}?key=AIzaSyAAAABBBBCCCC", jsonio.dumps(body))
        _, kept = await bodies(running)

    whole = jsonio.dumps_text(kept)
    for secret in (key, ADMIN_KEY, "api03", "abcdefghijkl", "AIza"):
        assert secret not in whole
    assert "***" in kept["request"]["text"]
    assert "***" in kept["answer"]["text"]


async def test_a_long_stream_is_cut_and_its_whole_size_told(monkeypatch):
    monkeypatch.setattr(bodies_db, "LONGEST", 200)
    monkeypatch.setattr(bodies_db, "MARGIN", 20)
    async with proxy(capture("all")) as running:
        _, _, told, _ = await ask(running, "anthropic", "demo/echo", text="word " * 100)
        _, kept = await bodies(running)

    assert kept["answer"]["cut"]
    assert kept["answer"]["size"] == len(told)
    assert told.decode().startswith(kept["answer"]["text"])
    assert 100 < len(kept["answer"]["text"]) <= 200


async def test_a_reload_turns_it_on_and_off_and_off_deletes_it(tmp_path):
    async with proxy(data_dir=tmp_path) as running:
        running.reload(parse(capture("all"), {}))
        await ask(running, "anthropic", "demo/echo")
        on, _ = await bodies(running)
        there = (tmp_path / BODIES_FILE).exists()
        running.reload(parse("", {}))
        off, _ = await bodies(running)

    assert (on, there, off) == (200, True, 404)
    assert not (tmp_path / BODIES_FILE).exists()


async def test_where_nothing_is_kept_nothing_is_heard(monkeypatch):
    def never():
        raise AssertionError

    monkeypatch.setattr("proxypal_core.gateway.endpoints.Heard", never)
    async with proxy() as running:
        status, _, _, whole = await ask(running, "anthropic", "demo/echo")

    assert (status, whole) == (200, True)


async def test_the_state_says_what_is_kept():
    async with (
        proxy(capture("errors")) as running,
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/api/state", headers=ADMIN) as answer,
    ):
        state = jsonio.loads(await answer.read())

    assert state["capture_bodies"] == "errors"
