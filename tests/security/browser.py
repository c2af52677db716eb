"""A hostile page in a real Chromium, signed in to the dashboard, against every route."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from aiohttp import web
from playwright.async_api import async_playwright

from proxypal_core.gateway.endpoints import Gateway
from tests.dashboard.browser import MISSING, chromium
from tests.figures import Figure
from tests.gateway.owning import COOKIE
from tests.security.policy import POLICY, Row, shown
from tests.security.target import target

EVIL, REBOUND = "evil.example", "rebound.example"
NAMES = ("127.0.0.1", "localhost", EVIL, REBOUND)
"""Where a page may come from: another port, another name of this machine, another site, and a name
that has just been rebound to the proxy itself.
"""
_BLANK = "<!doctype html><title>hostile</title><body></body>"

# Each way that a page has to make its browser ask somebody. What it returns is what it could read.
WAYS = """
const soon = (start) => new Promise((done) => {
  const timer = setTimeout(() => done("nothing"), 1500);
  start((told) => { clearTimeout(timer); done(told); });
});
const read = async (address, options) => {
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(1500), ...options });
    if (answer.type === "opaque" || answer.type === "opaqueredirect") return "nothing";
    return `${answer.status} ${(await answer.text()).slice(0, 60)}`;
  } catch { return "nothing"; }
};
const element = (name, set) => soon((done) => {
  const one = document.createElement(name);
  one.onload = () => done(one.contentDocument?.body?.innerText || "nothing");
  one.onerror = () => done("nothing");
  set(one);
  document.body.append(one);
}).finally(() => document.body.replaceChildren());
const form = (address, body, enctype) => soon((done) => {
  const frame = document.createElement("iframe");
  frame.name = `f${Math.random()}`;
  const one = document.createElement("form");
  Object.assign(one, { method: "POST", action: address, enctype, target: frame.name });
  const field = document.createElement("textarea");
  field.name = body;
  one.append(field);
  document.body.append(frame, one);
  frame.onload = () => { if (one.sent) done("nothing"); };
  one.sent = true;
  one.submit();
}).finally(() => document.body.replaceChildren());
const typed = (body, type) => new Blob([body], { type });
const carried = { credentials: "include" };
window.ways = {
  simple: (at, method, body) => read(at, method === "GET" ? carried
    : { ...carried, method: "POST", body: typed(body, "text/plain") }),
  opaque: (at, method, body) => read(at, { ...carried, mode: "no-cors",
    ...(method === "GET" ? {} : { method: "POST", body: typed(body, "text/plain") }) }),
  multipart: (at, method, body) => read(at, { ...carried, mode: "no-cors", method: "POST",
    body: typed(body, "multipart/form-data") }),
  preflighted: (at, method, body) => read(at, { ...carried, method,
    headers: { "content-type": "application/json", "x-proxypal-dashboard": "1", "x-api-key": "x" },
    ...(method === "GET" ? {} : { body }) }),
  beacon: async (at, method, body) => { navigator.sendBeacon(at, body); return "nothing"; },
  formText: (at, method, body) => form(at, body, "text/plain"),
  formUrl: (at, method, body) => form(at, body, "application/x-www-form-urlencoded"),
  image: (at) => element("img", (one) => { one.src = at; }),
  script: (at) => element("script", (one) => { one.src = at; }),
  style: (at) => element("link", (one) => { one.rel = "stylesheet"; one.href = at; }),
  frame: (at) => element("iframe", (one) => { one.src = at; }),
  events: (at) => soon((done) => {
    const one = new EventSource(at, { withCredentials: true });
    const end = (told) => { one.close(); done(told); };
    one.onopen = () => end("an open stream");
    one.onerror = () => end("nothing");
  }),
  socket: (at) => soon((done) => {
    const one = new WebSocket(at.replace("http", "ws"));
    one.onopen = () => { one.close(); done("an open socket"); };
    one.onerror = () => done("nothing");
  }),
};
window.attack = async (way, base, rows) => {
  const told = [];
  for (const [method, path, body] of rows) {
    told.push([way, method, path, await window.ways[way](base + path, method, body)]);
  }
  return told;
};
null;
"""
READING = ("image", "script", "style", "frame", "events")
SENDING = ("multipart", "beacon", "formText", "formUrl")
BOTH = ("simple", "opaque", "preflighted")
SOCKET = ("socket",)
SOCKETS = 6
"""Chromium slows down those who open one vain WebSocket after another."""


@dataclass
class Seen:
    """What the proxy answered while the page was at work."""

    answers: list[tuple[str, str, int]] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)

    def let_in(self) -> list[str]:
        return [
            f"{method} {path}: {status}"
            for method, path, status in self.answers
            if status not in (403, 421)
        ]


@asynccontextmanager
async def watched():
    """Every answer of the proxy, in a Seen."""
    seen, handle = Seen(), Gateway.__call__

    async def noted(gateway, request):
        answer = await handle(gateway, request)
        seen.answers.append((request.method, request.target, answer.status))
        seen.opened |= {n.lower() for n in answer.headers if n.lower().startswith("access-control")}
        return answer

    with patch.object(Gateway, "__call__", noted):
        yield seen


@asynccontextmanager
async def hostile_server():
    """Serves the page; its port."""

    async def page(request):
        return web.Response(text=_BLANK, content_type="text/html")

    runner = web.ServerRunner(web.Server(page, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def misled_browser():
    """A browser that believes every name to be this machine's."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(),
            args=[
                f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {REBOUND} 127.0.0.1",
                # Not every browser keeps pages from the local network; this one is not to help us.
                "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
            ],
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def hostile_pages(browser, cookie: str):
    """A profile of *browser* that has the dashboard's *cookie*."""
    async with await browser.new_context() as context:
        own = {"name": COOKIE, "value": cookie, "path": "/", "sameSite": "Strict"}
        names = ("127.0.0.1", "localhost", REBOUND)
        await context.add_cookies([{**own, "domain": name} for name in names])
        yield context


