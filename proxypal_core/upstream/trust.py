"""Whose certificates are believed: the system's, and those of one file more."""

import ssl
import sys
from functools import cache
from pathlib import Path


@cache
def roots(ca_file: str = "") -> ssl.SSLContext:
    """What a client verifies servers with: the system's certificate authorities, and those in
    *ca_file* (PEM), such as a company's that looks into TLS. Read once.

    Raises:
        OSError: *ca_file* cannot be read, or holds no certificate.
    """
    context = _system()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        context.load_verify_locations(cafile=Path(ca_file).expanduser())
    return context


def is_empty(context: ssl.SSLContext) -> bool:
    """Whether *context* believes nobody. Where the system's store is no file, that is not known."""
    if sys.platform in ("darwin", "win32"):
        return False
    folder = ssl.get_default_verify_paths().capath or ""  # read when a certificate is looked for
    return not (context.get_ca_certs() or (folder and any(Path(folder).iterdir())))


def _system() -> ssl.SSLContext:
    """The system's authorities. Not `ssl.create_default_context`, whose strict flag (since Python
    3.13) refuses the roots of many companies, which browsers accept.
    """
    if sys.platform in ("darwin", "win32"):
        # Their stores are no files: only the system itself knows what its owner trusts.
        import truststore  # noqa: PLC0415 — needed, and installed, there alone

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Elsewhere truststore reads the same files anew for every connection: 45 ms on the event loop.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
