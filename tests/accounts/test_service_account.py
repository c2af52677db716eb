"""A service account's statement is what Google asks for, signed with its own key."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import service_account
from proxypal_core.accounts.oauth import LoginRefused
from proxypal_core.wire import jsonio

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY_FILE = {"client_email": "it@project.example", "private_key": pem(RSA)}


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(st.floats(min_value=1e9, max_value=4e9))
def test_the_statement_holds_an_hour_and_is_signed_by_the_key(now):
    form = service_account.form(KEY_FILE, now)
    head, body, signature = form["assertion"].split(".")
    told = jsonio.loads(unpadded(body))

    RSA.public_key().verify(unpadded(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert told["iat"] <= now < told["iat"] + 1
    assert told == {
        "iss": "it@project.example",
        "scope": service_account.SCOPE,
        "aud": service_account.TOKEN_URI,
        "iat": int(now),
        "exp": int(now) + 3600,
    }


def test_the_key_is_named_where_the_file_names_it():
    heads = [
        jsonio.loads(unpadded(service_account.form(file, 0)["assertion"].partition(".")[0]))
        for file in (
            KEY_FILE,
            {**KEY_FILE, "private_key_id": "k1"},
            {**KEY_FILE, "private_key_id": 1},
        )
    ]

    assert [head.get("kid") for head in heads] == [None, "k1", None]


@pytest.mark.parametrize(
    ("named", "uri"),
    [
        ("https://id.example/t", "https://id.example/t"),
        ("", service_account.TOKEN_URI),
        (3, service_account.TOKEN_URI),
    ],
)
def test_the_file_says_where_tokens_are_asked_for(named, uri):
    assert service_account.token_uri({"token_uri": named}) == uri


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ({}, "cannot be used"),
        ({**KEY_FILE, "client_email": ""}, "cannot be used"),
        ({**KEY_FILE, "private_key": "CANARY"}, "cannot be used"),
        ({**KEY_FILE, "private_key": pem(ed25519.Ed25519PrivateKey.generate())}, "not an RSA key"),
    ],
)
def test_a_file_that_cannot_sign_is_refused_without_being_quoted(file, why):
    with pytest.raises(LoginRefused, match=why) as caught:
        service_account.form(file, 0)

    assert "CANARY" not in str(caught.value)
