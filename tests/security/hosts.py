"""Which requests reach a handler: a table of Hosts, Origins, types, targets and versions, raw."""

import asyncio
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxypal_core.gateway import surface
from proxypal_core.wire import jsonio
from tests.fault_server import FaultServer
from tests.figures import Figure
from tests.gateway.owning import PAGE
from tests.proxy import ADMIN_KEY
from tests.running import daemon
from tests.security.policy import POLICY, Audience, Row, shown
from tests.security.target import PATIENCE, Answer, Target, settings, target

JSON = "application/json"


@dataclass(frozen=True)
class Case:
    """What is wrong with a request, and the statuses that may say so; none for one that is let in.

    ``{host}`` is the proxy's own address, ``{path}`` the row's. *host* is None for no such line;
    *lines* are added. A case ``of_bodies`` is about requests that have one; at the paths *beside* it
    is no fault.
    """

    name: str
    refused: tuple[int, ...] = ()
    host: str | None = "{host}"
    lines: tuple[str, ...] = ()
    target: str = "{path}"
    version: str = "1.1"
    kind: str | None = JSON
    method: str = ""
    of_bodies: bool = False
    beside: tuple[str, ...] = ()


def _hosts(refused: tuple[int, ...], *hosts: str) -> list[Case]:
    return [Case(f"Host: {host}", refused, host=host) for host in hosts]


def _lines(refused: tuple[int, ...], *lines: str) -> list[Case]:
    return [Case(line, refused, lines=tuple(line.split("\n"))) for line in lines]


def _kinds(refused: tuple[int, ...], *kinds: str | None) -> list[Case]:
    return [Case(f"Content-Type: {kind}", refused, kind=kind, of_bodies=True) for kind in kinds]


_PREFLIGHT = (
    "Origin: http://evil.example\nAccess-Control-Request-Method: POST\n"
    "Access-Control-Request-Headers: authorization\nAccess-Control-Request-Private-Network: true"
)

# Where files may be uploaded, and what is forwarded by the same row.
_FORMS = tuple(
    row.path
    for row in POLICY
    if row.body and surface.match(row.method, row.path).route.operation is surface.Operation.PASS
)

CASES: tuple[Case, ...] = (
    *_hosts(
        (421,),
        "evil.example", "evil.example:8317", "127.0.0.1.evil.example", "localhost.evil.example",
        "evil-localhost", "localhost.", "127.0.0.1.", "0x7f.1", "127.1", "2130706433", "0177.0.0.1",
        "0.0.0.0", "127.0.0.2", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "::1", "[::1",
        "a@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1/v1/models?", "127.0.0.1#", "127.0.0.1:",
        "127.0.0.1:80:80", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1 evil.example",
        "127.0.0.1,evil.example", "http://127.0.0.1", "*", "", "loc%61lhost",
        "127.0.0.1:\u00b2",
    ),
    *_hosts((), "localhost", "LocalHost:1", "127.0.0.1", "[::1]:8317"),
    Case("no Host", (400, 421), host=None),
    Case("no Host in HTTP/1.0", (421,), host=None, version="1.0"),
    Case("HTTP/2.0", (400,), version="2.0"),
    Case("two Hosts", (400,), lines=("Host: evil.example",)),
    Case("HTTP/1.0", (), version="1.0"),
    *_lines(
        (403,),
        "Origin: http://evil.example", "Origin: https://evil.example", "Origin: null", "Origin:",
        "Origin: http://localhost:1", "Origin: http://127.0.0.1", "Origin: http://127.0.0.1:1",
        "Origin: http://{host}.evil.example", "Origin: http://{host}@evil.example",
        "Origin: http://evil.example/http://{host}", "Origin: http://{host}/", "Origin: {host}",
        "Origin: ws://{host}", "Origin: file://", "Origin: http://[::1", "Origin: chrome-extension://a",
        "Origin: http://{host}\nSec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: Cross-Site",
        "Sec-Fetch-Site: something-new", "Sec-Fetch-Site:",
        "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
        "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image",
        "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
    ),
    *_lines(
        (),
        "Origin: http://{host}", "Origin: https://{host}", "Sec-Fetch-Site: none",
        "Origin: http://{host}\nSec-Fetch-Site: same-origin",
    ),
    Case("a preflight", (403,), lines=tuple(_PREFLIGHT.split("\n")), method="OPTIONS"),
    Case("absolute target", (400,), target="http://{host}{path}"),
    Case("absolute target of another", (400,), target="http://evil.example{path}"),
    Case("a target that is no path", (400,), target="*"),
    Case("a second slash", (400, 404), target="/{path}", beside=("/",)),
    Case("a target below another name", (400, 404), target="//evil.example{path}"),
    *_kinds(
        (415,),
        None, "", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
        "text/plain; application/json", "text/json", "application/octet-stream", "json",
        "application/json, text/plain", "text/plain, application/json", "application/jsonp",
    ),
    Case("a form", (415,), kind="multipart/form-data; boundary=x", of_bodies=True, beside=_FORMS),
    *_kinds((), "application/json; charset=utf-8", "Application/JSON"),
)  # fmt: skip


