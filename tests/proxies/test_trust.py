"""Authorities of a file: believed in the whole program, and told when they cannot be."""

import ssl

from click.testing import CliRunner

from proxypal_core.cli.main import main
from proxypal_core.settings.describe import shown
from tests.certificate import self_signed
from tests.gateway.asking import ask
from tests.proxies.servers import Server
from tests.proxy import proxy

ANSWER = (
    b'{"choices": [{"index": 0, "finish_reason": "stop",'
    b' "message": {"role": "assistant", "content": "hi"}}]}'
)


async def _vendor(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    await reader.readexactly(length)
    about = f"content-type: application/json\r\ncontent-length: {len(ANSWER)}"
    writer.write(f"HTTP/1.1 200 OK\r\n{about}\r\n\r\n".encode() + ANSWER)
    await writer.drain()


async def test_a_provider_that_a_file_vouches_for_is_asked(tmp_path):
    files = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    answers = []
    async with Server(_vendor, tls=context) as vendor:
        text = (
            "providers: [{name: mine, dialect: openai-chat, models: [m-1],"
            f" base_url: 'https://localhost:{vendor.port}/v1'}}]\n"
            "accounts: [{id: 'mine:a', api_key: k}]\n"
        )
        for network in ("{}", f"{{ca_file: '{files.cert}'}}"):
            async with proxy(f"{text}network: {network}") as p:
                answers.append(await ask(p, "openai-chat", "m-1", stream=False))

    (refused, _, why, _), (status, *_) = answers
    assert refused >= 500
    assert b"was not accepted: self-signed certificate" in why
    assert status == 200


def test_a_file_that_cannot_be_used_is_told_before_anything_starts(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"network: {{ca_file: '{tmp_path}/none.pem'}}")

    result = CliRunner().invoke(main, ["config", "check", "--config", str(file)])

    assert result.exit_code == 78
    assert "none.pem cannot be used: No such file" in result.output


def test_the_password_of_a_proxy_is_masked_whatever_it_holds():
    assert shown("http://me:s@cr@et@127.0.0.1:1") == "http://me:***@127.0.0.1:1"
    assert shown("socks5h://me:secret@[::1]:1") == "socks5h://me:***@[::1]:1"
