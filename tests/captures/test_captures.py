"""The captures are what their tests take them for."""

import asyncio
import base64
import json
import re
import struct
import zlib

import pytest

from tests.captures import load, raw
from tests.fault_server import FaultServer

CAPTURES = load()
BY_NAME = {capture.name: capture for capture in CAPTURES}
every = pytest.mark.parametrize("capture", CAPTURES, ids=str)
IMAGE = re.compile(r'"(?:data:image/png;base64,)?(iVBOR[A-Za-z0-9+/=]+)"')


def walk(value, key=""):
    """Every (key, value) in a document; members of a list under the key of the list."""
    yield key, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, key)


def test_every_client_and_dialect_is_there():
    pairs = {(capture.client, capture.dialect) for capture in CAPTURES}

    four = ("openai-chat", "openai-responses", "anthropic", "gemini")
    assert {(client, d) for client in ("opencode", "pi", "aider", "openclaw") for d in four} < pairs
    assert {("claude-code", "anthropic"), ("codex", "openai-responses")} < pairs
    assert {("gemini-cli", "gemini"), ("pydantic-ai", "gemini")} < pairs


@every
def test_a_capture_says_whom_it_is_from_and_to(capture):
    assert capture.client
    assert re.match(r"\d+\.\d+", capture.version)
    assert capture.path.startswith("/")
    assert capture.dialect in {"openai-chat", "openai-responses", "anthropic", "gemini"}


@every
def test_a_capture_has_only_neutral_keys(capture):
    keys = {
        value.removeprefix("Bearer ")
        for name, value in capture.headers
        if name.lower() in {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
    }

    assert keys <= {"client-key", "sk-ant-oat01-client"}


@every
def test_a_capture_is_small_and_has_few_tools(capture):
    tools = [value for key, value in walk(capture.body) if key == "tools"]

    assert len(capture.content) < 5_000
    assert all(len(group) <= 3 for group in tools if isinstance(group, list))


@every
def test_images_are_images(capture):
    for text in IMAGE.findall(capture.content.decode()):
        data = base64.b64decode(text, validate=True)

        assert struct.unpack(">II", data[16:24]) == (1, 1)
        pixels = data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8]
        assert len(zlib.decompress(pixels)) == 4


@every
def test_every_result_belongs_to_a_call(capture):
    if "thread" in (capture.body or {}):
        pytest.skip("the calls of a continued thread are at the server")
    calls, results = set(), set()
    for _, value in walk(capture.body):
        match value:
            case {"tool_use_id": id}:
                results.add(id)
            case {"tool_call_id": id}:
                results.add(id)
            case {"type": "function_call_output" | "custom_tool_call_output", "call_id": id}:
                results.add(id)
            case {"type": "function_call" | "custom_tool_call", "call_id": id}:
                calls.add(id)
            case {"type": "tool_use", "id": id}:
                calls.add(id)
            case {"type": "function", "function": {"arguments": str()}, "id": id}:
                calls.add(id)
            case {"functionCall": {"id": id}}:
                calls.add(id)
            case {"functionResponse": {"id": id}}:
                results.add(id)

    assert results == calls


@every
async def test_the_raw_bytes_arrive_as_the_capture_says(capture):
    if len({name.lower() for name, _ in capture.headers}) < len(capture.headers):
        pytest.skip("this server refuses repeated headers, which is what the capture is for")
    async with FaultServer() as server:
        host = server.origin.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))

        writer.write(raw(capture, host))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

        [request] = server.requests
        target = f"{request.path}?{request.query}".rstrip("?")
        assert (request.method, target, request.body) == (
            capture.method,
            capture.path,
            capture.content,
        )
        assert request.raw_headers[1 : len(capture.headers) + 1] == capture.headers


def test_the_odd_forms_are_kept():
    def has(name, *pairs):
        found = list(walk(BY_NAME[name].body))
        return all(pair in found for pair in pairs)

    agents = [v for n, v in BY_NAME["pydantic-ai-gemini"].headers if n.lower() == "user-agent"]
    assert len(agents) == 2
    assert BY_NAME["openclaw-2026.2-anthropic-v1-v1"].path == "/anthropic/v1/v1/messages"
    assert has("claude-code-system-role", ("role", "system"))
    assert has("codex-additional-tools", ("type", "additional_tools"), ("syntax", "lark"))
    assert has("codex-first-turn", ("type", "namespace"), ("type", "web_search"))
    assert has("anthropic-js-thread-continue", ("type", "continue"))
    assert has(
        "gemini-cli-parallel-calls", ("thoughtSignature", "skip_thought_signature_validator")
    )
    assert {"anyOf", "const", "propertyNames"} < {
        key for key, _ in walk(BY_NAME["claude-code-first-turn"].body)
    }
    assert json.loads(BY_NAME["claude-code-first-turn"].body["metadata"]["user_id"])
