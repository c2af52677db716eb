"""Every link within the repository leads to a file, and to a heading where it names one."""

import re

import pytest

from tests.docs.pages import DOCUMENTS, anchors, every_document, links


def dead_links(document):
    for link in links(document.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = document.parent / path if path else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8"))
        ):
            yield link


@every_document
def test_every_link_leads_somewhere(document):
    assert list(dead_links(document)) == []


@pytest.mark.parametrize("link", ["no.md", "#no", "there.md#no"])
def test_a_link_that_leads_nowhere_is_found(tmp_path, link):
    (tmp_path / "there.md").write_text("# There is\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n[so](there.md#there-is), [there](there.md), [x]({link})\n")

    assert list(dead_links(page)) == [link]


def test_the_documents_have_links_at_all():
    found = [link for document in DOCUMENTS for link in links(document.read_text("utf-8"))]

    assert any("#" in link for link in found)
    assert any(link.endswith(".png") for link in found)
