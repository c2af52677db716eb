"""Secrets as they can be spelled on their way out, and the search for them."""

from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote

MARK = "CANARY"
"""What the suite's own secrets have in them, so that one search finds them all."""


def spellings(secret: str) -> frozenset[bytes]:
    """*secret* as it stands in texts, in JSON and in URLs, in hexadecimal, and in base64 at each of
    the three places in a group that it can begin at.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = secret.encode("ascii", "backslashreplace")
    found = {raw, escaped, quote(raw, safe="").encode(), raw.hex().encode()}
    for before in range(3):
        # A character says six bits: those that say bits of a neighbour are left out.
        first, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        text = b64encode(bytes(before) + raw)[first:end]
        found |= {text, text.translate(_URL_SAFE)}
    return frozenset(found)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
MARKS = spellings(MARK)
"""What is always looked for."""


def found_in(data: bytes, wanted: Iterable[bytes], around: int = 40) -> str:
    """The first of *wanted* that is in *data*, with what stands around it; else nothing."""
    for needle in wanted:
        at = data.find(needle)
        if at >= 0:
            return repr(data[max(0, at - around) : at + len(needle) + around])
    return ""
