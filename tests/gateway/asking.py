"""How a client of each dialect asks, over bare HTTP."""

import aiohttp

from tests.fault_server import MARK, SCENARIOS
from tests.fault_server.transcripts import DIALECTS as SPELLINGS

DIALECTS = ("openai-chat", "openai-responses", "anthropic", "gemini")
TERMINAL = {
    "openai-chat": b"[DONE]",
    "openai-responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b'"finishReason"',
}
KEY_HEADER = {
    "openai-chat": ("authorization", "Bearer {}"),
    "openai-responses": ("authorization", "Bearer {}"),
    "anthropic": ("x-api-key", "{}"),
    "gemini": ("x-goog-api-key", "{}"),
}


def question(dialect, model="m-1", *, stream=True, text="Hello?", path_prefix=""):
    """The path and body of a small question."""
    match dialect:
        case "openai-chat":
            path, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}
            if stream:
                body["stream_options"] = {"include_usage": True}
        case "openai-responses":
            path, body = "/v1/responses", {"input": text}
        case "anthropic":
            path = "/v1/messages"
            body = {"max_tokens": 1000, "messages": [{"role": "user", "content": text}]}
        case "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            contents = [{"role": "user", "parts": [{"text": text}]}]
            return f"{path_prefix}/v1beta/models/{model}:{method}", {"contents": contents}
    return path_prefix + path, {"model": model, "stream": stream, **body}


def upstream(server, dialect, *, accounts=("k1",), name="up", extra=""):
    """Settings with *server* as the only provider, speaking *dialect*."""
    rows = "\n".join(
        f'  - {{id: "{name}:{key}", api_key: "{key}{MARK}", models: ["m-*"]}}' for key in accounts
    )
    return (
        f"providers:\n  - {{name: {name}, dialect: {dialect}, base_url: {server.url(dialect)}}}\n"
        f"accounts:\n{rows}\n{extra}"
    )


async def ask(proxy, dialect, model="m-1", *, stream=True, headers=None, **options):
    """The answer's status, headers and bytes; the bytes that came before a break, if it broke."""
    path, body = question(dialect, model, stream=stream, **options)
    async with (
        aiohttp.ClientSession() as session,
        session.post(proxy.url + path, json=body, headers=headers or {}) as answer,
    ):
        return answer.status, answer.headers, *await read(answer)


async def read(answer):
    """All bytes, and whether they ended as they should."""
    received = bytearray()
    try:
        async for chunk in answer.content.iter_any():
            received += chunk
    except aiohttp.ClientPayloadError:
        return bytes(received), False
    return bytes(received), True


def begun(dialect):
    """How many frames of the scenario ``text`` it takes until text has come."""
    frames = SPELLINGS[dialect].frames(SCENARIOS["text"], "m-1")
    return next(at for at, frame in enumerate(frames, 1) if b"The lake" in frame)
