"""Every setting that a document shows is one, and every variable of ours is told of."""

import re

import pytest
import yaml

from proxypal_core.settings.parse import SettingsError, parse
from scripts import reference
from tests.docs.pages import DOCUMENTS, ROOT, blocks, every_document, inline


def settings(text):
    """The blocks of *text* that are settings: YAML that is not titled as another file's."""
    return [
        block.text
        for block in blocks(text)
        if block.language in ("yaml", "yml") and block.title in ("", "config.yaml")
    ]


def problems(block):
    names = re.findall(r"\$\{(\w+)\}", block)
    return _problems(block, {name: f"any-{name}" for name in names}) and _problems(
        block, {name: f"https://{name}.example" for name in names}
    )


def _problems(block, variables):
    try:
        parse(block, variables)
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


@every_document
def test_every_setting_that_is_shown_is_one(document):
    found = {block: problems(block) for block in settings(document.read_text("utf-8"))}

    assert {block: wrong for block, wrong in found.items() if wrong} == {}, (
        'a block of another file says which: ```yaml title="compose.yaml"'
    )


@pytest.mark.parametrize("block", ["listen: {prot: 1}", "routing: {strategy: best}", "a: [", "- 1"])
def test_a_setting_that_is_none_is_found(block):
    (shown,) = settings(f"```yaml\n{block}\n```\n")

    assert problems(shown)


def test_the_documents_show_settings_at_all():
    shown = [block for page in DOCUMENTS for block in settings(page.read_text("utf-8"))]

    assert len({key for block in shown for key in yaml.safe_load(block)}) > 5


def test_every_variable_of_ours_is_told_of():
    modules = (ROOT / "proxypal_core").rglob("*.py")
    read = {name for page in modules for name in re.findall(r'"(PROXYPAL_\w+)"', page.read_text())}
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")

    # An agent that is set up for the proxy finds its key there; the daemon never reads it.
    assert set(re.findall(r"^\| `(PROXYPAL_\w+)`", page, re.MULTILINE)) == read - {
        "PROXYPAL_API_KEY"
    }


# ── in the middle of a sentence ──────────────────────────────────────────────────────────────

KINDS = dict(re.findall(r"^\| `([\w.\[\]]+)` \| ([^|]+) \|", reference.settings(), re.MULTILINE))
PATHS = {path.replace("[]", "") for path in KINDS}
FREE = {path.replace("[]", "") for path, kind in KINDS.items() if kind.startswith("mapping of ")}
"""Settings whose keys are the user's own."""
SECTIONS = {path.partition(".")[0] for path in PATHS}
_NAMED = re.compile(r"\w+(?:\[\w*\])?(?:\.\w+(?:\[\w*\])?)+")
_FILE = re.compile(r"^(?:vault\.key|state\.db)|\.(?:py|md|ya?ml|json|js|toml|csv)$")


def named(text):
    """The settings that sentences of *text* name, as ``section.key``."""
    found = filter(_NAMED.fullmatch, inline(text))
    return {
        name for name in found if re.split(r"\W", name)[0] in SECTIONS and not _FILE.search(name)
    }


def is_setting(name):
    path = re.sub(r"\[\w*\]", "", name)
    return path in PATHS or any(path.startswith(f"{free}.") for free in FREE)


OWN = [page for page in DOCUMENTS if not page.name.startswith("from-")]
"""Pages about moving from other programs name the settings of those, too."""


@pytest.mark.parametrize("document", OWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_setting_that_a_sentence_names_is_one(document):
    names = named(document.read_text("utf-8"))

    assert [name for name in names if not is_setting(name)] == []


def test_a_setting_in_a_sentence_that_is_none_is_found():
    text = "Set `routing.colour`, `accounts[].proxy`, `backends.my-cli.timeout`, not `gateway/usage.py`."

    assert [name for name in named(text) if not is_setting(name)] == ["routing.colour"]
