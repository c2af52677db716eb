"""The head of a message says what it was told, or is not written at all."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.wire.head import head

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), max_size=12)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)


@given(names=NAMES, data=st.data())
def test_another_reads_what_was_written(names, data):
    names = [name for name in names if name not in {"content-length", "transfer-encoding", "host"}]
    values = [data.draw(VALUES) for _ in names]
    written = head("GET /a HTTP/1.1", ("host", *names), ("x", *values))
    server = h11.Connection(h11.SERVER)
    server.receive_data(written)
    request = server.next_event()

    assert (request.method, request.target) == (b"GET", b"/a")
    assert request.headers.raw_items()[1:] == [
        (name.encode(), value.encode()) for name, value in zip(names, values, strict=True)
    ]


@given(
    before=VALUES,
    end=st.sampled_from("\r\n\0"),
    after=VALUES,
    place=st.sampled_from(["name", "value"]),
)
def test_nobody_ends_a_line_from_within(before, end, after, place):
    broken = before + end + after
    name, value = (broken, "x") if place == "name" else ("x", broken)

    with pytest.raises(ValueError, match=r"a header|the name"):
        head("GET / HTTP/1.1", (name,), (value,))
    with pytest.raises(ValueError, match="a header"):
        head(broken, (), ())


@pytest.mark.parametrize("name", ["a:b", "a b", "ä", "a\tb"])
def test_a_name_is_one_word(name):
    with pytest.raises(ValueError, match="the name"):
        head("GET / HTTP/1.1", (name,), ("x",))


def test_each_name_has_its_value():
    with pytest.raises(ValueError, match="size"):
        head("GET / HTTP/1.1", ("a", "b"), ("x",))
