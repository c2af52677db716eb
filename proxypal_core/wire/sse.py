"""Server-sent events, both ways, as https://html.spec.whatwg.org/multipage/server-sent-events.html
defines them; liberal in reading (any line end, no space after the colon, no final blank line).

Bytes are cut into *raw* events, blank line included, so that what goes through untouched can be
written as it came; a raw event is parsed into a Frame only where somebody reads it.
"""

import re
from typing import NamedTuple

EVENT_LIMIT = 16 * 1024 * 1024
"""Bytes one event may have. Inline images are real; an event without end is an attack."""

_BLANK_LINE = re.compile(rb"\n(?:\n|\r\n?)|\r\r\n?")
BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event passed EVENT_LIMIT without ending."""


class Frame(NamedTuple):
    """One event: its data (lines joined by a line feed) and its name, empty when it has none."""

    data: bytes
    event: str = ""


class Splitter:
    """Cuts a byte stream into raw events. Law: joined together they are the stream."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._held = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The events that *data* completes.

        Raises:
            EventTooLong: the stream cannot be followed any further.
        """
        block = self.block(data)
        events: list[bytes] = []
        start = 0
        while start < len(block):
            end = end_of_event(block, start)
            events.append(block[start:end])
            start = end
        return events

    def block(self, data: bytes) -> bytes:
        """The events that *data* completes, in one piece.

        Raises:
            EventTooLong: the stream cannot be followed any further.
        """
        if self._held:
            begun = max(0, len(self._held) - 2)  # a blank line may have, in the last two bytes
            self._held += data
            end = _end_of_last(self._held, begun)
            events = bytes(self._held[:end])
            del self._held[:end]
        else:
            end = _end_of_last(data, 0)
            events = data[:end]
            if end < len(data):
                self._held += data[end:]
        if len(self._held) > self._limit:
            raise EventTooLong(f"an event of the stream is longer than {self._limit} bytes")
        return events

    def close(self) -> bytes:
        """What is left: an event that was never ended by its blank line."""
        rest = bytes(self._held)
        self._held = bytearray()
        return rest


def _end_of_last(buffer: bytes | bytearray, start: int) -> int:
    """Where the last event of *buffer* ends; 0 if none does. No event ends before *start*."""
    if buffer.find(b"\r", start) >= 0:
        # What ends earlier need not be looked for.
        near = _line_ends(buffer, start, buffer.rfind(b"\r\n\r\n", start))
        return max((found.end() for found in _BLANK_LINE.finditer(buffer, near)), default=0)
    end = buffer.rfind(b"\n\n", start) + 2
    if end < 2:
        return 0
    if buffer[end - 3 : end - 2] == b"\n":
        # Of three line feeds, the first two end an event.
        end -= (end - _line_ends(buffer, 0, end)) % 2
    return end


def _line_ends(buffer: bytes | bytearray, start: int, end: int) -> int:
    """Where the line ends before *end* begin, which follow one another; not before *start*."""
    while end > start and buffer[end - 1] in b"\r\n":
        end -= 1
    return max(start, end)


def end_of_event(block: bytes, start: int) -> int:
    """Where the event that begins at *start* of *block*, whole events, ends."""
    end = block.find(b"\n\n", start)
    if block.find(b"\r", start, end if end >= 0 else len(block)) < 0:
        return end + 2 if end >= 0 else len(block)
    found = _BLANK_LINE.search(block, start)
    return found.end() if found else len(block)


def parse(raw: bytes) -> Frame | None:
    """The event that *raw* holds, or None when it has no data (a comment, a blank line)."""
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.find(b"\n") == len(raw) - 2:
        return Frame(raw[6:-2]) if b"\r" not in raw else _parse_lines(raw)
    return _parse_lines(raw)


def _parse_lines(raw: bytes) -> Frame | None:
    name = b""
    data: list[bytes] = []
    for line in raw.removeprefix(BOM).splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if not data:
        return None
    return Frame(b"\n".join(data), name.decode("utf-8", "replace"))


def frame(data: bytes, event: str = "") -> bytes:
    """The canonical bytes of an event whose *data* is one line."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
