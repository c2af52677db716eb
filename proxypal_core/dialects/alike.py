"""Events that are as the last one was but for their text, which is most of a stream.

If ``before + text + after`` is an event whose *text* stands inside a JSON string, then so is the same
around any other text, and says the same of everything else: it needs no parsing to be known. Where it
cannot be told at a glance, it is not alike, and is read.
"""

import re

_TEXT = rb'(?:[^"\\\x00-\x1f]++|\\["\\bfnrt])++'
_WHERE = re.compile(rb'"(?:content|text|delta)":"(' + _TEXT + rb')"')
_WHOLE = re.compile(_TEXT)
_SEPARATORS = (b"\xe2\x80\xa8", b"\xe2\x80\xa9")
"""U+2028 and U+2029, which some clients want escaped."""


class Alike:
    def __init__(self) -> None:
        self._before = self._after = b""

    def learn(self, raw: bytes) -> None:
        """*raw*, an event that was read, says nothing but a text."""
        before, self._after = around(raw)
        self._before = before if raw.endswith(b"\n\n") else b""

    def forget(self) -> None:
        """Something else has come, and what follows may mean something else."""
        self._before = b""

    def text_in(self, raw: bytes) -> bytes:
        """The text of *raw*, as JSON has it between its quotes; empty where it is not alike."""
        before, after = self._before, self._after
        if not before or not (raw.startswith(before) and raw.endswith(after)):
            return b""
        text = raw[len(before) : len(raw) - len(after)]
        if not _WHOLE.fullmatch(text) or not (text.isascii() or _is_harmless(text)):
            return b""
        return text


def around(raw: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the only text of *raw*; nothing where there are several."""
    found = _WHERE.search(raw)
    if found is None or _WHERE.search(raw, found.end()) is not None:
        return b"", b""
    return raw[: found.start(1)], raw[found.end(1) :]


def _is_harmless(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return not any(separator in text for separator in _SEPARATORS)
