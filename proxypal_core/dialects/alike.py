"""Events that are as the last one was but for their text, which is most of a stream.

If ``before + text + after`` is an event whose *text* stands inside a JSON string, then so is the same
around any other text, and says the same of everything else: it needs no parsing to be known. So it is
with a number that only counts the events, and with letters that only hide how long the text is. Counts
of tokens replace one another, so that of several events the last alone has to be read. Where it cannot
be told at a glance, it is not alike, and is read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat, takewhile
from operator import eq, truth

import msgspec

from proxypal_core.wire import sse

_TEXT = rb'(?:[ !#-\[\]-\xff]++|\\["\\bfnrt])++'
_PLAIN = re.compile(_TEXT)
_UNESCAPED = re.sub(rb'["\\]', b"", bytes(range(0x20, 0x100)))
"""What of it stands for itself: that there is nothing else is seen sooner than matched."""
_NUMBER = rb"(?:0|[1-9]\d{0,14})"
_NUMBERS = re.compile(_NUMBER + rb"(?: " + _NUMBER + rb")*+")
_PLACE = re.compile(
    rb'"(?:content|text|delta)": ?"(?P<text>' + _TEXT + rb')"'
    # OpenAI's Responses number their events, and both of its dialects pad them.
    rb'|"sequence_number": ?(?P<number>' + _NUMBER + rb")(?=[,}])"
    rb'|"obfuscation": ?"(?P<padding>[0-9A-Za-z]*)"'
    # Gemini tells how many there are by now. Nothing is told by 0, so that it replaces no other.
    rb'|"(?:candidates|total)TokenCount": ?(?P<count>' + _NUMBER + rb")(?=[,}])"
)
_PLACES = 8
"""An event with more of them is read."""
_SEPARATORS = (b"\xe2\x80\xa8", b"\xe2\x80\xa9")
"""U+2028 and U+2029, which some clients want escaped."""
_BLANK_LINES = (b"\n\n", b"\r\n\r\n")

_WINDOW = 64 * 1024
_MOST = 256
"""Bytes and events that are looked at together: what is not alike among them is looked at again."""
_BORDER = 5
_NEEDLE = 8
"""Bytes of an event's end, its blank line included, and of what stands after a place, by which they are
found: CPython prepares each search for more of them for longer than it looks for so few.
"""


class Run(msgspec.Struct, frozen=True):
    """Events that are as the last one was: *raw*, as they came; what each has in the places that may
    differ, place by place; and the *texts* among those, as JSON has them between its quotes.
    """

    raw: bytes
    columns: Sequence[Sequence[bytes]]
    texts: Sequence[bytes]


class Alike:
    def __init__(self) -> None:
        self._shape: Shape | None = None

    def feed(
        self, block: bytes, say: Callable[[Run], bytes], read: Callable[[bytes], bytes]
    ) -> bytes:
        """What to send for *block*, whole events: what *say* gives for those that are alike, unless
        that is nothing; and what *read* does for each other.
        """
        told: list[bytes] = []
        at = 0
        while at < len(block):
            run = self._shape.run(block, at) if self._shape else None
            said = say(run) if run else b""
            if run and said:
                at += len(run.raw)
            else:
                end = sse.end_of_event(block, at)
                self._shape = None  # what follows may mean something else
                said = read(block[at:end])
                at = end
            told.append(said)
        return told[0] if len(told) == 1 else b"".join(told)

    def learn(self, shape: "Shape | None") -> None:
        """The event that was read, of *shape*, says nothing but a text, and how much was told."""
        self._shape = shape


class Shape:
    """An event as *literals* with places of some *kinds* in between, whose content may differ."""

    def __init__(self, literals: Sequence[bytes], kinds: Sequence[str]) -> None:
        self.literals = literals
        self.kinds = kinds
        first, *between, last = literals
        self._text = kinds.index("text")
        self._counts = "count" in kinds
        self._fits = [_FITS[kind] for kind in kinds]
        self._border = last[-_BORDER:]
        starts = [len(first), *(len(literal[_NEEDLE:]) for literal in between)]
        self._cuts = [
            (slice(start, None), literal[:_NEEDLE])
            for start, literal in zip(starts, between, strict=False)
        ]
        self._rest = slice(starts[-1], -len(last.removesuffix(self._border)) or None)

    def run(self, block: bytes, at: int) -> Run | None:
        """The events from *at* on that have this shape."""
        if not block.startswith(self.literals[0], at):
            return None
        # No text has a line's end in it: where a border stands, an event ends.
        rows = block[at : at + _WINDOW].split(self._border, _MOST)
        rows.pop()
        while len(rows) > 1 and not self._may_be(rows[-1]):
            rows.pop()
        columns = self._columns(rows)
        told = written(self.literals, columns)
        alike = len(rows) if block.startswith(told, at) else self._alike(rows, columns)
        for column, fits in zip(columns, self._fits):  # noqa: B905 — as many; asked for each event
            if not fits(column):
                alike = min(alike, sum(takewhile(truth, (fits([cell]) for cell in column))))
        if self._counts:
            alike -= 1  # the last tells how many there are
        if alike <= 0:
            return None
        if alike < len(rows):
            columns = [column[:alike] for column in columns]
            told = written(self.literals, columns)
        return Run(told, columns, columns[self._text])

    def _may_be(self, row: bytes) -> bool:
        last = self.literals[-1][: -len(self._border)]
        return row.startswith(self.literals[0]) and row.endswith(last)

    def _columns(self, rows: Sequence[bytes]) -> list[Sequence[bytes]]:
        """What *rows* have in each place if they have this shape."""
        columns: list[Sequence[bytes]] = []
        for place, needle in self._cuts:
            cuts = [row[place].partition(needle) for row in rows]
            columns.append([cut[0] for cut in cuts])
            rows = [cut[2] for cut in cuts]
        rest = self._rest
        return [*columns, [row[rest] for row in rows]]

    def _alike(self, rows: Sequence[bytes], columns: Sequence[Sequence[bytes]]) -> int:
        """How many of *rows* have this shape, with *columns* in its places."""
        cells = zip(*columns, strict=True)
        told = (written(self.literals, [[cell] for cell in row]) for row in cells)
        return sum(takewhile(truth, map(eq, (row + self._border for row in rows), told)))


def shape_of(raw: bytes) -> Shape | None:
    """That of *raw*, an event; None where no other can be known by it."""
    literals, kinds = taken_apart(raw)
    if kinds.count("text") != 1 or len(kinds) > _PLACES or not raw.endswith(_BLANK_LINES):
        return None
    return Shape(literals, kinds)


def taken_apart(raw: bytes) -> tuple[Sequence[bytes], Sequence[str]]:
    """What stands in *raw*, an event, around the places that may differ, and their kinds."""
    literals, kinds = [], []
    at = 0
    for match in _PLACE.finditer(raw):
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        literals.append(raw[at:start])
        kinds.append(kind)
        at = end
    literals.append(raw[at:])
    return literals, kinds


def written(literals: Sequence[bytes], columns: Sequence[Sequence[bytes]]) -> bytes:
    """Events that have what *columns* say between *literals*; at least one."""
    if len(columns) == 1:
        before, after = literals
        return before + (after + before).join(columns[0]) + after
    between = chain.from_iterable(zip(columns, map(repeat, literals[1:]), strict=True))
    return b"".join(chain.from_iterable(zip(repeat(literals[0]), *between, strict=False)))


def _are_texts(column: Sequence[bytes]) -> bool:
    """Whether each is one that cannot be spelt otherwise."""
    # A space keeps apart what must not be read together: a backslash and what it would escape.
    told = b" ".join(column)
    plain = not told.translate(None, _UNESCAPED) or _PLAIN.fullmatch(told) is not None
    return plain and all(column) and (told.isascii() or _is_harmless(told))


def _is_harmless(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return not any(separator in text for separator in _SEPARATORS)


def _are_numbers(column: Sequence[bytes]) -> bool:
    return b"".join(column).isdigit() and _NUMBERS.fullmatch(b" ".join(column)) is not None


def _are_counts(column: Sequence[bytes]) -> bool:
    return _are_numbers(column) and b"0" not in column


def _are_letters(column: Sequence[bytes]) -> bool:
    letters = b"".join(column)
    return letters.isalnum() or not letters


_FITS: Mapping[str, Callable[[Sequence[bytes]], bool]] = {
    "text": _are_texts,
    "number": _are_numbers,
    "count": _are_counts,
    "padding": _are_letters,
}
"""Whether all that stands in a place may, by its kind."""
