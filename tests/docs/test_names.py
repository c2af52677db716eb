"""What the documents say is so: names exist, commands work, lists are whole."""

import re
import tomllib
from importlib import import_module

import aiohttp
import pytest

from proxypal_core.providers.catalog import builtin_rows
from proxypal_core.upstream import demo
from tests.docs.pages import DOCUMENTS, ROOT, commands, every_document, inline
from tests.proxy import proxy

PACKAGE = ROOT / "proxypal_core"
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CONFIG = (ROOT / "config.yaml").read_text()
MODULES = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))


# ── names ────────────────────────────────────────────────────────────────────────────────────

_TOP = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir())}
_PLACE = re.compile(r"(?P<path>[\w.*-]+(?:/[\w.*-]+)*/?)(?:: (?P<name>[A-Za-z_][\w.]*))?")


def places(text):
    """The paths named in *text*, each with the name in it, if one is given."""
    for match in filter(None, map(_PLACE.fullmatch, inline(text))):
        first = match["path"].partition("/")[0]
        if re.search(r"\.(py|md|yaml|toml|txt)$", match["path"]) or (
            first in _TOP and "/" in match["path"]
        ):
            yield match["path"], match["name"]


def paths_of(place):
    return [path for base in (ROOT, PACKAGE) for path in base.glob(place.rstrip("/"))]


def holds(path, name):
    """Whether the module at *path* has *name*, which may be a method's."""
    value = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for step in name.split("."):
        if not hasattr(value, step):
            return False
        value = getattr(value, step)
    return True


@every_document
def test_every_file_that_is_named_exists(document):
    missing = [place for place, _ in places(document.read_text()) if not paths_of(place)]

    assert missing == []


@every_document
def test_every_name_that_is_given_with_its_module_is_there(document):
    missing = [
        f"{place}: {name}"
        for place, name in places(document.read_text())
        if name
        and not any(holds(path, name) for path in paths_of(place) if not path.name.startswith("__"))
    ]

    assert missing == []


def test_the_documents_name_places_at_all():
    named = [place for document in DOCUMENTS for place in places(document.read_text())]

    assert ("accounts/pool.py", "Pool.lease") in named
    assert len([name for _, name in named if name]) >= 5


def test_every_decision_that_is_cited_exists():
    texts = [MODULES, *(path.read_text() for path in DOCUMENTS)]
    cited = {n for text in texts for n in re.findall(r"(?:\bsee |docs/decisions/)(\d{4})\b", text)}

    assert cited
    assert [n for n in cited if not list((ROOT / "docs/decisions").glob(f"{n}-*.md"))] == []


def test_the_table_of_rooms_is_the_folder():
    table = CONTRIBUTING.partition("## The house")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    found = {
        path.name
        for path in PACKAGE.iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    }
    assert named == found


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_make_target_exists(text):
    makefile = (ROOT / "Makefile").read_text()
    targets = {words[words.index("make") + 1] for words in commands(text) if "make" in words}

    assert targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


@every_document
def test_every_variable_of_ours_is_read_somewhere(document):
    named = set(re.findall(r"\bPROXYPAL_[A-Z_]+\b", document.read_text()))

    assert [name for name in named if f'"{name}"' not in MODULES] == []


# ── lists ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", builtin_rows(), ids=lambda row: row.name)
def test_every_provider_says_which_variable_holds_its_key(row):
    assert row.env or row.keyless or row.login_only


def test_the_settings_file_lists_every_built_in_provider():
    comment = CONFIG.partition("Built in are")[2].partition("#providers:")[0]
    listed = set(re.findall(r"[a-z][a-z0-9-]+", comment.replace("##", " "))) - {"and"}

    assert listed == {row.name for row in builtin_rows()}


@pytest.mark.parametrize("text", [README, CONFIG], ids=["README", "config.yaml"])
def test_every_variable_for_a_key_belongs_to_a_provider(text):
    named = set(re.findall(r"\b[A-Z]+_API_KEY\b", text))

    assert named
    assert named <= {name for row in builtin_rows() for name in row.env}


def test_the_demo_s_models_and_commands_are_all_told():
    section = README.partition("## The demo provider")[2].partition("\n## ")[0]

    assert set(re.findall(r"`demo/([a-z0-9-]+)`", section)) == set(demo.MODELS)
    assert set(re.findall(r"`/([a-z0-9-]+)`", section)) == set(demo.MODELS) - {"echo"}


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    needed = [*project["dependencies"], *(spec for extra in extras for spec in extra)]
    table = (ROOT / "docs/decisions/0003-dependencies.md").read_text()

    told = re.findall(r"^\| ([A-Za-z][\w.-]*)(?: \(extra\))? \|", table, re.MULTILINE)
    assert set(told) - {"dependency"} == {re.match(r"[\w.-]+", spec)[0] for spec in needed}


# ── commands ─────────────────────────────────────────────────────────────────────────────────

CURLS = [words for words in commands(README) if words[0] == "curl"]


def request_of(words):
    """The URL, headers and body that a curl command sends."""
    url, headers, body = "", {}, b""
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-N" | "-i":
                pass
            case "-H":
                name, _, value = next(rest).partition(":")
                headers[name] = value.strip()
            case "-d":
                body = next(rest).encode()
            case _:
                assert not word.startswith("-"), word
                assert not url, word
                url = word
    return url, headers, body


def test_the_readme_shows_a_command_for_each_dialect():
    paths = {request_of(words)[0].partition("8317")[2].partition("?")[0] for words in CURLS}

    assert len(paths) == 4


@pytest.mark.parametrize("words", CURLS, ids=lambda words: " ".join(words)[:90])
async def test_every_command_of_the_readme_answers(words, fault_server):
    # The one command that needs a key finds a vendor that takes any.
    vendor = (
        "\nproviders:\n"
        f"  - {{name: anthropic, dialect: anthropic, base_url: '{fault_server.origin}'}}\n"
    )
    url, headers, body = request_of(words)

    async with (
        proxy(CONFIG + vendor, {"ANTHROPIC_API_KEY": "any"}) as p,
        aiohttp.ClientSession() as session,
        session.post(
            url.replace("http://127.0.0.1:8317", p.url), headers=headers, data=body
        ) as answer,
    ):
        text = await answer.text()

    assert url.startswith("http://127.0.0.1:8317/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "Hello" in text or fault_server.requests


async def test_the_route_of_the_settings_file_shows_failover():
    body = {"model": "demo-failover", "messages": [{"role": "user", "content": "Hello!"}]}
    async with (
        proxy(CONFIG) as p,
        aiohttp.ClientSession() as session,
        session.post(f"{p.url}/v1/chat/completions", json=body) as answer,
    ):
        await answer.read()

    assert answer.status == 200
    assert answer.headers["x-proxypal-attempts"] == "2"
    for name in re.findall(r"`(x-proxypal-[a-z]+)`", README):
        assert answer.headers[name]
