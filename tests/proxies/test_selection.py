"""Which proxy a connection takes: as curl does it, seen in curl itself where it is installed."""

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.upstream.proxies import bypassed, chosen, of_environment, shown, socks

_CURL = shutil.which("curl")
PROXY = "http://me:secret@proxy.example:3128"
TLS_PROXY = "https://other.example"
HOST = "https://api.example.com/v1"

# ── the law: no_proxy is curl's ──────────────────────────────────────────────────────────────

_labels = st.sampled_from(["a", "b", "ab", "localhost", "a.b", "x.a.b", "xa.b", "b.a"])
_loopback = st.integers(1, 2).flatmap(
    lambda n: st.sampled_from([f"127.0.0.{n}", f"127.{n}.0.1", f"127.{n}.{n}.{n}"])
)
_hosts = st.one_of(_labels.map(lambda name: f"{name}.invalid"), _loopback, st.just("[::1]"))
# None of IPv6: before 8.10 curl compares an IPv6 address as text, and so knows no network of it.
_networks = st.builds("{}/{}".format, _loopback, st.integers(1, 33))
_names = st.builds(
    "{}{}.invalid{}".format, st.sampled_from(["", "."]), _labels, st.sampled_from(["", "."])
)
_entries = st.one_of(
    _names,
    _names.map(str.upper),
    _loopback,
    _networks,
    st.sampled_from(["::1", "invalid", "127", "0.1", ".1"]),
)
_lists = st.lists(st.tuples(_entries, st.sampled_from([",", ", ", " ", ",,"])), max_size=4).map(
    lambda pairs: "".join(entry + comma for entry, comma in pairs)
)


def _straight_by_curl(proxy, cases):
    """Whether curl goes straight in each of *cases*. All that it reaches is on loopback: names lead
    there, and a straight connection is refused.
    """
    wishes = ["-q"]
    for host, no_proxy in cases:
        wishes += ["--next"] if len(wishes) > 1 else []
        wishes += [] if host[0] in "[1" else ["--resolve", f"{host}:9:127.0.0.1"]
        wishes += ["-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-m", "5"]
        wishes += ["-x", proxy, "--noproxy", no_proxy, f"http://{host}:9/"]
    done = subprocess.run(  # noqa: S603 — it is told what to do by this test alone
        [_CURL, *wishes], capture_output=True, text=True, timeout=30, check=False
    )
    return [code == "000" for code in done.stdout.split()]