async def measure_browser() -> list[Figure]:
    """Each way at each row of the policy, from a page of each of the names."""
    if chromium() is None:
        return [Figure("S2", "a hostile page", MISSING, "-", held=None)]
    async with misled_browser() as browser:
        return await attack(browser, POLICY, NAMES)


async def attack(browser, rows: Sequence[Row], names: Sequence[str]) -> list[Figure]:
    """Each way at each of *rows*, from a page of each of *names*."""
    async with target() as attacked, hostile_server() as port, watched() as seen:
        cookie = (await attacked.cookies()).partition("=")[2]
        before, hits = await attacked.state(), attacked.hits
        seen.answers.clear()
        readable: list[str] = []
        unheard: list[str] = []
        framed: list[str] = []
        tries = 0
        async with hostile_pages(browser, cookie) as context:
            for name in names:
                origin = f"{name}:{attacked.port if name == REBOUND else port}"
                async with hostile_page(context, origin) as page:
                    base = f"http://{origin if name == REBOUND else attacked.host}"
                    for way, chosen in _ways(rows):
                        answered = len(seen.answers)
                        told = await page.evaluate(
                            "(a) => window.attack(...a)", [way, base, chosen]
                        )
                        tries += len(told)
                        readable += [f"{origin}: {one}" for one in told if not _nothing(one[-1])]
                        if chosen and not await _more(seen.answers, answered):
                            unheard.append(f"{way} from {origin}")
                    if await _frames_the_dashboard(page, base):
                        framed.append(origin)
        let_in, answered = seen.let_in(), len(seen.answers)
        effects = attacked.hits - hits, await attacked.state() != before
    return [
        Figure(
            "S2",
            f"answers to a hostile page that are no refusal, of {answered} ({tries} tries in Chromium)",
            shown(let_in),
            "0",
            held=not let_in,
        ),
        Figure(
            "S2",
            "ways of a page that were not tried in earnest",
            shown(unheard),
            "0",
            held=not unheard and bool(answered),
        ),
        Figure(
            "S2",
            "upstream calls by it, and whether anything changed",
            f"{effects[0]}, {'yes' if effects[1] else 'no'}",
            "0, no",
            held=effects == (0, False),
        ),
        Figure("S2", "answers that it could read", shown(readable), "0", held=not readable),
        Figure("S2", "pages that framed the dashboard", shown(framed), "0", held=not framed),
        Figure(
            "S2",
            "Access-Control headers that it was sent",
            shown(sorted(seen.opened)),
            "0",
            held=not seen.opened,
        ),
    ]


@asynccontextmanager
async def hostile_page(context, origin: str):
    """The page at *origin*. The name REBOUND led to the attacker when it was loaded, and leads to the
    proxy now.
    """
    page = await context.new_page()
    address = f"http://{origin}/hostile"
    if origin.startswith(REBOUND):
        await page.route(address, lambda r: r.fulfill(body=_BLANK, content_type="text/html"))
    await page.goto(address)
    await page.evaluate(WAYS)
    try:
        yield page
    finally:
        await page.close()


def _ways(rows: Sequence[Row]):
    """Each way, with what is asked by it: a method, a path and a body."""
    asks = [[row.method, row.path, row.body.decode()] for row in rows if row.method != "HEAD"]
    gets = [one for one in asks if one[0] == "GET"]
    sends = [one for one in asks if one[0] != "GET"]
    for names, chosen in (
        (BOTH, asks),
        (SENDING, sends),
        (READING, gets),
        (SOCKET, gets[:SOCKETS]),
    ):
        for name in names:
            yield name, chosen


async def _frames_the_dashboard(page, base: str) -> bool:
    await page.evaluate(
        """(at) => new Promise((done) => {
          const frame = document.createElement("iframe");
          frame.onload = done;
          frame.src = at;
          document.body.append(frame);
        })""",
        f"{base}/dashboard",
    )
    [frame] = page.main_frame.child_frames
    return "ProxyPal" in await frame.title()


async def _more(answers: Sequence[object], than: int) -> bool:
    """Whether there are more *answers*; a beacon's may be a moment late."""
    for _ in range(40):
        if len(answers) > than:
            return True
        await asyncio.sleep(0.05)
    return False


def _nothing(told: str) -> bool:
    """Whether a page has read nothing, or why it is refused, as any page of the same name can."""
    return told == "nothing" or told.startswith("421 ") or "this Host is not served here" in told
