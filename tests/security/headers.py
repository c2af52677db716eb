"""Which headers pass, each way: random ones in their thousands, against lists declared a second time."""

import asyncio
import random
import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager

from proxypal_core.wire import jsonio
from tests.fault_server import SCENARIOS
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.figures import Figure
from tests.gateway.asking import DIALECTS, question
from tests.proxy import Proxy, StoppedClock, proxy
from tests.security.policy import shown
from tests.security.target import Answer, asked, message, settings

CLIENT_KEY = "canary-of-the-client"
UPSTREAM_SECRET = "canary-of-the-upstream"

# What an upstream may be sent, by its dialect, and by every dialect.
UP: Mapping[str, re.Pattern[str]] = {
    "openai-chat": re.compile(
        r"authorization|openai-.+|x-stainless-.+|idempotency-key|x-client-request-id"
    ),
    "openai-responses": re.compile(
        r"authorization|openai-.+|x-stainless-.+|idempotency-key|x-client-request-id|originator"
        r"|version|x-codex-.+|session[-_]id|thread-id|conversation[-_]id|chatgpt-account-id"
    ),
    "anthropic": re.compile(
        r"x-api-key|anthropic-.+|x-app|x-claude-code-.+|x-stainless-.+|idempotency-key"
    ),
    "gemini": re.compile(r"x-goog-api-key|x-goog-api-client|x-server-timeout|x-goog-user-project"),
}
ALWAYS_UP = re.compile(r"host|user-agent|accept|accept-encoding|content-type|content-length")
OWN_KEY = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}

# What a client may be told, by its dialect, and in every dialect.
DOWN: Mapping[str, re.Pattern[str]] = {
    "openai-chat": re.compile(r"x-ratelimit-.+|openai-.+"),
    "openai-responses": re.compile(r"x-ratelimit-.+|openai-.+|x-codex-.+|x-models-etag"),
    "anthropic": re.compile(r"anthropic-(?:ratelimit|priority|fast|organization)-.+"),
    "gemini": re.compile(r"x-gemini-.+|server-timing"),
}
ALWAYS_DOWN = re.compile(
    r"date|server|connection|cache-control|content-(?:type|length|disposition)|transfer-encoding"
    r"|request-id|x-request-id|x-proxypal-(?:account|model|attempts|dropped|estimate)"
    r"|retry-after|x-should-retry"
)
CLEAN = re.compile(r"[\x20-\x7e]*")

_SECRETS_UP = (
    "cookie", "authorization", "x-api-key", "x-goog-api-key", "api-key", "proxy-authorization",
    "x-amz-security-token", "x-forwarded-for", "forwarded", "referer", "origin-trial", "x-real-ip",
    "anthropic", "x-stainless", "openai", "xopenai-beta", "x_app", "te", "trailer", "keep-alive",
    "upgrade-insecure-requests", "expect-ct", "user-agent", "from", "via", "dnt",
)  # fmt: skip
_ALLOWED_UP = (
    "anthropic-beta", "anthropic-version", "x-app", "x-claude-code-session-id", "x-stainless-lang",
    "openai-beta", "openai-organization", "idempotency-key", "x-client-request-id", "originator",
    "version", "x-codex-turn-metadata", "session_id", "session-id", "thread-id",
    "chatgpt-account-id", "x-goog-api-client", "x-server-timeout", "x-goog-user-project",
)  # fmt: skip
_SECRETS_DOWN = (
    "set-cookie", "server", "alt-svc", "cf-ray", "cf-cache-status", "via", "x-powered-by",
    "www-authenticate", "strict-transport-security", "access-control-allow-origin", "location",
    "content-security-policy", "x-envoy-upstream", "nel", "report-to", "x-request-id", "link",
    "refresh", "clear-site-data", "service-worker-allowed", "sourcemap", "x-ratelimit", "openai",
    "access-control-allow-credentials", "cross-origin-resource-policy", "content-language", "trailer",
    "keep-alive", "proxy-authenticate", "set-cookie2", "x-proxypal-account", "content-location",
)  # fmt: skip
_ALLOWED_DOWN = (
    "anthropic-ratelimit-requests-limit", "anthropic-organization-id", "x-ratelimit-limit-requests",
    "openai-processing-ms", "openai-version", "x-codex-primary-used-percent", "x-models-etag",
    "x-gemini-service-tier", "server-timing", "anthropic-priority-input-tokens-limit",
)  # fmt: skip
# Bytes that a header may not have, and some that only some believe that it may.
_ODD = ("\x00", "\x01", "\x0b", "\x1b[31m", "\x7f", "\x80", "\xe9", "\xff", "\t", "  ", "\xc2\x85")


