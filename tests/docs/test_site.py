"""The site builds without a warning, and asks no other host for anything."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


def build(config, place):
    return subprocess.run(  # noqa: S603 — our own command
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", place],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    place = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", place)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return place


def test_every_page_becomes_one_of_the_site(site):
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    folders = [
        page.parent / (page.stem if page.stem not in ("index", "README") else "") for page in pages
    ]

    assert [folder for folder in folders if not (site / folder / "index.html").exists()] == []


def test_no_page_loads_anything_from_elsewhere(site):
    loaded = r"<(?:script|img|iframe)[^>]* src=\"(https?:[^\"]+)|<link[^>]* href=\"(https?:[^\"]+)"
    found = [hit for page in site.rglob("*.html") for hit in re.findall(loaded, page.read_text())]

    assert found == []


def test_the_marks_of_the_generator_are_not_shown(site):
    assert [page for page in site.rglob("*.html") if "[[[" in page.read_text()] == []


def test_a_link_to_what_is_no_page_shows_its_place_in_the_repository(site):
    service = (site / "service/index.html").read_text()

    assert "contrib/systemd/system/proxypal.service</code>" in service
    assert 'href="../contrib' not in service
