"""The rows of docs/messages.md, and whether a message is what a row says."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "messages.md"


class Row(NamedTuple):
    """``says`` and ``step`` are parts of a message, with … for what differs; ``ends`` is its exit
    code or status. A ``step`` in italics is the page's own.
    """

    when: str
    says: str
    step: str
    ends: str

    def fits(self, message):
        """Whether *message* has both parts, in this order."""
        parts = [self.says] if self.step.startswith("*") else [self.says, self.step]
        pattern = ".*".join(_pattern(part) for part in parts)
        return re.search(pattern, " ".join(message.split())) is not None

    def status(self, vendor):
        """The status for clients of *vendor*."""
        usual, *others = re.findall(r"\d+", self.ends)
        named = re.findall(r"(\w+): \d+", self.ends)
        return int(dict(zip(named, others, strict=True)).get(vendor, usual))


def _pattern(part):
    return ".*?".join(map(re.escape, part.split("…")))


def rows():
    """All rows of the page, by what happened."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [_cells(line) for line in lines if line.startswith("| ")]
    return [Row(*one) for one in cells if one[0] != "when"]


def _cells(line):
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [
        cell.strip().replace(r"\|", "|").replace(r"\\", "\\")
        for cell in re.split(r"(?<!\\)\|", inner)
    ]
