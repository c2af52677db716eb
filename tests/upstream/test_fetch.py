"""Files from addresses that strangers choose: which are fetched, and which nobody gets us to touch."""

import asyncio
import base64
import gzip
import socket
import ssl
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from aiohttp.abc import AbstractResolver
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.hub.messages import Base64
from proxypal_core.upstream.fetch import AT_A_TIME, Fetcher, is_public
from tests.certificate import self_signed
from tests.file_server import PNG, file_server

HERE = ip_address("127.0.0.1")
NOT_REACHED = "it has no public address that answers"


@pytest.fixture
async def files():
    async with file_server() as server:
        yield server


def here(address):
    """The one address that these tests call public."""
    return address == HERE


class Names(AbstractResolver):
    """Names for addresses: each look-up of a name gives its next ones, the last for ever."""

    def __init__(self, **names):
        self._names = {name: list(answers) for name, answers in names.items()}
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        answers = self._names.get(host)
        if not answers:
            raise OSError(None, "no such name")
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in now.split()
        ]

    async def close(self):
        pass


def fetcher(**options):
    return Fetcher(agent="proxypal/test", **({"allow": here, "timeout": 5} | options))


async def fetched(url, **options):
    async with fetcher(**options) as fetch:
        return (await fetch.fetch([url]))[url]


async def refusal(url, **options):
    """Why *url* is not fetched, having checked how that is said."""
    with pytest.raises(Refused) as caught:
        await fetched(url, **options)
    failure = caught.value.failure
    assert failure.kind is Kind.INVALID
    return failure.message.partition(" cannot be fetched: ")[2].removesuffix(
        "; send the file itself"
    )


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

_INSIDE = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
    "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip


@given(st.sampled_from([ip_network(text) for text in _INSIDE]), st.integers(min_value=0))
def test_no_address_of_a_network_that_is_not_public_is(network, offset):
    assert not is_public(network[offset % network.num_addresses])


_WRAPPED = ["::ffff:0:0", "::", "64:ff9b::", "::ffff:0:0:0"]


@given(st.ip_addresses(v=4), st.sampled_from(_WRAPPED))
def test_no_ipv4_address_is_public_in_the_clothes_of_ipv6(address, prefix):
    assert not is_public(IPv6Address(int(IPv6Address(prefix)) + int(address)))


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700::6810:84e5"])
def test_a_public_address_is_one(address):
    assert is_public(ip_address(address))


# ── addresses that lead inside ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0.0.0.0", "0", "0177.0.0.1",
        "0177.1", "0x7f.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001",
        "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "2852039166", "0xA9FEA9FE", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.88.99.1", "198.18.0.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[::]", "[::1]",
        "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
        "[2001:0:7f00:1::1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]",
        "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]",
        "localhost", "LOCALHOST", "localhost.", "lOcAlHoSt",
    ],
)  # fmt: skip
async def test_an_address_inside_is_not_connected_to(files, host, monkeypatch):
    loop = asyncio.get_running_loop()
    getaddrinfo = loop.getaddrinfo

    async def numbers_only(name, *arguments, **options):
        """The system's own reading of numbers; no name is asked of the network."""
        name = {"localhost": "127.0.0.1"}.get(name.lower().rstrip("."), name)
        flags = options.pop("flags", 0) | socket.AI_NUMERICHOST
        return await getaddrinfo(name, *arguments, flags=flags, **options)

    monkeypatch.setattr(loop, "getaddrinfo", numbers_only)

    said = await refusal(f"http://{host}:{files.port}/a.png", allow=is_public)

    assert said in (NOT_REACHED, "it is not a valid address")
    assert files.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "", "a.png", "/etc/passwd", "//127.0.0.1/a.png", "file:///etc/passwd",
        "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:70/_x", "ftp://127.0.0.1/a.png",
        "dict://127.0.0.1:11211/stat", "ldap://127.0.0.1/", "unix:///var/run/docker.sock",
        "ws://127.0.0.1/", "javascript:alert(1)", "data:text/plain,hello", "gs://bucket/a.png",
        "blob:https://h/1", "http:", "http://", "http:///a.png", "http:127.0.0.1/a.png",
        "http://user:hush@127.0.0.1/a.png", "http://user@127.0.0.1/a.png",
        "http://:hush@127.0.0.1/a.png", "http://@127.0.0.1:x/", "http://127.0.0.1:99999/",
        "http://[::1", "http://[::1]x/", "http://h\\@127.0.0.1/",
    ],
)  # fmt: skip
async def test_what_is_no_plain_web_address_is_refused_before_anything_is_looked_up(url):
    names = Names()

    said = await refusal(url, resolver=names)

    assert said
    assert said != NOT_REACHED
    assert names.asked == []


