"""A certificate that was renewed on disk is shown from then on; one that cannot be used is not."""

import asyncio
import shutil
import ssl

import pytest
from cryptography import x509

from proxypal_core.daemon.certificate import Certificate
from proxypal_core.settings.schema import Tls
from tests.certificate import self_signed
from tests.proxies.servers import Server


@pytest.fixture
def folders(tmp_path):
    """The folder that is served from, and one with a newer certificate."""
    made = tmp_path / "served", tmp_path / "renewed"
    for folder in made:
        folder.mkdir()
        self_signed(folder)
    return made


async def _silent(reader, writer):
    await reader.read()


def key_of(cert):
    return cert.public_key().public_numbers()


def key_in(folder):
    return key_of(x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes()))


async def shown(server):
    """The key of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return key_of(x509.load_der_x509_certificate(der))


async def after_a_look(certificate):
    """Let *certificate* look at its files once."""
    looked = 0

    async def sleep(_):
        nonlocal looked
        looked += 1
        if looked > 1:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await certificate.follow(sleep)


async def test_a_renewed_certificate_is_shown_without_a_restart(folders):
    served, renewed = folders
    certificate = Certificate(Tls(cert=f"{served}/cert.pem", key=f"{served}/key.pem"))
    async with Server(_silent, tls=certificate.context) as server:
        before = await shown(server)
        old = key_in(served)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(renewed / name, served / name)
        await after_a_look(certificate)
        after = await shown(server)

    assert before == old
    assert after == key_in(renewed) != old


@pytest.mark.parametrize("spoilt", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("how", ["half renewed", "empty", "gone"])
async def test_what_does_not_fit_changes_nothing(folders, spoilt, how):
    served, renewed = folders
    old = key_in(served)
    certificate = Certificate(Tls(cert=f"{served}/cert.pem", key=f"{served}/key.pem"))
    match how:
        case "half renewed":
            shutil.copy(renewed / spoilt, served / spoilt)
        case "empty":
            (served / spoilt).write_bytes(b"")
        case _:
            (served / spoilt).unlink()
    async with Server(_silent, tls=certificate.context) as server:
        await after_a_look(certificate)
        after = await shown(server)

    assert after == old


def test_one_that_cannot_be_used_at_the_start_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Certificate(Tls(cert=f"{tmp_path}/none.pem", key=f"{tmp_path}/none.pem"))
