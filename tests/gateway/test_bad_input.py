"""Bad input gets the right status and a body in the client's own dialect, and nothing is lost."""

import gzip
import io
import zlib

import aiohttp
import pytest
from backports import zstd

from proxypal_core.wire import jsonio
from tests.gateway.asking import DIALECTS, question, upstream
from tests.proxy import ADMIN_KEY, proxy

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def in_words_of(dialect, status, body):
    """Whether *body* is an error as *dialect* writes it, with a message."""
    error = jsonio.loads(body)["error"]
    match dialect:
        case "openai-chat" | "openai-responses":
            return set(error) >= {"message", "type", "param", "code"}
        case "anthropic":
            doc = jsonio.loads(body)
            return doc["type"] == "error" and isinstance(error["type"], str) and doc["request_id"]
        case "gemini":
            return error["code"] == status and isinstance(error["status"], str)


async def send(p, method, path, *, data=None, headers=None):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, p.url + path, data=data, headers=headers or {}) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


JSON = {"content-type": "application/json"}


@every_dialect
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("unknown model", 404),
        ("no model", 400),
        ("not json", 400),
        ("array", 400),
        ("wrong type", 400),
        ("text/plain", 415),
        ("no type", 415),
        ("form", 415),
        ("wrong method", 405),
        ("empty", 400),
        ("nan", 400),
        ("deep", 400),
    ],
)
async def test_each_mistake_in_each_dialect(dialect, change, status):
    path, body = question(dialect, "demo", stream=False)
    method, data, headers = "POST", jsonio.dumps(body), dict(JSON)
    match change:
        case "unknown model":
            path, body = question(dialect, "no-such-model", stream=False)
            data = jsonio.dumps(body)
        case "no model":
            # Gemini says the model in the path: without one, the path is another.
            path, status = path.replace("/demo:", "/:"), 405 if dialect == "gemini" else status
            data = jsonio.dumps({k: v for k, v in body.items() if k != "model"})
        case "not json":
            data = data[:-1]
        case "array":
            data = b"[]"
        case "wrong type":
            wrong = {"messages": 5, "contents": 5, "input": 5}
            data = jsonio.dumps({**body, **{k: v for k, v in wrong.items() if k in body}})
        case "text/plain":
            headers["content-type"] = "text/plain"
        case "no type":
            headers = {"content-type": ""}
        case "form":
            headers["content-type"] = "application/x-www-form-urlencoded"
        case "wrong method":
            method = "PUT"
        case "empty":
            data = b""
        case "nan":
            data = data[:-1] + b',"temperature":NaN}'
        case "deep":
            data = b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    async with proxy() as p:
        got, answer, _ = await send(p, method, path, data=data, headers=headers)
        again, _, _ = await send(p, "GET", "/health")

    assert got == status
    assert in_words_of(dialect, status, answer)
    assert b"Traceback" not in answer
    assert again == 200


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/nothing", "openai-chat"),
        ("/anthropic/v1/nothing", "anthropic"),
        ("/v1beta/nothing", "gemini"),
        ("/ollama/api/chat", "openai-chat"),
    ],
)
async def test_an_unknown_path(path, dialect):
    async with proxy() as p:
        status, body, _ = await send(p, "POST", path, data=b"{}", headers=JSON)

    assert status == 404
    assert in_words_of(dialect, 404, body)
    assert path.encode() in body


@every_dialect
async def test_a_body_that_is_too_large(dialect, monkeypatch):
    monkeypatch.setattr("proxypal_core.gateway.request.BODY_LIMIT", 1000)
    path, body = question(dialect, "demo", text="x" * 2000, stream=False)
    packed = {**JSON, "content-encoding": "gzip"}
    async with proxy() as p:
        for data, headers in (
            (jsonio.dumps(body), JSON),
            (gzip.compress(jsonio.dumps(body)), packed),
        ):
            status, answer, _ = await send(p, "POST", path, data=data, headers=headers)

            assert status == 413
            assert in_words_of(dialect, 413, answer)


@every_dialect
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_compressed_requests_are_read(dialect, encoding):  # case 190
    path, body = question(dialect, "demo", stream=False, text="packed")
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[encoding]
    headers = {**JSON, "content-encoding": encoding}
    async with proxy() as p:
        status, answer, answered = await send(
            p, "POST", path, data=pack(jsonio.dumps(body)), headers=headers
        )

    assert status == 200
    assert b"packed" in answer
    assert "content-encoding" not in answered


@every_dialect
async def test_images_of_many_megabytes_are_read(fault_server, dialect):  # case 193
    path, body = question(dialect, text="x" * 20_000_000, stream=False)
    async with proxy(upstream(fault_server, dialect)) as p:
        status, _, _ = await send(
            p, "POST", path, data=io.BytesIO(jsonio.dumps(body)), headers=JSON
        )

    [received] = fault_server.requests
    assert status == 200
    assert len(received.body) > 20_000_000


async def test_a_thread_is_refused_so_that_the_client_sends_everything(fault_server):
    path, body = question("anthropic", stream=False)
    body["thread"] = {"type": "create"}
    async with proxy(upstream(fault_server, "anthropic")) as p:
        status, answer, _ = await send(p, "POST", path, data=jsonio.dumps(body), headers=JSON)

    error = jsonio.loads(answer)["error"]
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert error["details"]["error_code"] == "thread_unsupported_request"
    assert error["details"]["unsupported"] == ["thread"]


# ── guards ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.com"}, 421),
        ({"Origin": "https://evil.com"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/api/state", "/nowhere"])
async def test_web_pages_elsewhere_get_nothing(headers, status, path):
    async with proxy() as p:
        got, body, answered = await send(p, "GET", path, headers=headers)

    assert got == status
    assert b"demo" not in body
    assert not [name for name in answered if name.lower().startswith("access-control")]


async def test_client_keys_are_asked_for_and_limit_models():
    config = """
client_keys:
  - {name: laptop, key: a-long-enough-key-for-the-laptop, models: ["demo*"]}
"""
    key = {"authorization": "Bearer a-long-enough-key-for-the-laptop"}
    async with proxy(config) as p:
        assert (await send(p, "GET", "/v1/models"))[0] == 401
        assert (await send(p, "GET", "/health"))[0] == 200
        status, body, _ = await send(p, "GET", "/v1/models", headers=key)
        assert status == 200
        assert b"demo/echo" in body
        path, question_ = question("anthropic", "claude-x", stream=False)
        status, body, _ = await send(
            p, "POST", path, data=jsonio.dumps(question_), headers={**JSON, **key}
        )
        assert status == 404


@pytest.mark.parametrize("path", ["/api/state", "/api/events"])
async def test_the_management_api_wants_the_admin_key(path):
    async with proxy() as p:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}):
            status, body, _ = await send(p, "GET", path, headers=headers)
            assert status == 401
            assert b"accounts" not in body
        if path == "/api/state":
            admin = {"authorization": f"Bearer {ADMIN_KEY}"}
            status, body, _ = await send(p, "GET", path, headers=admin)
            assert status == 200
            assert jsonio.loads(body)["accounts"][0]["id"] == "demo:built-in"
