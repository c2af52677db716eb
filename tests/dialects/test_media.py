"""Inline media, as clients write it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import media
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import Base64


@given(st.text(max_size=40), st.binary(max_size=40))
def test_whatever_a_client_calls_it_its_data_url_reads_back(mime, data):
    source = media.inline(mime, data.hex())

    assert media.parse_data_url(media.data_url(source)) == source


@pytest.mark.parametrize(
    ("given_type", "mime"),
    [
        ("image/png", "image/png"),
        (" Image/PNG ; charset=x", "image/png"),
        ("", "application/octet-stream"),
        ("no type, at all", "application/octet-stream"),
    ],
)
def test_the_media_type_is_one(given_type, mime):
    assert media.inline(given_type, "AAAA") == Base64(mime, "AAAA")


def test_a_file_in_bare_base64_is_a_document():
    assert media.attached("JVBERi0x", "file") == Base64("application/pdf", "JVBERi0x")
    assert media.attached("data:text/plain;base64,aGk=", "f") == Base64("text/plain", "aGk=")


@pytest.mark.parametrize(
    ("declared", "mime"), [("audio/wav", "audio/wav"), ("image/png", "image/webp")]
)
def test_the_first_bytes_of_a_webp_are_those_of_a_wav(declared, mime):
    assert media.true_mime(Base64(declared, "UklGRiQAAABXRUJQ")) == mime


def test_a_text_that_is_not_base64_is_refused():
    with pytest.raises(Refused, match="not valid base64; encode it again"):
        media.decoded_text(Base64("text/plain", "a"))


@given(st.text("AZaz09+/-_= \n", max_size=40))
def test_the_data_is_canonical(data):
    source = media.inline("image/png", data)

    assert base64.b64encode(base64.b64decode(source.data, validate=True)).decode() == source.data


@given(st.binary(max_size=40))
def test_no_byte_is_lost(data):
    for spelled in (base64.b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"=")):
        assert base64.b64decode(media.inline("image/png", spelled.decode()).data) == data


def test_both_alphabets_and_no_padding():
    assert media.inline("image/png", "-_\n8").data == "+/8="
