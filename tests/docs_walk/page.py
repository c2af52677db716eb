"""A page of the documents as its reader takes it: commands one after the other, and what they print."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(?P<language>\w*)[^\n`]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<'(\w+)'")


class Step(NamedTuple):
    """A command, whole with its continued lines and here-documents, and what the page shows of what
    it prints, "" if it shows nothing.
    """

    command: str
    shown: str = ""


def steps(text):
    """The commands of the ``sh`` blocks of *text*. A block without a language that comes directly
    after one is what its last command prints.
    """
    found = []
    end = None
    for block in _BLOCK.finditer(text):
        follows = end is not None and not text[end : block.start()].strip()
        end = None
        if block["language"] == "sh":
            found += map(Step, commands(block["text"]))
            end = block.end()
        elif not block["language"] and follows:
            found[-1] = Step(found[-1].command, block["text"])
    return found


def commands(block):
    """The commands of a shell block, without comments that have a line of their own."""
    lines = iter(block.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        command = [line]
        while command[-1].endswith("\\"):
            command.append(next(lines))
        if here := _HEREDOC.search(line):
            while command[-1] != here[1]:
                command.append(next(lines))
        yield "\n".join(command)


def missing(shown, printed):
    """The first line of *shown* that *printed* does not have, in order; None if all are there. A
    ``…`` in a line stands for any text, a line of nothing else for any lines.
    """
    rest = iter(printed.splitlines())
    for wanted in filter(None, map(str.rstrip, shown.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if wanted != "…" and not any(pattern.fullmatch(line.rstrip()) for line in rest):
            return wanted
    return None
