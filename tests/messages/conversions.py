"""Requests that say what the target's dialect cannot, or that no dialect says so."""

from tests.messages.requests import Asked

_CHAT, _RESPONSES = ("openai-chat",), ("openai-responses",)
_ANTHROPIC, _GEMINI = ("anthropic",), ("gemini",)
_PROGRAM = "backends: {my-cli: {command: cat}}\n"


def _chat(*parts, **options):
    """A message of OpenAI's Chat Completions."""
    message = {"role": "user", "content": list(parts)}
    return Asked(more={"messages": [message]}, dialects=_CHAT, **options)


def _item(*parts, **options):
    """A message of OpenAI's Responses."""
    message = {"role": "user", "content": list(parts)}
    return Asked(more={"input": [message]}, dialects=_RESPONSES, **options)


def _block(*parts):
    """A message of Anthropic's."""
    message = {"role": "user", "content": list(parts)}
    return _more(_ANTHROPIC, messages=[message])


def _parts(*parts, **options):
    """A message of Gemini's."""
    contents = [{"role": "user", "parts": list(parts)}]
    return Asked(more={"contents": contents}, dialects=_GEMINI, **options)


def _more(dialects, **fields):
    """*fields* of a request, to a provider of another dialect."""
    speaks = "openai-chat" if dialects == _ANTHROPIC else "anthropic"
    return Asked(more=fields, dialects=dialects, speaks=speaks)


def _completion(**fields):
    """*fields* of a text to be gone on with, in OpenAI's oldest form."""
    return Asked(more={"prompt": "x", **fields}, path="/v1/completions", dialects=_CHAT)


def _to_program(asked):
    """*asked* of a program of this machine."""
    return Asked(more=asked.more, dialects=asked.dialects, config=_PROGRAM, model="my-cli/default")


def _of_type(mime):
    return {"type": "file", "file": {"file_data": f"data:{mime};base64,eA=="}}


def _image(url):
    return {"type": "image_url", "image_url": {"url": url}}


def _nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


_AUDIO = {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}
_AIFF = {"inlineData": {"mimeType": "audio/aiff", "data": "eA=="}}
_STORED = {"type": "file", "file": {"file_id": "file-1"}}

CASES = {
    # ── Chat Completions and completions ──
    "There is no message": _more(_CHAT, messages=[]),
    "A role is unknown to Chat Completions": _more(_CHAT, messages=[{"role": "robot"}]),
    "A part is unknown to Chat Completions": _chat({"type": "smell"}),
    "A call names no function": _more(
        _CHAT, messages=[{"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}]
    ),
    "A call has no id": _more(
        _CHAT, messages=[{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]
    ),
    "A choice of tools is none": _more(_CHAT, tool_choice={"type": "mine"}),
    "A form of answer is unknown to Chat Completions": _more(_CHAT, response_format={"type": "x"}),
    "Several answers are wanted": _more(_CHAT, n=2),
    "Text is to be inserted": _completion(suffix="y"),
    "A prompt is to be echoed": _completion(echo=True),
    "The best of several is wanted": _completion(best_of=2),
    "Probabilities of a completion are wanted": _completion(logprobs=1),
    "There is no prompt": _completion(prompt=None),
    "A prompt is empty": _completion(prompt=""),
    # ── Responses ──
    "An item has no type": _more(_RESPONSES, input=[{}]),
    "A role is unknown to Responses": _more(_RESPONSES, input=[{"role": "robot", "content": "x"}]),
    "A part is unknown to Responses": _item({"type": "smell"}),
    "An image is missing": _item({"type": "input_image"}),
    "A file is missing": _item({"type": "input_file"}),
    "A choice of tools is none for Responses": _more(_RESPONSES, tool_choice=1),
    "A form of answer is unknown to Responses": _more(_RESPONSES, text={"format": {"type": "x"}}),
    # ── Anthropic ──
    "A role is unknown to Anthropic": _more(_ANTHROPIC, messages=[{"role": "robot"}]),
    "A block is unknown to Anthropic": _block({"type": "smell"}),
    "A source is unknown to Anthropic": _block({"type": "image", "source": {"type": "smell"}}),
    "A system prompt holds more than text": _more(_ANTHROPIC, system=[{"type": "image"}]),
    "A choice of tools is none for Anthropic": _more(_ANTHROPIC, tool_choice={"type": "mine"}),
    # ── Gemini ──
    "A role is unknown to Gemini": _more(_GEMINI, contents=[{"role": "robot"}]),
    "A part is unknown to Gemini": _parts({"smell": 1}),
    "A request is nested too deeply": Asked(
        raw=b'{"a":' * 300 + b"1" + b"}" * 300, dialects=_GEMINI
    ),
    "A model's name would lead elsewhere": Asked(model="m-/../x", dialects=_CHAT, speaks="gemini"),
    # ── what the target has no place for ──
    "An image's address is none": _chat(_image("ftp://a.example/a.png")),
    "A model takes no audio": _chat(_AUDIO),
    "A model takes no such image": _chat(_image("data:image/tiff;base64,eA==")),
    "A model takes no such file": _chat(_of_type("application/zip")),
    "A file is kept at another provider": _chat(_STORED),
    "A provider takes no such file": _parts(
        {"inlineData": {"mimeType": "video/mp4", "data": "eA=="}}, speaks="openai-chat"
    ),
    "A provider takes no such audio": _parts(_AIFF, speaks="openai-chat"),
    "A request names what one provider keeps": _more(_GEMINI, cachedContent="cachedContents/1"),
    "A program takes no audio": _to_program(_chat(_AUDIO)),
    "A program takes no such file": _to_program(_chat(_of_type("application/zip"))),
    "A program takes no file that is kept elsewhere": _to_program(_chat(_STORED)),
    # ── files at an address ──
    "An address has a password": Asked(
        more={
            "messages": [{"role": "user", "content": [_image("https://me:secret@a.example/a.png")]}]
        },
        dialects=_CHAT,
        speaks="gemini",
    ),
    "An address is not public": _chat(_image("http://127.0.0.1:9/a.png"), speaks="gemini"),
}
