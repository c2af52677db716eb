"""Every path of the daemon that a document names is one that it serves."""

import re

import pytest

from proxypal_core.gateway import api, surface
from tests.docs.pages import DOCUMENTS, blocks, every_document, inline

_URL = re.compile(r"https?://(?:127\.0\.0\.1|localhost):8317(/[^\s\"'`<>)|?#,;]*)")
_PATH = re.compile(r"(?:(GET|HEAD|POST|PUT|DELETE|PATCH) )?(/(?:v1|v1beta|api)(?:[/?#]\S*)?)")
_METHODS = ("GET", "POST", "PUT", "DELETE")

# An address of ours that clients append their own paths to.
_BASES = {"/v1", "/anthropic", "/openai", "/gemini", "/v1beta", "/api"}
# Other programs' paths.
_FOREIGN = {"/api/internal"}


def paths(text):
    """The method, where one is said, and the path of every address and path of ours in *text*."""
    for place in (*inline(text), *(block.text for block in blocks(text))):
        for path in _URL.findall(place):
            yield "", path
    for code in inline(text):
        found = _PATH.fullmatch(code)
        if found:
            yield found[1] or "", found[2]


def is_served(method, path):
    plain = re.split(r"[?#]", path)[0].rstrip("/.")
    # What a reader is to fill in.
    plain = re.sub(r"\{\w+\}|\$\w+|…|\*|<\w+>|(?<=/)[A-Z]+(?=/|$)", "x", plain)
    if plain.removesuffix("/x") in _BASES | _FOREIGN or not plain:
        return True
    return any(_finds(one, plain) for one in ([method] if method else _METHODS))


def _finds(method, path):
    try:
        match = surface.match(method, path)
        if match.route.operation is surface.Operation.API:
            api.find(method, path)
    except surface.NotFound:
        return False
    return True


@every_document
def test_every_path_that_is_named_is_served(document):
    named = set(paths(document.read_text("utf-8")))

    assert [place for place in sorted(named) if not is_served(*place)] == []


@pytest.mark.parametrize(
    "text",
    [
        "`POST /v1/chat/completion`",
        "`GET /api/accounts/{id}/test`",
        "`/api/acounts`",
        "```sh\ncurl http://127.0.0.1:8317/v1/message\n```",
        "`http://localhost:8317/v2`",
    ],
)
def test_a_path_that_is_not_served_is_found(text):
    (place,) = paths(text + "\n")

    assert not is_served(*place)


def test_the_documents_name_paths_at_all():
    named = {path for page in DOCUMENTS for _, path in paths(page.read_text("utf-8"))}

    assert {"/v1/chat/completions", "/api/state", "/v1/messages"} <= named
