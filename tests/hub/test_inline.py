"""Addresses found wherever a request may have them, and bytes put in their places."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.hub.inline import shown, urls, with_bytes
from proxypal_core.hub.messages import (
    Base64,
    CacheMark,
    File,
    Image,
    PlainText,
    Request,
    Text,
    ToolResult,
    Turn,
    Url,
)

PNG = Base64("image/png", "iVBORw0KGgo=")
PDF = Base64("application/pdf", "JVBERi0=")
PAGE = Base64("text/html", "PGh0bWw+")

_urls = st.builds(Url, st.sampled_from([f"https://h/{n}" for n in range(5)]), st.just("image/png"))
_sources = st.one_of(_urls, st.just(PNG), st.just(PlainText("a")))
_leaves = st.one_of(
    st.builds(Text, st.text(max_size=3)), st.builds(Image, _sources), st.builds(File, _sources)
)
_parts = st.one_of(
    _leaves, st.builds(ToolResult, st.just("c"), st.lists(_leaves, max_size=3).map(tuple))
)
_turns = st.builds(
    Turn, st.sampled_from(["user", "assistant"]), st.lists(_parts, max_size=4).map(tuple)
)
requests = st.builds(
    lambda turns: Request(dialect="openai-chat", model="m", turns=tuple(turns)),
    st.lists(_turns, max_size=4),
)


def asking(*parts):
    return Request(dialect="openai-chat", model="m", turns=(Turn("user", parts),))


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(requests)
def test_with_all_its_files_a_request_points_nowhere(request):
    found = {url.url: PNG for url in urls(request)}

    filled = with_bytes(request, found)

    assert urls(filled) == ()
    assert b"https://h/" not in msgspec.json.encode(filled)


@given(requests)
def test_each_address_is_found_once(request):
    encoded = msgspec.json.encode(request).decode()

    found = [url.url for url in urls(request)]

    assert len(found) == len(set(found))
    assert {f"https://h/{n}" for n in range(5) if f"https://h/{n}" in encoded} == set(found)


@given(requests)
def test_without_files_a_request_stays_as_it_is(request):
    assert with_bytes(request, {}) == request


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_only_the_source_of_a_part_changes():
    mark = CacheMark("5m")
    request = asking(
        Image(Url("https://h/a"), "low", mark),
        ToolResult("c", (Text("seen"), File(Url("https://h/b"), "b.pdf")), "look", is_error=True),
    )

    filled = with_bytes(request, {"https://h/a": PNG, "https://h/b": PDF})

    assert filled == asking(
        Image(PNG, "low", mark),
        ToolResult("c", (Text("seen"), File(PDF, "b.pdf")), "look", is_error=True),
    )


def test_an_address_without_a_file_stays():
    request = asking(Image(Url("https://h/a")), Image(Url("https://h/b")))

    filled = with_bytes(request, {"https://h/b": PNG})

    assert filled == asking(Image(Url("https://h/a")), Image(PNG))


def test_a_page_is_not_sent_as_an_image():
    with pytest.raises(Refused) as caught:
        with_bytes(asking(Image(Url("https://h/a?token=t"))), {"https://h/a?token=t": PAGE})

    assert caught.value.failure.kind is Kind.INVALID
    assert (
        caught.value.failure.message
        == "https://h/a is not an image but text/html; send it as a file"
    )


def test_a_page_may_be_a_file():
    filled = with_bytes(asking(File(Url("https://h/a"))), {"https://h/a": PAGE})

    assert filled == asking(File(PAGE))


@pytest.mark.parametrize(
    ("url", "as_shown"),
    [
        ("https://h/a.png", "https://h/a.png"),
        ("https://h/@me/a.png", "https://h/@me/a.png"),
        ("https://user:hush@h/a.png", "https://h/a.png"),
        ("https://user:h@sh@h/a.png", "https://h/a.png"),
        ("https://h/a.png?signature=hush", "https://h/a.png"),
        ("https://h/a.png#hush\nhush", "https://h/a.png"),
        ("https://h/" + "a" * 5000, "https://h/" + "a" * 190),
        ("no address", "no address"),
    ],
)
def test_an_address_is_repeated_without_its_secrets(url, as_shown):
    assert shown(url) == as_shown