class _Teapot(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(418)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def teapot():
    """A proxy that forwards nothing, and says so."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Teapot) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.skipif(not _CURL, reason="curl is not installed")
@settings(max_examples=10)
@given(cases=st.lists(st.tuples(_hosts, _lists.filter(bool)), min_size=10, max_size=20))
def test_a_proxy_is_passed_by_where_curl_passes_it_by(teapot, cases):
    by_curl = _straight_by_curl(teapot, cases)

    assert [bypassed(f"http://{host}:9/", no_proxy) for host, no_proxy in cases] == by_curl


@given(_hosts, _lists)
def test_order_case_and_separators_do_not_matter(host, no_proxy):
    entries = no_proxy.replace(",", " ").split()
    other = " , ".join(reversed(entries)).upper()

    assert bypassed(f"http://{host}", no_proxy) == bypassed(f"http://{host}", other)


@given(_hosts, _lists, _lists)
def test_a_longer_list_passes_by_no_less(host, one, other):
    url = f"http://{host}"

    assert bypassed(url, f"{one},{other}") == (bypassed(url, one) or bypassed(url, other))


@given(_hosts, _lists)
def test_the_settings_list_and_the_environment_s_are_both_asked(host, no_proxy):
    url = f"http://{host}"
    variables = {"http_proxy": PROXY, "no_proxy": no_proxy}

    assert (chosen(url, "environment", "", variables) == "") == bypassed(url, no_proxy)
    assert (chosen(url, PROXY, no_proxy, {}) == "") == bypassed(url, no_proxy)


# ── the table ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("no_proxy", "url", "expected"),
    [
        # names, as in curl's lib/noproxy.c
        ("example.com", "https://example.com", True),
        ("example.com", "https://www.example.com", True),
        ("example.com", "https://nonexample.com", False),
        ("example.com", "https://example.com.evil.example", False),
        (".example.com", "https://example.com", True),
        ("example.com.", "https://example.com", True),
        ("example.com", "https://example.com./v1", True),
        ("EXAMPLE.com", "https://Example.COM", True),
        ("www.example.com", "https://example.com", False),
        (" a.example  ,, example.com ", "https://example.com", True),
        ("a.example example.com", "https://example.com", True),
        ("", "https://example.com", False),
        (".", "https://example.com", False),
        # everything
        ("*", "https://example.com", True),
        ("*", "http://[::1]:1", True),
        # addresses and networks
        ("127.0.0.1", "http://127.0.0.1:11434", True),
        ("127.0.0.1", "http://127.0.0.11", False),
        ("0.0.1", "http://127.0.0.1", False),
        ("10.0.0.0/8", "http://10.20.30.40", True),
        ("10.1.2.3/8", "http://10.20.30.40", True),
        ("10.0.0.0/8", "http://11.0.0.1", False),
        ("192.168.0.0/33", "http://192.168.0.1", False),
        ("10.0.0.0/8", "http://10.example", False),
        ("::1", "http://[::1]:80", True),
        ("0:0::1", "http://[::1]", True),
        ("fd7a:115c:a1e0::/48", "http://[fd7a:115c:a1e0::9]:8317", True),
        ("fd7a:115c:a1e0::/48", "http://[fd7b::9]", False),
        ("localhost", "http://127.0.0.1", False),
        # beyond curl
        ("*.example.com", "https://www.example.com", True),
        ("a.example, *", "https://example.com", True),
        ("example.com:8443", "https://example.com:8443", True),
        ("example.com:8443", "https://example.com", False),
        ("example.com:443", "https://example.com", True),
        ("example.com:80", "http://example.com", True),
        ("127.0.0.1:80", "http://127.0.0.1", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("[::1]:8080", "http://[::1]", False),
        ("[::1]", "http://[::1]", True),
        ("10.0.0.0/0", "http://192.168.0.1", True),
    ],
)
def test_what_no_proxy_means(no_proxy, url, expected):
    assert bypassed(url, no_proxy) is expected


# ── the environment ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        (HOST, {}, ""),
        (HOST, {"HTTPS_PROXY": PROXY}, PROXY),
        (HOST, {"HTTPS_PROXY": "http://big", "https_proxy": PROXY}, PROXY),
        (HOST, {"ALL_PROXY": PROXY}, PROXY),
        (HOST, {"ALL_PROXY": "socks5://all", "HTTPS_PROXY": PROXY}, PROXY),
        (HOST, {"http_proxy": PROXY}, ""),
        ("http://a.example", {"http_proxy": PROXY, "HTTPS_PROXY": "http://x"}, PROXY),
        # a client of a CGI program can set this one
        ("http://a.example", {"HTTP_PROXY": PROXY}, ""),
        (HOST, {"HTTPS_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
        (HOST, {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com"}, ""),
        (HOST, {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com", "no_proxy": "b"}, PROXY),
        (HOST, {"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, PROXY),
    ],
)
def test_the_environment_s_proxies_are_those_of_curl(url, variables, expected):
    assert chosen(url, "environment", "", variables) == expected


@pytest.mark.parametrize("proxy", ["", PROXY])
def test_the_environment_is_asked_only_where_the_settings_say_so(proxy):
    variables = {"HTTPS_PROXY": TLS_PROXY, "ALL_PROXY": TLS_PROXY, "NO_PROXY": "*"}

    assert chosen(HOST, proxy, "", variables) == proxy


def test_every_proxy_of_the_environment_is_known():
    variables = {"https_proxy": "a:1", "ALL_PROXY": PROXY, "NO_PROXY": "b", "HTTP_PROXY": "c"}

    assert of_environment(variables) == {"https_proxy": "http://a:1", "ALL_PROXY": PROXY}


# ── names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        (PROXY, "http://proxy.example:3128"),
        ("socks5h://me:secret@[::1]", "socks5h://[::1]:1080"),
        ("https://secret@proxy.example", "https://proxy.example:443"),
        ("http://me:se@cret@proxy.example:1", "http://proxy.example:1"),
        ("http://me:secret@proxy.example:what", "(not a URL)"),
        ("http://me:secret@[::1", "(not a URL)"),
    ],
)
def test_a_proxy_is_named_without_its_login(proxy, expected):
    assert shown(proxy) == expected


@pytest.mark.parametrize(("scheme", "resolves"), [("socks5", False), ("socks5h", True)])
def test_who_looks_names_up_is_in_the_scheme(scheme, resolves):
    found = socks(f"{scheme}://m%65:p%40ss@proxy.example:1")

    assert found == ("proxy.example", 1, "me", "p@ss", resolves)


def test_other_proxies_are_not_of_socks():
    assert [socks(url) for url in ("", PROXY, TLS_PROXY)] == [None] * 3
