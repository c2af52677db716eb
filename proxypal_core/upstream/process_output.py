"""What a program prints, read as an answer: by its lines, or as a whole. Pure but for its state."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from proxypal_core.dialects.answers import count
from proxypal_core.hub.messages import Usage
from proxypal_core.providers.backend import Backend, Output, Rule, line_rules
from proxypal_core.wire import jsonio


class Said(NamedTuple):
    """More of the answer."""

    text: str
    thought: bool = False


class Used(NamedTuple):
    usage: Usage


class Failed(NamedTuple):
    """The program says that it failed; ``status`` is what its provider answered, 0 for unknown."""

    message: str
    status: int = 0


class Done(NamedTuple):
    """The answer is complete."""


Told: TypeAlias = Said | Used | Failed | Done


class Reader(Protocol):
    session: str
    """The session that the program named, as soon as it has."""

    def feed(self, data: bytes, /) -> Iterator[Told]:
        """What *data* tells, which was just printed."""
        ...

    def close(self) -> Iterator[Told]:
        """What is told by the end of a program that exited with 0."""
        ...


def reader(backend: Backend, *, resumed: bool) -> Reader:
    output: Output = (resumed and backend.resume_output) or backend.output
    if output == "jsonl":
        return Lines(line_rules(backend.jsonl_dialect), backend.session_id_fields)
    return Whole(output, backend.session_id_fields)


# ── lines ────────────────────────────────────────────────────────────────────────────────────


class Lines:
    """A JSON object a line, told by *rules*. What is no JSON is the talk of something else."""

    def __init__(self, rules: Sequence[Rule], session_fields: Sequence[str]) -> None:
        self.session = ""
        self._rules = rules
        self._fields = session_fields
        self._held = bytearray()
        self._said = False
        self._ends_by_word = any(rule.tells == "done" for rule in rules)
        self._stray: list[str] = []

    def feed(self, data: bytes, /) -> Iterator[Told]:
        scanned = len(self._held)
        self._held += data
        if b"\n" not in data:
            return
        end = self._held.rfind(b"\n", scanned) + 1
        lines = bytes(self._held[:end]).split(b"\n")
        del self._held[:end]
        for line in lines:
            yield from self._line(line)

    def close(self) -> Iterator[Told]:
        yield from self._line(bytes(self._held))
        self._held.clear()
        if self._ends_by_word:
            return
        if not self._said and self._stray:
            yield Said("\n".join(self._stray))
        yield Done()

    def _line(self, line: bytes) -> Iterator[Told]:
        if not line.strip():
            return
        try:
            doc = jsonio.load_object(line)
        except jsonio.Malformed:
            self._stray.append(line.decode("utf-8", "replace"))
            return
        self.session = self.session or _session(doc, self._fields)
        for rule in self._rules:
            if _fits(rule, doc):
                yield from self._tell(rule, doc)

    def _tell(self, rule: Rule, doc: jsonio.JsonObject) -> Iterator[Told]:
        value = next((found for path in rule.at if (found := _at(doc, path))), None)
        text = _text(value)
        match rule.tells:
            case "delta" | "message" | "whole" if text:
                if rule.tells == "whole" and self._said:
                    return
                yield Said(f"\n{text}" if rule.tells == "message" and self._said else text)
                self._said = True
            case "thought" if text:
                yield Said(text, thought=True)
            case "usage" if isinstance(value, dict):
                yield Used(usage(value))
            case "failure":
                yield Failed(text, count(_at(doc, rule.status)))
            case "done":
                yield Done()
            case _:
                pass


def _fits(rule: Rule, doc: jsonio.JsonObject) -> bool:
    return all(
        (_at(doc, path) or _empty(wanted)) in wanted
        if isinstance(wanted, list)
        else _at(doc, path) == wanted
        for path, wanted in rule.when.items()
    )


def _empty(choices: Sequence[Any]) -> Any:
    """What a missing value counts as among *choices*."""
    return "" if "" in choices else None


def _at(doc: Any, path: str) -> Any:
    """The value at *path*, as in ``item.text``; None where there is none."""
    for key in path.split("."):
        doc = doc.get(key) if isinstance(doc, dict) else None
    return doc


# ── the whole ────────────────────────────────────────────────────────────────────────────────

_TEXT_KEYS = ("message", "content", "result", "response", "text")
_ERROR_WORDS = re.compile(r"error(?:_.*)?", re.IGNORECASE)


class Whole:
    """One JSON object, or plain text: an answer that is read when the program has ended."""

    def __init__(self, output: Literal["json", "text"], session_fields: Sequence[str]) -> None:
        self.session = ""
        self._output = output
        self._fields = session_fields
        self._held: list[bytes] = []

    def feed(self, data: bytes, /) -> Iterator[Told]:
        self._held.append(data)
        return iter(())

    def close(self) -> Iterator[Told]:
        raw = b"".join(self._held).decode("utf-8", "replace").strip()
        doc = _object_in(raw) if self._output == "json" else None
        if doc is None:
            yield Said(raw)
            yield Done()
            return
        self.session = _session(doc, self._fields)
        text = _text(doc)
        if _is_error(doc):
            yield Failed(text or _text(doc.get("error")), count(doc.get("api_error_status")))
            return
        yield Said(text)
        if isinstance(doc.get("usage"), dict):
            yield Used(usage(doc["usage"]))
        yield Done()


def _object_in(raw: str) -> jsonio.JsonObject | None:
    """The JSON object that *raw* is, or ends with: some programs greet before they answer."""
    starts = (at for at in (0, raw.find("\n{") + 1, raw.find("{")) if at >= 0)
    for start in starts:
        try:
            return jsonio.load_object(raw[start:])
        except jsonio.Malformed:
            continue
    return None


def _is_error(doc: jsonio.JsonObject) -> bool:
    """Whether an answer that came with exit code 0 is a failure all the same."""
    words = (doc.get("type"), doc.get("subtype"), doc.get("status"))
    return doc.get("is_error") is True or any(
        isinstance(word, str) and _ERROR_WORDS.fullmatch(word) for word in words
    )


def _text(value: Any) -> str:
    """The text of a string, a list of parts, or an object with one of the usual keys."""
    match value:
        case str():
            return value
        case list():
            return "".join(_text(item) for item in value)
        case dict():
            return next((text for key in _TEXT_KEYS if (text := _text(value.get(key)))), "")
        case _:
            return ""


def _session(doc: Mapping[str, Any], fields: Sequence[str]) -> str:
    found = (doc.get(field) for field in fields)
    return next((value for value in found if isinstance(value, str) and value), "")


# ── usage ────────────────────────────────────────────────────────────────────────────────────

_INPUT = ("input_tokens", "inputTokens", "input", "prompt_tokens")
_OUTPUT = ("output_tokens", "outputTokens", "output", "completion_tokens")
# Anthropic counts these beside the input, the others within it.
_READ_BESIDE = ("cache_read_input_tokens", "cacheRead")
_WRITTEN_BESIDE = ("cache_creation_input_tokens", "cacheWrite")
_READ_WITHIN = ("cached_input_tokens", "cached")
_WRITTEN_WITHIN = ("cache_write_input_tokens",)
_REASONING = ("reasoning_output_tokens", "reasoning")


def usage(doc: Mapping[str, Any]) -> Usage:
    """The tokens of *doc*, in any program's words."""
    read, written = _first(doc, _READ_BESIDE), _first(doc, _WRITTEN_BESIDE)
    return Usage(
        input_total=_first(doc, _INPUT) + read + written,
        input_cached=read or _first(doc, _READ_WITHIN),
        input_cache_write=written or _first(doc, _WRITTEN_WITHIN),
        output_total=_first(doc, _OUTPUT),
        output_reasoning=_first(doc, _REASONING),
    )


def _first(doc: Mapping[str, Any], names: Sequence[str]) -> int:
    return next((counted for name in names if (counted := count(doc.get(name)))), 0)
