"""Events that are as the last one was but for their text, which is most of a stream.

If ``before + text + after`` is an event whose *text* stands inside a JSON string, then so is the same
around any other text, and says the same of everything else: it needs no parsing to be known. So it is
with a number that only counts the events. Where it cannot be told at a glance, it is not alike, and is
read.
"""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from proxypal_core.wire import sse

_TEXT = rb'(?:[^"\\\x00-\x1f]++|\\["\\bfnrt])++'
_WHERE = re.compile(rb'"(?:content|text|delta)": ?"(' + _TEXT + rb')"')
_WHOLE = re.compile(_TEXT)
_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')
_DIGITS = 10
_PADDING = re.compile(rb'"obfuscation": ?"([0-9A-Za-z]*)"')
_LETTERS = re.compile(rb"[0-9A-Za-z]*")
"""OpenAI's Responses number their events, and pad them."""
_SEPARATORS = (b"\xe2\x80\xa8", b"\xe2\x80\xa9")
"""U+2028 and U+2029, which some clients want escaped."""

_WINDOW = 64 * 1024
_MOST = 256
"""Bytes and texts that are looked at together: what is not alike among them is looked at again."""


class Alike:
    def __init__(self) -> None:
        self._before = self._after = b""
        self._number: tuple[bytes, bytes] | None = None
        """What stands before and after a number that counts the events."""
        self._padding: tuple[bytes, bytes] | None = None
        """What stands before and after letters that hide how long the text is."""

    def feed(
        self,
        block: bytes,
        say: Callable[[Sequence[bytes], bytes], bytes],
        read: Callable[[bytes], bytes],
    ) -> bytes:
        """What to send for *block*, whole events: what *say* gives for the texts of those that are
        alike, and for these events, unless that is nothing; and what *read* does for each other.
        """
        told: list[bytes] = []
        at = 0
        while at < len(block):
            texts, end = self.texts_in(block, at)
            said = say(texts, block[at:end]) if texts else b""
            if not said:
                end = sse.end_of_event(block, at)
                self._before = b""  # what follows may mean something else
                said = read(block[at:end])
            told.append(said)
            at = end
        return told[0] if len(told) == 1 else b"".join(told)

    def learn(self, raw: bytes) -> None:
        """*raw*, an event that was read, says nothing but a text."""
        before, after = around(raw)
        self._before, self._after = before, after
        self._number, self._padding = _split(before, _NUMBER), _split(after, _PADDING)
        if not raw.endswith((b"\n\n", b"\r\n\r\n")):
            self._before = b""

    def texts_in(self, block: bytes, at: int) -> tuple[Sequence[bytes], int]:
        """The texts, as JSON has them between its quotes, of the events from *at* on that are alike,
        and where the last of them ends.
        """
        before, after = self._before, self._after
        if not before:
            return (), at
        if self._number or self._padding:
            return self._counted(block, at)
        if not block.startswith(before, at):
            return (), at
        window = block[at + len(before) : at + _WINDOW]
        texts = window.split(after + before, _MOST)
        ends = texts[-1].find(after)
        if ends < 0:
            texts.pop()
        else:
            texts[-1] = texts[-1][:ends]
        texts = _plain(texts)
        return texts, at + sum(map(len, texts)) + len(texts) * (len(before) + len(after))

    def _counted(self, block: bytes, at: int) -> tuple[Sequence[bytes], int]:
        """``texts_in`` where the events have a number or a padding."""
        head, middle = self._number or (self._before, b"")
        tail, close = self._padding or (self._after, b"")
        texts: list[bytes] = []
        while len(texts) < _MOST and block.startswith(head, at):
            start = at + len(head)
            if middle:
                ends = block.find(middle, start, start + _DIGITS + len(middle))
                if ends < 0 or not block[start:ends].isdigit():
                    break
                start = ends + len(middle)
            stop = block.find(tail, start, start + _WINDOW)
            end = stop + len(tail)
            if stop < 0 or not _is_plain(block[start:stop]):
                break
            if close:
                ends = block.find(close, end, end + _WINDOW)
                if ends < 0 or not _LETTERS.fullmatch(block, end, ends):
                    break
                end = ends + len(close)
            texts.append(block[start:stop])
            at = end
        return texts, at


def is_numbered(raw: bytes) -> bool:
    """Whether no two events are like *raw* in all but their text."""
    return bool(_NUMBER.search(raw) or _PADDING.search(raw))


def _split(told: bytes, what: re.Pattern[bytes]) -> tuple[bytes, bytes] | None:
    found = what.search(told)
    return (told[: found.start(1)], told[found.end(1) :]) if found else None


def _plain(texts: list[bytes]) -> list[bytes]:
    """Those of *texts* up to the first that is none, or could be spelt otherwise."""
    # A space keeps apart what must not be read together: a backslash and what it would escape.
    if b"" not in texts and _is_plain(b" ".join(texts)):
        return texts
    return list(takewhile(_is_plain, texts))


def _is_plain(text: bytes) -> bool:
    return _WHOLE.fullmatch(text) is not None and (text.isascii() or _is_harmless(text))


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