async def measure_table(step: int = 1) -> list[Figure]:
    """Every case at each *step*-th row of the policy: first what must be refused, which must change
    nothing, then what must not.
    """
    rows = POLICY[::step]
    refusals = [case for case in CASES if case.refused]
    async with target() as attacked:
        before, hits = await attacked.state(), attacked.hits
        reached, told = await tried(attacked, rows, refusals)
        effects = attacked.hits - hits, await attacked.state() != before
        turned_away, more = await tried(attacked, rows, [c for c in CASES if not c.refused])
        felt = attacked.hits > hits and await attacked.state() != before
    answers = [*told, *more]
    opened = sorted({n for one in answers for n in one.names() if n.startswith("access-control")})
    broken = [f"{one.status}: {one.problem}" for one in answers if one.problem]
    return [
        Figure(
            "S2",
            f"forged requests not refused, of {len(told)} ({len(refusals)} cases, {len(rows)} routes)",
            shown(reached),
            "0",
            held=not reached and bool(told),
        ),
        Figure(
            "S2",
            "upstream calls by them, and whether anything changed",
            f"{effects[0]}, {'yes' if effects[1] else 'no'}",
            "0, no",
            held=effects == (0, False),
        ),
        Figure(
            "S2",
            f"proper requests turned away, of {len(more)}",
            shown(turned_away),
            "0, and an effect is seen",
            held=not turned_away and felt,
        ),
        Figure(
            "S2",
            f"Access-Control headers in {len(answers)} answers",
            shown(opened),
            "0",
            held=not opened,
        ),
        Figure("S2", "answers that h11 refuses", shown(broken), "0", held=not broken),
    ]


async def tried(
    attacked: Target, rows: Sequence[Row], cases: Sequence[Case]
) -> tuple[list[str], list[Answer]]:
    """Where a case at one of *rows* ended otherwise than it should; and all answers. Whoever asks
    has the admin key and the dashboard's cookie: nothing but the guard keeps them out.
    """
    wrong: list[str] = []
    answers: list[Answer] = []
    cookie = await attacked.cookies()
    signed = [
        f"Authorization: Bearer {ADMIN_KEY}",
        f"Cookie: {cookie}",
        *(f"{name}: {value}" for name, value in PAGE.items()),
    ]
    for row in rows:
        for case in cases:
            if (case.of_bodies and not _reads_body(row)) or row.path in case.beside:
                continue
            served = attacked.served
            answer = await attacked.ask(
                case.method or row.method,
                case.target.format(host=attacked.host, path=row.path),
                [*_head(case, attacked.host), *signed],
                row.body,
                case.version,
            )
            answers.append(answer)
            if case.refused:
                kept_out = case.of_bodies or attacked.served == served
                fine = answer.status in case.refused and kept_out
            else:
                fine = attacked.served > served and answer.status not in (0, 401, 403, 415, 421)
            if not fine:
                wrong.append(f"{row} with {case.name!r}: {answer.status}")
    return wrong, answers


def _head(case: Case, host: str) -> list[str]:
    lines = [] if case.host is None else [f"Host: {case.host.format(host=host)}"]
    lines += [line.format(host=host) for line in case.lines]
    if case.kind is not None:
        lines.append(f"Content-Type: {case.kind}")
    return lines


def _reads_body(row: Row) -> bool:
    """Whether a row's request has a body that is read: where none is, its type is nobody's concern."""
    if not row.body or row.method not in ("POST", "PUT"):
        return False
    return row.audience is Audience.CLIENT or not row.path.startswith(_BODILESS)


_BODILESS = ("/api/accounts/nobody/", "/api/accounts/reset")


# ── what is no request at all ────────────────────────────────────────────────────────────────

_BODY = jsonio.dumps({"model": "m-1", "messages": [{"role": "user", "content": "Hello?"}]})
_HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_POST = "POST /v1/chat/completions HTTP/1.1"
_KIND = "Content-Type: application/json"


