"""The documents as data: their blocks, code, headings, links and commands."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


class Block(NamedTuple):
    """A fenced block; ``title`` is the file that it shows, where that is said."""

    language: str
    title: str
    text: str


_FENCED = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]*)"')


def blocks(text):
    for _, _, info, body in _FENCED.findall(text):
        title = _TITLE.search(info)
        yield Block(info.partition(" ")[0], title[1] if title else "", body)


def prose(text):
    """*text* without its blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCED.sub("", text), flags=re.DOTALL)


def inline(text):
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


# ── links ────────────────────────────────────────────────────────────────────────────────────


def links(text):
    """The targets of links and pictures."""
    return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text)))


def anchors(text):
    """What a link may name after its #, as GitHub makes it of the headings."""
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", prose(text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


# ── commands ─────────────────────────────────────────────────────────────────────────────────

SHELLS = ("sh", "bash", "shell", "console")
_BETWEEN = re.compile(r"[|&;()]+")
_BEFORE = re.compile(r"[A-Z_][A-Z0-9_]*=.*|sudo|exec|env|nohup|nice", re.DOTALL)


def commands(text):
    """The simple commands, as words, of *text*'s shell blocks: without pipes, redirections,
    variables set for them, and what a block of the console shows as answers.
    """
    for block in blocks(text):
        if block.language in SHELLS:
            for line in _lines(block):
                yield from simple_commands(line)


def _lines(block):
    """The commands of *block*, each on a line of its own unless a quotation goes on."""
    joined = block.text.replace("\\\n", " ")
    lines = joined.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    whole, here = "", ""
    for line in lines:
        if here:
            here = "" if line.strip() == here else here
            continue
        whole += line + "\n"
        try:
            shlex.split(whole, comments=True)
        except ValueError:
            continue
        yield whole
        heredoc = re.search(r"<<-?\s*['\"]?(\w+)", whole)
        whole, here = "", heredoc[1] if heredoc else ""
    assert not whole, f"a quotation does not end: {whole}"


def simple_commands(line):
    without_numbers = re.sub(r"(?<=\s)[12](?=>)", "", line)
    lexer = shlex.shlex(without_numbers, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    words = []
    tokens = iter(lexer)
    for token in tokens:
        if _BETWEEN.fullmatch(token):
            yield from _started(words)
            words = []
        elif set(token) <= set("<>&"):
            next(tokens, None)
        else:
            words.append(token)
    yield from _started(words)


def _started(words):
    while words and _BEFORE.fullmatch(words[0]):
        words = words[1:]
    if words:
        yield words
