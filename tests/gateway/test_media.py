"""Files that a request points to, over real sockets: a client, our server, a provider that takes only
bytes, and the server that has the file.
"""

import asyncio
import base64
from ipaddress import ip_address

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Status
from tests.file_server import PNG, file_server
from tests.gateway.asking import question, upstream
from tests.proxy import proxy

INLINE = {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}
VIDEO = "https://www.youtube.com/watch?v=x"


def loopback(address):
    return address == ip_address("127.0.0.1")


@pytest.fixture
async def files():
    async with file_server() as server:
        yield server


def chat(*urls):
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [*content, {"type": "text", "text": "What is it?"}]


def messages(*urls):
    images = [{"type": "image", "source": {"type": "url", "url": url}} for url in urls]
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": images}
    return [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]


async def post(p, dialect, change, *, stream=False):
    """The status and text of the answer to a small question with *change* in its body."""
    path, body = question(dialect, stream=stream)
    async with (
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body | change) as answer,
    ):
        return answer.status, await answer.text()


async def ask_chat(p, *urls, stream=False):
    change = {"messages": [{"role": "user", "content": chat(*urls)}]}
    return await post(p, "openai-chat", change, stream=stream)


def parts_of(request):
    return [part for content in request.json["contents"] for part in content["parts"]]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_image_s_address_reaches_gemini_as_its_bytes(fault_server, files, stream):
    url = f"{files.origin}/a.png"
    async with proxy(upstream(fault_server, "gemini"), may_fetch=loopback) as p:
        status, _ = await ask_chat(p, url, url, stream=stream)

    assert status == 200
    [received] = fault_server.requests
    assert parts_of(received)[:2] == [{"inlineData": INLINE}] * 2
    [fetched] = files.requests
    assert fetched.headers["user-agent"].startswith("proxypal/")


async def test_an_image_s_address_in_a_tool_result_does_too(fault_server, files):
    change = {"messages": messages(f"{files.origin}/a.png")}
    async with proxy(upstream(fault_server, "gemini"), may_fetch=loopback) as p:
        status, _ = await post(p, "anthropic", change)

    assert status == 200
    assert jsonio.dumps(INLINE) in jsonio.dumps(fault_server.requests[0].json)


@pytest.mark.parametrize("speaks", ["openai-chat", "openai-responses", "anthropic"])
async def test_providers_that_fetch_are_given_the_address(fault_server, files, speaks):
    url = f"{files.origin}/a.png"
    async with proxy(upstream(fault_server, speaks), may_fetch=loopback) as p:
        status, _ = await ask_chat(p, url)

    assert status == 200
    assert url.encode() in fault_server.requests[0].body
    assert files.requests == []


async def test_google_s_own_addresses_are_given_to_gemini(fault_server):
    async with proxy(upstream(fault_server, "gemini"), may_fetch=loopback) as p:
        status, _ = await ask_chat(p, VIDEO)

    assert status == 200
    assert parts_of(fault_server.requests[0])[0] == {"fileData": {"fileUri": VIDEO}}


async def test_another_account_is_asked_without_fetching_again(fault_server, files):
    fault_server.script(Status(503))
    settings = upstream(fault_server, "gemini", accounts=("k1", "k2"))
    async with proxy(settings, may_fetch=loopback) as p:
        status, _ = await ask_chat(p, f"{files.origin}/a.png")

    assert status == 200
    assert [parts_of(request)[0] for request in fault_server.requests] == [
        {"inlineData": INLINE}
    ] * 2
    assert len(files.requests) == 1


async def test_nothing_is_fetched_where_the_settings_forbid_it(fault_server, files):
    settings = upstream(fault_server, "gemini", extra="media: {fetch_urls: false}")
    async with proxy(settings, may_fetch=loopback) as p:
        status, text = await ask_chat(p, f"{files.origin}/a.png")

    assert status == 400
    assert jsonio.loads(text)["error"]["type"] == "invalid_request_error"
    assert files.requests == fault_server.requests == []


@pytest.mark.parametrize("extra", ["media: {max_bytes: 10}", ""])
async def test_a_file_that_cannot_be_had_is_named_in_the_client_s_dialect(
    fault_server, files, extra
):
    settings = upstream(fault_server, "gemini", extra=extra)
    url = f"{files.origin}/{'a' if extra else 'no'}.png"
    async with proxy(settings, may_fetch=loopback) as p:
        status, text = await ask_chat(p, f"{url}?signature=hush")
        again, told = await post(p, "anthropic", {"messages": messages(url)})

    error = jsonio.loads(text)["error"]
    assert (status, again) == (400, 400)
    assert error["message"].startswith(f"{url} cannot be fetched: ")
    assert jsonio.loads(told)["error"] == {
        "type": "invalid_request_error",
        "message": error["message"],
    }
    assert fault_server.requests == []


async def test_by_default_this_machine_is_out_of_reach(fault_server, files):
    async with proxy(upstream(fault_server, "gemini")) as p:
        status, text = await ask_chat(p, f"{files.origin}/a.png")

    assert status == 400
    assert "no public address" in text
    assert files.requests == fault_server.requests == []


async def test_who_goes_away_is_not_fetched_for_any_more(fault_server, files):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def stall():
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    url = files.add("/slow", "image/png", b"x", stall)
    settings = upstream(fault_server, "gemini", extra="media: {timeout: 1h}")
    async with proxy(settings, may_fetch=loopback) as p:
        asking = asyncio.ensure_future(ask_chat(p, url))
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        await gone.wait()

    assert fault_server.requests == []
