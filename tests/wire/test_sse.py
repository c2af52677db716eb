"""Events are cut the same however the network cuts the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.wire import sse
from tests.strategies import cuttings

line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)


@st.composite
def streams(draw):
    """A stream with one kind of line end, and the frames it holds."""
    end = draw(line_ends)
    raw, frames = b"", []
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            raw += b": " + draw(texts).encode() + end + end
        name = draw(st.sampled_from(["", "ping", "message_start"]))
        lines = [line.encode() for line in draw(st.lists(texts, min_size=1, max_size=3))]
        if name:
            raw += b"event: " + name.encode() + end
        raw += b"".join(b"data: " + line + end for line in lines) + end
        frames.append(sse.Frame(b"\n".join(lines), name))
    return raw, frames


def read(chunks):
    splitter = sse.Splitter()
    raws = [raw for chunk in chunks for raw in splitter.feed(chunk)]
    raws.append(splitter.close())
    return raws, [frame for frame in map(sse.parse, raws) if frame is not None]


@given(streams(), st.data())
def test_cutting_never_shows(stream, data):  # cases 133, 134, 136, 140
    raw, frames = stream

    _, read_frames = read(data.draw(cuttings(raw)))

    assert read_frames == frames


@given(
    st.binary(max_size=200).map(lambda b: b.replace(b"x", b"\n").replace(b"y", b"\r")), st.data()
)
def test_what_was_cut_joins_to_what_came(raw, data):
    raws, _ = read(data.draw(cuttings(raw)))

    assert b"".join(raws) == raw


@given(texts, st.sampled_from(["", "error"]))
def test_a_written_frame_reads_back(text, name):
    written = sse.frame(text.encode(), name)

    assert sse.parse(written) == sse.Frame(text.encode(), name)


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        (b"data:x\n\n", sse.Frame(b"x")),
        (b"data:  x\n\n", sse.Frame(b" x")),
        (b"data\n\n", sse.Frame(b"")),
        (b"\xef\xbb\xbfdata: x\n\n", sse.Frame(b"x")),
        (b"id: 1\nretry: 5\ndata: x\n\n", sse.Frame(b"x")),
        (b"data: a\r\rdata: b", sse.Frame(b"a\nb")),
        (b"data: a\r\ndata: b\ndata: c\r\r\n", sse.Frame(b"a\nb\nc")),
        (b"data:\n\n", sse.Frame(b"")),
        (b": comment\n\n", None),
        (b"\n", None),
        (b"", None),
        (b"data: x", sse.Frame(b"x")),
        ("data: a\u2028b\n\n".encode(), sse.Frame("a\u2028b".encode())),
    ],
)
def test_liberal_reading(raw, frame):  # cases 134, 135, 137, 138
    assert sse.parse(raw) == frame


def test_an_event_without_end_is_refused():
    splitter = sse.Splitter(limit=100)
    for _ in range(10):
        splitter.feed(b"data: xxxx")

    with pytest.raises(sse.EventTooLong):
        splitter.feed(b"data: xxxx")