async def test_the_refusal_names_the_address_without_its_secrets(files):
    with pytest.raises(Refused) as caught:
        await fetched(f"http://user:hush@127.0.0.1:{files.port}/a.png?signature=hush")

    assert caught.value.failure.message == (
        f"http://127.0.0.1:{files.port}/a.png cannot be fetched:"
        " an address with a user name or password in it is not fetched; send the file itself"
    )


# ── names that lead inside ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inside", ["127.0.0.2", "10.1.2.3", "::ffff:127.0.0.1", "::1 127.0.0.2"])
async def test_a_name_that_leads_inside_is_refused_as_one_that_leads_nowhere(files, inside):
    names = Names(inside=[inside])

    leads_inside = await refusal(f"http://inside:{files.port}/a.png", resolver=names)
    leads_nowhere = await refusal(f"http://nowhere:{files.port}/a.png", resolver=names)

    assert leads_inside == leads_nowhere == NOT_REACHED
    assert files.requests == []


async def test_of_several_addresses_only_a_public_one_is_used(files):
    async with file_server("127.0.0.2", files.port) as other:
        names = Names(both=["127.0.0.2 127.0.0.1"])

        file = await fetched(f"http://both:{files.port}/a.png", resolver=names)

        assert file.mime == "image/png"
        assert len(files.requests) == 1
        assert other.requests == []


async def test_a_name_is_looked_up_once_and_the_answer_that_was_judged_is_used(files):
    async with file_server("127.0.0.2", files.port) as other:
        names = Names(flips=["127.0.0.1", "127.0.0.2"])

        await fetched(f"http://flips:{files.port}/a.png", resolver=names)
        after = await refusal(f"http://flips:{files.port}/a.png", resolver=names)

        assert after == NOT_REACHED
        assert names.asked == ["flips", "flips"]
        assert len(files.requests) == 1
        assert other.requests == []


# ── redirects ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(files, status):
    moved = files.move("/moved", "a.png", status)

    file = await fetched(moved)

    assert base64.b64decode(file.data) == PNG


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_not(files, status):
    async with file_server("127.0.0.2") as other:
        url = files.move("/moved", f"{other.origin}/a.png", status)

        assert await refusal(url) == NOT_REACHED
        assert other.requests == []


async def test_a_redirect_to_a_name_that_has_turned_inside_is_not_followed(files):
    async with file_server("127.0.0.2", files.port) as other:
        names = Names(flips=["127.0.0.1", "127.0.0.2"])
        files.move("/moved", f"http://flips:{files.port}/a.png")

        said = await refusal(f"http://flips:{files.port}/moved", resolver=names)

        assert said == NOT_REACHED
        assert other.requests == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/", "http://["]
)
async def test_a_redirect_is_judged_as_the_first_address_is(files, location):
    url = files.move("/moved", location)

    assert await refusal(url)
    assert len(files.requests) == 1


async def test_three_redirects_are_enough(files):
    for n in range(1, 5):
        files.move(f"/{n}", f"/{n - 1}" if n > 1 else "/a.png")

    assert (await fetched(f"{files.origin}/3")).mime == "image/png"
    assert await refusal(f"{files.origin}/4") == "it redirects more than 3 times"


async def test_a_redirect_to_nowhere_ends(files):
    url = files.move("/moved", "")

    assert await refusal(url) == "it redirects more than 3 times"


# ── what comes back ──────────────────────────────────────────────────────────────────────────


async def test_a_file_comes_in_base64_with_its_type(files):
    url = files.add("/x", "IMAGE/WebP; charset=binary", b"one ", b"two")

    assert await fetched(url) == Base64("image/webp", base64.b64encode(b"one two").decode())


@pytest.mark.parametrize(
    "mime", ["application/pdf", "text/plain", "text/csv", "audio/wav", "video/mp4", "image/gif"]
)
async def test_types_that_models_read_are_taken(files, mime):
    assert (await fetched(files.add("/x", mime, b"x"))).mime == mime


@pytest.mark.parametrize(
    "mime",
    ["application/json", "application/octet-stream", "application/pdfx/../", "x-image/png", ""],
)
async def test_other_types_are_not(files, mime):
    url = files.add("/x", mime, b'{"AccessKeyId": "hush"}')

    said = await refusal(url)

    assert said.startswith("files of type ")
    assert "hush" not in said


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 500])
async def test_only_a_whole_file_is_taken(files, status):
    url = files.add("/x", "image/png", *[b"x"] * (status not in (204, 304)), status=status)

    assert await refusal(url) == f"the server answers {status}"


