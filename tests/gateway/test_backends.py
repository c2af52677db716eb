"""A command line as one more model: alone, as a route's last step, and in every dialect."""

import aiohttp
import pytest

from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.fake_cli import dumped, row
from tests.fault_server import Status
from tests.file_server import PNG, file_server
from tests.gateway.asking import DIALECTS, TERMINAL, ask, upstream
from tests.gateway.test_sdks import ASKING
from tests.proxy import proxy

every = pytest.mark.parametrize("dialect", DIALECTS)
KEYS = {"output": "jsonl", "jsonl_dialect": "claude-stream-json", "input_format": "stream-json"}


def config(play, dump="", **keys):
    made = row(play, dump, **{**KEYS, **keys})
    return f"backends: {{fake-cli: {jsonio.dumps_text(made)}}}\n"


@every
@pytest.mark.parametrize("stream", [True, False])
async def test_a_program_answers_in_every_dialect(tmp_path, dialect, stream):
    async with proxy(config("claude", tmp_path / "dump")) as running:
        status, headers, body, whole = await ask(
            running, dialect, "fake-cli/opus", stream=stream, text="Two words"
        )

    assert (status, whole) == (200, True)
    assert b"Two" in body
    assert headers["x-proxypal-account"] == "fake-cli:local"
    assert headers["x-proxypal-model"] == "fake-cli/opus"
    assert (TERMINAL[dialect] in body) or not stream


@every
async def test_when_the_api_account_is_limited_the_program_answers(tmp_path, fault_server, dialect):
    fault_server.script(Status(429))
    route = "models: [{name: best, route: [up/m-1, fake-cli/opus]}]\n"
    settings = upstream(fault_server, dialect, extra=route + config("slow", tmp_path / "dump"))

    async with proxy(settings) as running:
        status, headers, body, whole = await ask(running, dialect, "best", text="one two")

    assert (status, whole) == (200, True)
    assert headers["x-proxypal-attempts"] == "2"
    assert TERMINAL[dialect] in body
    assert body.index(b"one") < body.index(b"two")


@every
async def test_every_sdk_gets_the_programs_answer_when_the_api_account_is_limited(
    tmp_path, fault_server, dialect
):
    fault_server.script(Status(429))
    route = "models: [{name: best, route: [up/m-1, fake-cli/opus]}]\n"
    settings = upstream(fault_server, dialect, extra=route + config("claude", tmp_path / "dump"))

    async with proxy(settings) as running:
        text, _ = await ASKING[dialect](running, "best", stream=True, tools=True)

    assert text.strip() == "Hello there"
    assert "get_weather" not in dumped(tmp_path / "dump")[0]["stdin"]


async def test_tools_that_a_client_declares_are_named_as_dropped(tmp_path):
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
    body = {"model": "fake-cli/m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}

    async with proxy(config("claude", tmp_path / "dump")) as running:
        headers = await posted(running, body)

    assert headers["x-proxypal-dropped"] == "tools"
    assert "read" not in dumped(tmp_path / "dump")[0]["stdin"]


async def posted(running, body):
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + "/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return answer.headers


@pytest.mark.parametrize("play", ["logged-out", "limited", "absent"])
async def test_a_program_that_cannot_answer_rests_and_the_next_step_answers(tmp_path, play):
    settings = config(play, tmp_path / "dump")
    if play == "absent":
        settings = "backends: {fake-cli: {command: no-such-program}}\n"
    settings += "models: [{name: best, route: [fake-cli/opus, demo/echo]}]\n"

    async with proxy(settings) as running:
        answers = [await ask(running, "openai-chat", "best") for _ in range(2)]

    assert [status for status, *_ in answers] == [200, 200]
    assert {headers["x-proxypal-account"] for _, headers, *_ in answers} == {"demo:built-in"}
    assert [headers["x-proxypal-attempts"] for _, headers, *_ in answers] == ["2", "1"]


async def test_what_a_program_says_when_it_fails_holds_no_secret_of_the_settings(tmp_path):
    settings = config("noisy", env={"FAKE_DUMP": str(tmp_path / "dump"), "FAKE_KEY": "hush-hush"})

    async with proxy(settings) as running:
        _, _, body, _ = await ask(running, "openai-chat", "fake-cli/m", stream=False)

    assert b"*** is wrong, the end" in body
    assert b"hush-hush" not in body


async def test_an_image_by_its_address_reaches_the_program_as_a_file(tmp_path):
    dump = tmp_path / "dump"
    async with (
        file_server() as files,
        proxy(
            config("claude", dump, image_arg="--image", input_format="text"),
            may_fetch=lambda _: True,
        ) as running,
    ):
        image = {"type": "image_url", "image_url": {"url": files.add("/a.png", "image/png", PNG)}}
        content = [image, {"type": "text", "text": "Look"}]
        await posted(
            running, {"model": "fake-cli/m", "messages": [{"role": "user", "content": content}]}
        )

    (seen,) = dumped(dump)
    assert [bytes.fromhex(file[2]) for file in seen["files"].values()] == [PNG]


async def test_only_the_programs_that_the_settings_name_can_be_asked(tmp_path):
    settings = config("claude", tmp_path / "dump", models=["opus"])

    async with proxy(settings) as running:
        status, _, body, _ = await ask(running, "openai-chat", "claude-cli/opus", stream=False)
        listed = await models(running)

    assert status == 404
    assert b"put claude-cli: {} under backends in the settings" in body
    assert [name for name in listed if "cli" in name] == ["fake-cli/opus"]


async def models(running):
    async with (
        aiohttp.ClientSession() as session,
        session.get(running.url + "/v1/models") as answer,
    ):
        return [row["id"] for row in (await answer.json())["data"]]


async def test_other_settings_are_followed_from_the_next_request_on(tmp_path):
    async with proxy(config("limited", tmp_path / "dump")) as running:
        running.reload(parse(config("claude", tmp_path / "dump"), {}))
        status, _, body, _ = await ask(
            running, "openai-chat", "fake-cli/m", stream=False, text="Hi"
        )

    assert status == 200
    assert b"Hi" in body
