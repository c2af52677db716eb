"""Limits of the process, as a server wants them."""

import sys
from contextlib import suppress

if sys.platform != "win32":
    import resource


def raise_file_limit() -> None:
    """As many open files as we may have. Each request takes two, and the usual limit of 1,024 is meant
    for programs that use ``select``.
    """
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # macOS says "infinite", and does not mean it
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
