"""Which path is what: the dialect it belongs to, and what a good answer on it is."""

import base64
import email
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.fault_server.transcripts import DIALECTS, SCENARIOS, Scenario
from tests.fault_server.transcripts.gemini import as_array
from tests.fault_server.transcripts.openai_chat import without_usage

JSON = "application/json; charset=utf-8"
STREAM = "text/event-stream; charset=utf-8"
MODELS = ("fault-large", "fault-small")

_GEMINI = re.compile(r"/v1(?:beta)?/(?:models|tunedModels)/(?P<model>.+):(?P<method>[A-Za-z]+)")
_FIXED = {
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/responses/input_tokens": "openai-responses",
    "/v1/messages": "anthropic",
    "/v1/messages/count_tokens": "anthropic",
}
_TELLTALES = {"anthropic-version": "anthropic", "x-goog-api-key": "gemini"}


class Request(Protocol):
    """What is looked at in a request."""

    method: str
    path: str
    query: str
    body: bytes
    dialect: str

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def json(self) -> Any: ...


def dialect_of(path: str, headers: Mapping[str, str]) -> str:
    """The dialect a request is in. Paths that several share are told by a header, else OpenAI's."""
    if path in _FIXED:
        return _FIXED[path]
    if _GEMINI.fullmatch(path) or path.startswith("/v1beta/"):
        return "gemini"
    return next((name for header, name in _TELLTALES.items() if header in headers), "openai-chat")


@dataclass(frozen=True)
class Generation:
    """An endpoint that a model answers on."""

    dialect: str
    model: str
    streaming: bool
    as_array: bool = False
    with_usage: bool = True

    @property
    def content_type(self) -> str:
        return STREAM if self.streaming and not self.as_array else JSON

    def whole(self, scenario: str | Scenario) -> bytes:
        document = DIALECTS[self.dialect].whole(_scenario(scenario), self.model)
        return json.dumps(document, ensure_ascii=False).encode()

    def frames(self, scenario: str | Scenario) -> list[bytes]:
        if not self.streaming:
            return [self.whole(scenario)]
        events = DIALECTS[self.dialect].frames(_scenario(scenario), self.model)
        if self.as_array:
            return as_array(events)
        return events if self.with_usage else without_usage(events)


@dataclass(frozen=True)
class Document:
    """An endpoint that gives the same JSON whatever the scenario."""

    document: dict[str, Any]
    streaming: bool = False
    content_type: str = JSON

    def whole(self, scenario: str | Scenario) -> bytes:
        return json.dumps(self.document, ensure_ascii=False).encode()

    def frames(self, scenario: str | Scenario) -> list[bytes]:
        return [self.whole(scenario)]


def find(request: Request) -> Generation | Document:
    if request.method in ("GET", "HEAD"):
        return Document(_models(request.dialect))
    gemini = _GEMINI.fullmatch(request.path)
    if gemini:
        return _gemini(request, gemini["model"], gemini["method"])
    return _POSTS.get(request.path, _echo)(request)


def _chat(request: Request) -> Generation:
    body = request.json
    options = body.get("stream_options") or {}
    return Generation(
        "openai-chat",
        body["model"],
        bool(body.get("stream")),
        with_usage=bool(options.get("include_usage")),
    )


def _plain(request: Request) -> Generation:
    body = request.json
    return Generation(request.dialect, body["model"], bool(body.get("stream")))


def _gemini(request: Request, model: str, method: str) -> Generation | Document:
    if method == "countTokens":
        return Document({"totalTokens": 90, "promptTokensDetails": []})
    streaming = method == "streamGenerateContent"
    sse = "alt=sse" in request.query.split("&")
    return Generation("gemini", model, streaming, as_array=streaming and not sse)


def _embeddings(request: Request) -> Document:
    body = request.json
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: list[float] | str = [0.25, -0.5, 1.0]
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", 0.25, -0.5, 1.0)).decode()
    data = [
        {"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))
    ]
    usage = {"prompt_tokens": 90, "total_tokens": 90}
    return Document({"object": "list", "data": data, "model": body["model"], "usage": usage})


def _echo(request: Request) -> Document:
    """What any other path answers: what was understood of the request."""
    content_type = request.headers.get("Content-Type", "")
    said: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "content_type": content_type,
        "size": len(request.body),
    }
    if content_type.startswith("application/json"):
        said["json"] = request.json
    elif content_type.startswith("multipart/"):
        said["parts"] = _parts(content_type, request.body)
    return Document({"object": "echo", **said})


def _parts(content_type: str, body: bytes) -> list[dict[str, Any]]:
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return [
        {
            "name": part.get_param("name", header="content-disposition"),
            "filename": part.get_filename(),
            "size": len(part.get_payload(decode=True)),
        }
        for part in message.walk()
        if not part.is_multipart()
    ]


_POSTS: dict[str, Callable[[Request], Generation | Document]] = {
    "/v1/chat/completions": _chat,
    "/v1/responses": _plain,
    "/v1/messages": _plain,
    "/v1/responses/input_tokens": lambda _: Document(
        {"object": "response.input_tokens", "input_tokens": 90}
    ),
    "/v1/messages/count_tokens": lambda _: Document({"input_tokens": 90}),
    "/v1/embeddings": _embeddings,
}


def _models(dialect: str) -> dict[str, Any]:
    match dialect:
        case "anthropic":
            data = [
                {
                    "type": "model",
                    "id": name,
                    "display_name": name,
                    "created_at": "2026-01-01T00:00:00Z",
                    "lifecycle": "active",
                }
                for name in MODELS
            ]
            ends = {"first_id": MODELS[0], "last_id": MODELS[-1]}
            return {"data": data, "has_more": False, **ends}
        case "gemini":
            methods = ["generateContent", "countTokens"]
            models = [
                {
                    "name": f"models/{name}",
                    "displayName": name,
                    "inputTokenLimit": 1_000_000,
                    "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": methods,
                }
                for name in MODELS
            ]
            return {"models": models}
        case _:
            owned = {"object": "model", "created": 1_795_000_001, "owned_by": "fault"}
            return {"object": "list", "data": [{"id": name, **owned} for name in MODELS]}


def _scenario(scenario: str | Scenario) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else SCENARIOS[scenario]
