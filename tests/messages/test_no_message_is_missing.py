"""Every message that the product has for a person stands on the page, or below with a reason."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import proxypal_core
from tests.messages.table import rows

PRODUCT = Path(proxypal_core.__file__).parent
# What makes a message of its text, and what raises it as one.
SPEAKERS = frozenset(
    {
        "BadParameter",
        "BadYaml",
        "Broken",
        "CannotStart",
        "Damaged",
        "Failure",
        "KeyAbsent",
        "KeyUnusable",
        "LoginRefused",
        "Problem",
        "Unusable",
        "UnknownModel",
        "UsageError",
        "VaultError",
        "_conflict",
        "_hidden",
        "_invalid",
        "_of_the_way",
        "fail",
        "invalid",
        "stranger",
    }
)
SHORTEST = 12
"""Letters; a shorter piece of text would be found anywhere."""

NOT_ON_THE_PAGE = {
    "told to who reads the log, or to whoever comes next": (
        "its log says why",
        "the new key was not kept",
        "the key is set from outside",
    ),
    "a remark on one of several, in a row that the page has": (
        "a secret is one of the file's own words",
        "a secret is spelt in it with escapes",
        "nothing was linked",
    ),
    "one of a provider's many ways to answer nonsense, told as the others are": (
        "the provider's answer cannot be read",
        "the provider's answer ended before",
        "the provider's answer failed without",
        "the provider's answer has no choices",
        "the provider's answer has no finish reason",
        "the provider's answer is larger than",
        "the provider's model gave no summary",
        "the provider failed without saying",
        "the provider sent an event that is no JSON",
        "no process can be started",
        "the token endpoint",
    ),
    "needs what a test elsewhere makes with more effort": (
        "--workers needs Linux",
        "the worker that answers this is starting",
        "Gemini does not fetch addresses",
        "a file that is not in the request is not taken",
        "an image cannot be given as text",
        "fetches http and https addresses alone",
        "is not an image but",
        "is not valid base64",
        "not kept as a stream",
        "only a response made with background",
        "the settings file is not shown here",
        "the keychain did not answer",
        "only macOS has the keychain",
        "no linked login called",
        "the code expired before",
        "this login ends at no address",
        "requests wait for it already",
        "any more; GET /v1/models",
        "has more in it than was written",
        "service account's key",
    ),
    "cannot come about where the settings are checked": (
        "this gateway keeps nothing",
        "routing.max_attempts is 0",
        "the provider's base_url is not a URL",
        "a schema is nested too deeply",
        "the request is nested too deeply",
    ),
}


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Where in the product each message is, and the longest of its pieces that does not differ."""
    return tuple(_messages())


def _messages() -> Iterator[tuple[str, str]]:
    for path in sorted(PRODUCT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in SPEAKERS:
                pieces = [piece for text in node.args for piece in _pieces(text)]
                longest = max(pieces, key=len, default="")
                if " " in longest and len(longest) >= SHORTEST:
                    yield f"{path.relative_to(PRODUCT)}:{node.lineno}", longest


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _pieces(text: ast.expr) -> list[str]:
    match text:
        case ast.Constant(value=str(piece)):
            return [piece]
        case ast.JoinedStr(values=values):
            return [piece for value in values for piece in _pieces(value)]
        case _:
            return []


def _words(text: str) -> str:
    """*text* without what divides a message into a page's columns."""
    return " ".join(re.findall(r"[\w'/-]+", text))


SAID = _words(" … ".join(f"{row.says} {row.step}" for row in rows()))
ELSEWHERE = [text for texts in NOT_ON_THE_PAGE.values() for text in texts]


def test_every_message_of_the_product_has_a_row():
    missing = {
        where: piece
        for where, piece in messages()
        if _words(piece) not in SAID and not any(text in piece for text in ELSEWHERE)
    }

    assert missing == {}


def test_what_is_not_on_the_page_is_said_by_the_product():
    pieces = [piece for _, piece in messages()]

    assert [text for text in ELSEWHERE if not any(text in piece for piece in pieces)] == []
