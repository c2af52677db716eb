"""Entries of a vault, sealed for a place outside it: with a key of their own that the vault's makes."""

import base64
import hashlib
import hmac
import os

from proxypal_core.store.master_key import MasterKey
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_NONCE = 12


class Unopened(Exception):
    """The text is not what was sealed with this key under this name and generation."""


class Sealing:
    """AES-256-GCM with the HMAC-SHA-256 of the vault's key and *context* for a key. A text opens only
    under its own name and generation. All with the same master key and *context* open each other's.
    """

    def __init__(self, key: MasterKey, context: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 — 7 MB, as for the vault

        self.key_id = key.id.hex()
        self._cipher = AESGCM(
            hmac.digest(key.data, b"proxypal shared state\0" + context.encode(), hashlib.sha256)
        )

    def sealed(self, name: str, generation: int, value: JsonObject) -> str:
        nonce = os.urandom(_NONCE)
        data = self._cipher.encrypt(nonce, jsonio.dumps(value), _bound_to(name, generation))
        return base64.b64encode(nonce + data).decode()

    def opened(self, name: str, generation: int, text: str) -> JsonObject:
        """What was sealed.

        Raises:
            Unopened: it is something else.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 — as above

        try:
            data = base64.b64decode(text, validate=True)
            plain = self._cipher.decrypt(data[:_NONCE], data[_NONCE:], _bound_to(name, generation))
        except (InvalidTag, ValueError):
            raise Unopened from None
        return jsonio.load_object(plain)


def _bound_to(name: str, generation: int) -> bytes:
    return b"%d\0%s" % (generation, name.encode())