def _post(
    *lines: str, first: str = _POST, host: str = "Host: 127.0.0.1", body: bytes = _BODY
) -> bytes:
    """A question whose only fault is in *lines*, *first* or *host*."""
    head = "\r\n".join([first, *filter(None, [host]), _KIND, *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


_LENGTH = f"Content-Length: {len(_BODY)}"
_CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)

MALFORMED: dict[str, bytes] = {
    "no Host": _post(_LENGTH, host=""),
    "two Hosts": _post("Host: evil.example", _LENGTH),
    "Content-Length and Transfer-Encoding": _post(
        _LENGTH, "Transfer-Encoding: chunked", body=_CHUNKED + _HIDDEN
    ),
    "two Content-Lengths": _post(_LENGTH, "Content-Length: 5", body=_BODY + _HIDDEN),
    "a signed Content-Length": _post(f"Content-Length: +{len(_BODY)}"),
    "a Content-Length list": _post(f"Content-Length: {len(_BODY)}, {len(_BODY)}"),
    "a folded line": _post(_LENGTH, "X-Folded: a\r\n b"),
    "bare line feeds": _post(_LENGTH).replace(b"\r\n", b"\n"),
    "a space before the colon": _post(_LENGTH, "Transfer-Encoding : chunked"),
    "NUL in a value": _post(_LENGTH, "X: a\x00b"),
    "another coding": _post("Transfer-Encoding: xchunked", body=_CHUNKED + _HIDDEN),
    "chunked, but not last": _post("Transfer-Encoding: chunked, identity", body=_CHUNKED + _HIDDEN),
    "a chunk of no size": _post("Transfer-Encoding: chunked", body=b"x\r\n" + _CHUNKED),
    "a chunk of negative size": _post("Transfer-Encoding: chunked", body=b"-1\r\n" + _CHUNKED),
    "a line of 20,000 bytes": _post(_LENGTH, "X: " + "a" * 20_000),
    "1,000 lines": _post(_LENGTH, *(f"X-{n}: a" for n in range(1000))),
    "a space in a name": _post(_LENGTH, "X Y: a"),
    "no version": _post(_LENGTH, first="POST /v1/chat/completions"),
}
"""What aiohttp's parser must refuse, and go on refusing with each of its versions."""

ACCEPTED: dict[str, bytes] = {
    "absolute target": _post(_LENGTH, first=_POST.replace(" /", " http://127.0.0.1/")),
    "HTTP/1.0 without Host": _post(_LENGTH, host="", first=_POST.replace("1.1", "1.0")),
    "an empty Host": _post(_LENGTH, host="Host:"),
    "a user in the Host": _post(_LENGTH, host="Host: a@127.0.0.1"),
    "a path in the Host": _post(_LENGTH, host="Host: 127.0.0.1/v1/models?"),
    "a hexadecimal Host": _post(_LENGTH, host="Host: 0x7f.1"),
    "an empty segment": _post(_LENGTH, first=_POST.replace(" /v1/", " //v1//")),
    "a way up": _post(_LENGTH, first=_POST.replace(" /", " /static/../")),
}
"""What the parser lets through, and the proxy must refuse by itself."""


async def measure_smuggling() -> list[Figure]:
    """Each malformed request at a daemon of its own process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {
            "PROXYPAL_DATA_DIR": str(folder / "data"),
            "PROXYPAL_STATE_DIR": str(folder / "state"),
        }
        async with FaultServer() as upstream:
            config = folder / "config.yaml"
            config.write_text(settings(upstream, "listen: {port: 0}\n"))
            async with daemon("--config", config, **places) as started:
                port = int(started.url.rpartition(":")[2])
                let_in = {
                    kind: [n for n, m in table.items() if not await is_refused(port, m)]
                    for kind, table in (("parser", MALFORMED), ("proxy", ACCEPTED))
                }
                hits = len(upstream.requests)
                proper = await _exchange(port, _post(_LENGTH, "Connection: close"))
                answered = b" 200 " in proper[:15] and len(upstream.requests) > hits
    return [
        Figure(
            "S6",
            f"malformed requests that the parser let in, of {len(MALFORMED)}",
            shown(let_in["parser"]),
            "0",
            held=not let_in["parser"],
        ),
        Figure(
            "S6",
            f"well-formed ones that the proxy must refuse itself, and did not, of {len(ACCEPTED)}",
            shown(let_in["proxy"]),
            "0",
            held=not let_in["proxy"],
        ),
        Figure(
            "S6",
            "calls that they made upstream, beside a proper request",
            f"{hits}, {'answered' if answered else 'not answered'}",
            "0, answered",
            held=hits == 0 and answered,
        ),
    ]


async def is_refused(port: int, malformed: bytes) -> bool:
    """Whether it got one answer, a refusal, and nothing that stood behind it got any."""
    told = await _exchange(port, malformed)
    statuses = re.findall(rb"HTTP/\d\.\d (\d{3}) ", told)
    return len(statuses) == 1 and statuses[0][:1] == b"4" and b"/smuggled" not in told


async def _exchange(port: int, sent: bytes) -> bytes:
    """What comes back until the proxy hangs up or, having answered, is silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    told = b""
    try:
        writer.write(sent)
        silence = PATIENCE
        while True:
            async with asyncio.timeout(silence):
                data = await reader.read(65536)
            if not data:
                return told
            told += data
            silence = 0.3
    except (TimeoutError, ConnectionError):
        return told
    finally:
        writer.close()
