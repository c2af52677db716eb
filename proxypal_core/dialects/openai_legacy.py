"""The Completions API from before chat, as a thin form around Chat Completions."""

from proxypal_core.hub.failure import invalid
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject

# What chat has in another form, or not at all; the rest of a body means the same there.
_ONLY_HERE = frozenset({"prompt", "suffix", "best_of", "echo", "logprobs"})
_FINISHES = ("stop", "length", "content_filter")


def to_chat(doc: JsonObject) -> JsonObject:
    """The chat request that asks what *doc* asks.

    Raises:
        Malformed: a field has the wrong form.
        Refused: it uses what chat models do not do.
    """
    if doc.get("suffix"):
        raise invalid("suffix: a chat model cannot insert text; leave it out", param="suffix")
    if doc.get("echo"):
        raise invalid(
            "echo: the prompt cannot be echoed by a chat model; leave it out", param="echo"
        )
    if (jsonio.opt(doc, "best_of", jsonio.integer) or 1) > 1:
        raise invalid("best_of: only 1 is possible with a chat model", param="best_of")
    if doc.get("logprobs"):
        raise invalid("logprobs: use /v1/chat/completions for these", param="logprobs")
    chat = {key: value for key, value in doc.items() if key not in _ONLY_HERE}
    return {**chat, "messages": [{"role": "user", "content": _prompt(doc)}]}


def _prompt(doc: JsonObject) -> str:
    prompt = doc.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise invalid("prompt: must be a string, or an array of one string", param="prompt")
    if not prompt:
        raise invalid("prompt: must not be empty", param="prompt")
    return prompt


def from_chat(body: bytes) -> bytes:
    """A whole chat answer in the old form; anything else, an error say, as it is."""
    try:
        doc = jsonio.load_object(body)
    except jsonio.Malformed:
        return body
    return jsonio.dumps(_completion(doc, "message")) if _has_choices(doc) else body


def from_chat_event(raw: bytes) -> bytes:
    """A raw event of a chat stream in the old form; comments, errors and the end as they are.
    Empty for an event that tells nothing the old form has a place for.
    """
    frame = sse.parse(raw)
    if frame is None or not frame.data.lstrip().startswith(b"{"):
        return raw
    try:
        doc = jsonio.load_object(frame.data)
    except jsonio.Malformed:
        return raw
    if not _has_choices(doc):
        return raw
    completion = _completion(doc, "delta")
    told = any(choice["text"] or choice["finish_reason"] for choice in completion["choices"])
    return sse.frame(jsonio.dumps(completion)) if told or completion.get("usage") else b""


def _has_choices(doc: JsonObject) -> bool:
    return isinstance(doc.get("choices"), list)


def _completion(doc: JsonObject, key: str) -> JsonObject:
    completion: JsonObject = {
        "id": f"cmpl-{str(doc.get('id', '')).removeprefix('chatcmpl-')}",
        "object": "text_completion",
        "created": doc.get("created", 0),
        "model": doc.get("model", ""),
        "choices": [_choice(one, key) for one in doc["choices"] if isinstance(one, dict)],
    }
    if "usage" in doc:
        completion["usage"] = doc["usage"]
    return completion


def _choice(choice: JsonObject, key: str) -> JsonObject:
    message = choice.get(key)
    said = message if isinstance(message, dict) else {}
    texts = (said.get("content"), said.get("refusal"))
    finish = choice.get("finish_reason")
    return {
        "text": next((text for text in texts if text and isinstance(text, str)), ""),
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": finish if finish in (None, *_FINISHES) else "stop",
    }
