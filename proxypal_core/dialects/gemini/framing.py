"""The frames of a stream in the only form that Google's clients read."""

ARRAY_START = b"["
ARRAY_END = b"]"


def frame(data: bytes) -> bytes:
    """An event as Google's servers write it; their own clients read no other form."""
    return b"data: %b\r\n\r\n" % data


def as_array_item(frame_data: bytes, first: bool) -> bytes:  # noqa: FBT001 — two words of one sentence
    """*frame_data* as the next element of the array that a stream without ``alt=sse`` is.

    ``ARRAY_END`` closes it; a stream without any element is ``ARRAY_START + ARRAY_END``.
    """
    return (ARRAY_START if first else b",\r\n") + frame_data
