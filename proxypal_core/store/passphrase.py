"""A key under a passphrase: one line of text that is worth nothing without it.

``proxypal-key-1:scrypt:LOG2N:SALT:BOX``, where SALT and BOX are base64. BOX is a nonce of 12 bytes
and the key sealed with AES-256-GCM under scrypt (RFC 7914, r 8, p 1) of the passphrase in UTF-8
NFC; all that stands before it is its associated data.
"""

import base64
import binascii
import os
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

LOG2_N = 17
"""128 MiB and two thirds of a second, what OWASP recommends for scrypt."""
_ALLOWED = range(14, 21)
"""A planted file must not cost more than a GiB, nor a kept one be weak."""
_SALT, _NONCE = 16, 12
_FORM = re.compile(r"(proxypal-key-1:scrypt:(\d{2}):([A-Za-z0-9+/=]{24})):([A-Za-z0-9+/=]{80})")


class NotOpened(Exception):
    """The passphrase is another one, or the text is damaged."""


def is_wrapped(text: str) -> bool:
    """Whether *text* means to be a key under a passphrase."""
    return text.startswith("proxypal-key-")


def wrap(
    key: bytes,
    passphrase: str,
    *,
    log2_n: int = LOG2_N,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """*key*, 32 bytes, under *passphrase*."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 — 7 MB, seldom needed

    salt, nonce = random(_SALT), random(_NONCE)
    head = f"proxypal-key-1:scrypt:{log2_n}:{base64.b64encode(salt).decode()}"
    sealed = AESGCM(_derived(passphrase, salt, log2_n)).encrypt(nonce, key, head.encode())
    return f"{head}:{base64.b64encode(nonce + sealed).decode()}"


@lru_cache(maxsize=4)  # the vault is read again and again, and this is slow on purpose
def unwrap(text: str, passphrase: str) -> bytes:
    """The key in *text*.

    Raises:
        NotOpened: *passphrase* does not open it, or this version cannot read it.
    """
    # As in wrap.
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    form = _FORM.fullmatch(text.strip())
    if form is None or int(form[2]) not in _ALLOWED:
        raise NotOpened
    try:
        salt = base64.b64decode(form[3], validate=True)
        box = base64.b64decode(form[4], validate=True)
        cipher = AESGCM(_derived(passphrase, salt, int(form[2])))
        return cipher.decrypt(box[:_NONCE], box[_NONCE:], form[1].encode())
    except (InvalidTag, binascii.Error):
        raise NotOpened from None


def _derived(passphrase: str, salt: bytes, log2_n: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415 — as in wrap

    spelt = unicodedata.normalize("NFC", passphrase).encode()
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=8, p=1).derive(spelt)
