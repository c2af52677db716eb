"""The reference pages say what the code does."""

import re
import subprocess
import sys

import pytest

from proxypal_core.gateway import surface
from proxypal_core.hub.failure import Kind
from scripts import reference
from tests.docs.pages import ROOT


def is_of_clients(method, path):
    return surface.match(method, path).route.access is surface.Access.CLIENT


def check(*pages):
    """In a process of its own: what a command's help says hangs on who asked it for that first."""
    return subprocess.run(  # noqa: S603 — our own command
        [sys.executable, "-m", "scripts.reference", "--check", *pages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pages_are_what_the_code_says():
    result = check()

    assert result.returncode == 0, f"run: make reference\n{result.stdout}"


def test_a_stale_page_is_found(tmp_path):
    page = tmp_path / "settings.md"
    text = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    page.write_text(text.replace("`8317`", "`8318`"), "utf-8")

    assert check(page).returncode != 0


@pytest.mark.parametrize("kind", Kind)
def test_both_dialects_of_openai_tell_the_same_errors(kind):
    assert reference.told("openai-chat", kind) == reference.told("openai-responses", kind)


def test_every_setting_has_its_sentence_and_its_default_or_is_required():
    rows = re.findall(
        r"^\| `[\w.\[\]]+` \| (.+?) \| (.*?) \| (.*) \|$", reference.settings(), re.MULTILINE
    )

    assert len(rows) > 80
    assert [row for row in rows if not row[2]] == []
    assert {row[0] for row in rows if not row[1]} == {"mapping"}


def test_a_path_that_no_row_shows_stops_the_generator(monkeypatch):
    monkeypatch.setattr(reference, "PATHS", reference.PATHS[1:])

    with pytest.raises(LookupError, match="chat/completions"):
        reference.paths("client")


OF_CLIENTS = [row[:2] for row in reference.PATHS if is_of_clients(*row[:2])]


@pytest.mark.parametrize(("method", "path"), OF_CLIENTS, ids=map(" ".join, OF_CLIENTS))
def test_every_path_of_clients_may_be_written_in_the_ways_that_the_page_tells(method, path):
    _, version, rest = re.split(r"(/v1(?:beta)?)(?=/)", path)
    ways = [f"{path}/", f"/openai{path}"]
    if not path.startswith("/v1beta/models") or ":" in path:
        ways += [rest, version + path]

    pattern = surface.match(method, path).route.pattern
    assert {surface.match(method, way).route.pattern for way in ways} == {pattern}
