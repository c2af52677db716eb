"""What was compressed comes back, piece by piece, and is seen to grow as it does."""

import gzip
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.wire.inflate import inflated

PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
encodings = st.sampled_from(sorted(PACKERS))
texts = st.builds(lambda seed, times: seed * times, st.binary(max_size=50), st.integers(0, 5000))


@given(encodings, st.lists(texts, min_size=1, max_size=3))
def test_members_and_frames_are_one_text(encoding, parts):
    packed = b"".join(map(PACKERS[encoding], parts))
    pieces = list(inflated(encoding, packed))

    assert b"".join(piece for piece, _ in pieces) == b"".join(parts)
    assert all(0 < read <= len(packed) for _, read in pieces)


@given(encodings, texts.filter(len), st.data())
def test_what_has_no_end_is_refused(encoding, text, data):
    packed = PACKERS[encoding](text)
    short = packed[: data.draw(st.integers(1, len(packed) - 1))]

    with pytest.raises(ValueError, match=r"."):
        list(inflated(encoding, short))


@pytest.mark.parametrize("encoding", sorted(PACKERS))
def test_a_bomb_is_seen_while_most_of_it_is_unread(encoding):
    packed = PACKERS[encoding](b"x" * 1_000_000) * 500
    grown = 0
    for piece, read in inflated(encoding, packed):
        grown += len(piece)
        if grown > 50 * read and grown > 16_000_000:
            break

    assert grown < 100_000_000
