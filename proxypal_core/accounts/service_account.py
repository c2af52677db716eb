"""Google service accounts: a signed statement instead of a login.

The statement is a JWT that asks for an access token (RFC 7523), signed with the account's own key:
https://developers.google.com/identity/protocols/oauth2/service-account
"""

from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxypal_core.accounts.oauth import LoginRefused, base64url
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

TOKEN_URI = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LIFE = 3600
"""Seconds that a statement holds; Google allows no more."""


def token_uri(key_file: JsonObject) -> str:
    """Where the account of *key_file*, the JSON that Google's console gives, asks for tokens."""
    named = key_file.get("token_uri")
    return named if isinstance(named, str) and named else TOKEN_URI


def form(key_file: JsonObject, now: float) -> Mapping[str, str]:
    """What the token endpoint is asked at *now*.

    Raises:
        LoginRefused: *key_file* has no RSA key that can sign.
    """
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": _assertion(key_file, int(now)),
    }


def _assertion(key_file: JsonObject, now: int) -> str:
    try:
        email = jsonio.need(key_file, "client_email", jsonio.filled)
        pem = jsonio.need(key_file, "private_key", jsonio.filled)
        key = load_pem_private_key(pem.encode(), password=None)
    except (jsonio.Malformed, ValueError, TypeError, UnsupportedAlgorithm):
        # The cause may quote the key.
        raise LoginRefused("key", "the service account's key file cannot be used") from None
    if not isinstance(key, RSAPrivateKey):
        raise LoginRefused("key", "the service account's key is not an RSA key")
    head = {"alg": "RS256", "typ": "JWT"}
    if isinstance(key_file.get("private_key_id"), str):
        head["kid"] = key_file["private_key_id"]
    body = {
        "iss": email,
        "scope": SCOPE,
        "aud": token_uri(key_file),
        "iat": now,
        "exp": now + _LIFE,
    }
    signed = f"{base64url(jsonio.dumps(head))}.{base64url(jsonio.dumps(body))}"
    return f"{signed}.{base64url(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"