async def test_a_file_that_says_it_is_too_large_is_not_read(files):
    async def rest():
        await asyncio.Event().wait()

    url = files.add("/x", "image/png", b"x", rest, headers={"Content-Length": "101"})

    said = await refusal(url, max_bytes=100)

    assert said == "the files of a request may have 100 bytes together"


async def test_a_file_that_turns_out_too_large_is_read_no_further(files):
    gone = asyncio.Event()

    async def rest():
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    url = files.add("/x", "image/png", b"x" * 60, b"x" * 41, rest)

    said = await refusal(url, max_bytes=100)
    await gone.wait()

    assert said == "the files of a request may have 100 bytes together"


async def test_a_file_of_just_the_size_is_taken(files):
    url = files.add("/x", "image/png", b"x" * 100)

    assert base64.b64decode((await fetched(url, max_bytes=100)).data) == b"x" * 100


async def test_what_is_small_on_the_wire_and_large_here_is_too_large(files):
    packed = gzip.compress(bytes(1_000_000))
    url = files.add("/x", "image/png", packed, headers={"Content-Encoding": "gzip"})

    assert len(packed) < 10_000
    assert "10000 bytes together" in await refusal(url, max_bytes=10_000)


async def test_the_files_of_a_request_share_the_room(files):
    urls = [files.add(f"/{n}", "image/png", b"x" * 40) for n in range(3)]

    async with fetcher(max_bytes=100) as fetch:
        await fetch.fetch(urls[:2])
        with pytest.raises(Refused, match="100 bytes together"):
            await fetch.fetch(urls)


async def test_a_file_that_breaks_off_is_not_taken(files):
    url = files.add("/x", "image/png", b"x", headers={"Content-Length": "1000"})

    assert await refusal(url) == "the connection broke off"


# ── time, and who else is there ──────────────────────────────────────────────────────────────


def stalled(server, path="/slow"):
    """The address of a file that does not come, what tells that it is awaited, and that nobody
    waits any more.
    """
    asked, gone = asyncio.Event(), asyncio.Event()

    async def stall():
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    return server.add(path, "image/png", b"x", stall), asked, gone


async def test_a_file_that_does_not_come_in_time_is_refused(files):
    url, _, _ = stalled(files)

    assert await refusal(url, timeout=0.05) == "it did not come within 0.05 seconds"


async def test_a_search_for_an_address_takes_of_the_same_time():
    class Silent(Names):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            await asyncio.Event().wait()

    said = await refusal("http://slow/a.png", resolver=Silent(), timeout=0.01)

    assert said == "it did not come within 0.01 seconds"


async def test_who_cancels_waits_no_longer_and_the_server_learns_of_it(files):
    url, asked, gone = stalled(files)
    async with fetcher(timeout=1000) as fetch:
        waiting = asyncio.ensure_future(fetch.fetch([url]))
        await asked.wait()

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gone.wait()


async def test_one_refusal_ends_the_others(files):
    url, asked, gone = stalled(files)

    async def when_asked():
        await asked.wait()

    late = files.add("/late", "image/png", when_asked, status=404)
    async with fetcher(timeout=1000) as fetch:
        with pytest.raises(Refused, match="/late"):
            await fetch.fetch([url, late])
    await gone.wait()


async def test_so_many_are_fetched_at_a_time_and_no_more(files):
    waiting = 0
    most = 0
    full = asyncio.Event()

    async def together():
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        if waiting == AT_A_TIME:
            for _ in range(200):  # turns of the loop in which a fifth would come
                await asyncio.sleep(0)
            full.set()
        await full.wait()
        waiting -= 1

    urls = [files.add(f"/{n}", "image/png", together, b"x") for n in range(10)]
    async with fetcher() as fetch:
        found = await fetch.fetch([*urls, *urls])

    assert list(found) == urls
    assert most == AT_A_TIME == 4
    assert len(files.requests) == 10


async def test_nothing_is_said_about_who_asks(files, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    files.move("/moved", "/a.png", **{"Set-Cookie": "who=me; Path=/"})

    url = f"http://files.example:{files.port}/moved"
    await fetched(url, resolver=Names(**{"files.example": ["127.0.0.1"]}))

    assert [dict(request.headers) for request in files.requests] == [
        {
            "Host": f"files.example:{files.port}",
            "User-Agent": "proxypal/test",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
    ] * 2


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_is_believed_whom_the_file_of_authorities_vouches_for(tmp_path):
    certificate = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificate)
    async with file_server(tls=tls) as files:
        file = await fetched(f"{files.origin}/a.png", ca_file=certificate.cert)
        why = await refusal(f"{files.origin}/a.png")

    assert base64.b64decode(file.data) == PNG
    assert why == "its server offers no trusted TLS"