# ── random headers ───────────────────────────────────────────────────────────────────────────


def random_lines(
    chance: random.Random,
    allowed: Sequence[str],
    passes: bool,
    secret: Sequence[str],
    canary: str,
) -> list[str]:
    """Lines of a head. Every value of a name that may not pass has the *canary* in it, and so has
    every value of a name that a ``Connection`` line keeps from passing.
    """
    names = chance.sample(allowed, chance.randrange(4)) + chance.sample(secret, chance.randrange(5))
    names += [_made_up(chance) for _ in range(chance.randrange(3))]
    kept = chance.sample(names, min(len(names), 2)) if chance.random() < 0.3 else []
    free = {name for name in allowed if passes and name not in kept}
    lines = [
        f"{_cased(chance, name)}: {_value(chance, '' if name in free else canary)}"
        for name in names
    ]
    if kept:
        lines.append(
            f"{_cased(chance, 'connection')}: {', '.join(_cased(chance, n) for n in kept)}"
        )
    chance.shuffle(lines)
    return lines


def _made_up(chance: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
    return "z" + "".join(chance.choice(letters) for _ in range(chance.randrange(1, 20)))


def _cased(chance: random.Random, name: str) -> str:
    return chance.choice((str.lower, str.upper, str.title))(name)


def _value(chance: random.Random, canary: str) -> str:
    parts = [canary, chance.choice(("", "a=1; b", "x" * chance.randrange(1, 2000), "Bearer", "*"))]
    if chance.random() < 0.15:
        parts.append(chance.choice(_ODD))
    chance.shuffle(parts)
    return " ".join(parts)


# ── both ways at once ────────────────────────────────────────────────────────────────────────


class Echo:
    """An upstream that answers each request with the next of ``replies``, and keeps it as it came."""

    def __init__(self):
        self.heads: list[tuple[str, bytes]] = []
        """Lines of a head, in Latin-1, and the body behind them."""
        self.replies: deque[tuple[str, bytes]] = deque()

    def url(self, dialect: str) -> str:
        return f"http://127.0.0.1:{self.port}" + ("/v1" if dialect.startswith("openai") else "")

    async def handle(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.heads.append((head, body))
                told, answer = self.replies.popleft()
                writer.write(
                    f"HTTP/1.1 200 OK\r\n{told}Content-Length: {len(answer)}\r\n\r\n".encode(
                        "latin-1"
                    )
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def echo():
    upstream = Echo()
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0)
    async with server:
        upstream.port = server.sockets[0].getsockname()[1]
        yield upstream


async def measure_headers(count: int = 10_000, seed: int = 0) -> list[Figure]:
    """*count* random heads, each way at once: one of a client's to the upstream, and one of its back."""
    chance = random.Random(seed)
    faults: dict[str, list[str]] = {"up": [], "down": [], "h11": [], "inside": []}
    passed = {"up": 0, "down": 0}
    config = f"client_keys: [{{name: a, key: {CLIENT_KEY}}}]\n"
    async with echo() as upstream, proxy(settings(upstream, config), clock=StoppedClock()) as p:
        for number in range(count):
            spoken = DIALECTS[number % len(DIALECTS)]
            asked_for = chance.choice(DIALECTS) if chance.random() < 0.2 else spoken
            upstream.heads.clear()
            upstream.replies.clear()
            answer = await _ask(p, upstream, chance, spoken, asked_for)
            if answer.status == 500:
                faults["inside"].append(f"{number}")
            if answer.problem:
                faults["h11"].append(f"{number}: {answer.problem}")
            if upstream.heads:
                passed["up"] += 1
                leaks = leaks_up(asked_for, *upstream.heads[-1])
                faults["up"] += [f"{number}: {one}" for one in leaks]
            if answer.status == 200:
                passed["down"] += 1
            faults["down"] += [f"{number}: {one}" for one in leaks_down(spoken, answer)]
    enough = min(passed.values()) > count / 3
    return [
        Figure(
            "S4",
            f"headers that went upstream and may not, of {passed['up']} random heads",
            shown(faults["up"]),
            "0",
            held=not faults["up"] and enough,
        ),
        Figure(
            "S4",
            f"headers that reached a client and may not, of {passed['down']} random heads",
            shown(faults["down"]),
            "0",
            held=not faults["down"] and enough,
        ),
        Figure(
            "S4",
            f"answers that h11 refuses, of {count}",
            shown(faults["h11"]),
            "0",
            held=not faults["h11"],
        ),
        Figure(
            "S4",
            f"heads that the proxy itself failed on, of {count}",
            shown(faults["inside"]),
            "0",
            held=not faults["inside"],
        ),
    ]


async def _ask(
    p: Proxy, upstream: Echo, chance: random.Random, spoken: str, asked_for: str
) -> Answer:
    """A client of the dialect *spoken* asks an upstream of the dialect *asked_for*; where the two
    differ, nothing of either's own may pass.
    """
    stream = chance.random() < 0.3
    path, asks = question(spoken, f"up-{asked_for}/m-1", stream=stream)
    spelling, scenario = SPELLINGS[asked_for], SCENARIOS["text"]
    if stream:
        told, kind = b"".join(spelling.frames(scenario, "m-1")), "text/event-stream"
    else:
        told, kind = jsonio.dumps(spelling.whole(scenario, "m-1")), "application/json"
    same = spoken == asked_for
    more = []
    if same and spoken == "openai-chat" and chance.random() < 0.3:  # forwarded byte for byte
        path, asks = "/v1/embeddings", {"model": f"up-{asked_for}/m-1", "input": "Hello?"}
        more = [f"Content-Disposition: attachment; filename={_value(chance, '')}"]
    back = more + random_lines(chance, _ALLOWED_DOWN, same, _SECRETS_DOWN, UPSTREAM_SECRET)
    head = "".join(f"{line}\r\n" for line in [f"Content-Type: {kind}", *back])
    upstream.replies.append((head, told))
    lines = [
        f"Host: 127.0.0.1:{p.port}",
        "Content-Type: application/json",
        f"x-api-key: {CLIENT_KEY}",
        *random_lines(chance, _ALLOWED_UP, same, _SECRETS_UP, CLIENT_KEY),
    ]
    return await asked(p.port, message("POST", path, lines, jsonio.dumps(asks)))


def leaks_up(dialect: str, head: str, body: bytes) -> list[str]:
    """What an upstream of *dialect* was sent in *head* that it may not see."""
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
    found = [
        f"the name {name}"
        for name, _, _ in lines
        if not (ALWAYS_UP.fullmatch(name.lower()) or UP[dialect].fullmatch(name.lower()))
    ]
    found += [f"the value of {name}" for name, _, value in lines if not CLEAN.fullmatch(value)]
    if CLIENT_KEY in head or CLIENT_KEY.encode() in body:
        found.append("the client's key")
    own = OWN_KEY.get(dialect, "authorization")
    keys = [value.split()[-1] for name, _, value in lines if name.lower() == own]
    if keys != [f"key-of-{dialect}"]:
        found.append(f"another {own}")
    return found


def leaks_down(dialect: str, answer: Answer) -> list[str]:
    """What *answer* tells a client of *dialect* that it may not hear."""
    found = [
        f"the name {name}"
        for name, _ in answer.headers
        if not (ALWAYS_DOWN.fullmatch(name) or DOWN[dialect].fullmatch(name))
    ]
    for name, value in answer.headers:
        if not CLEAN.fullmatch(value):
            found.append(f"the value of {name}")
        if UPSTREAM_SECRET in value or (name == "server" and value != "proxypal"):
            found.append(f"the upstream's {name}")
    return found
