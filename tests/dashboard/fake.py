"""A daemon's management API as the dashboard sees it, with answers that a test chooses."""

from contextlib import asynccontextmanager
from urllib.parse import unquote

from aiohttp import web

from proxypal_core.gateway import dashboard_files
from proxypal_core.gateway.feed import Feed
from proxypal_core.gateway.server import server
from proxypal_core.wire import jsonio

NOW = 1_795_000_000.0


def account(name="anthropic:work", **options):
    return {
        "id": name,
        "provider": name.partition(":")[0],
        "kind": "api_key",
        "disabled": False,
        "in_flight": 0,
        "served": 12,
        "failed": 0,
        "last_used": NOW - 60,
        "resting": None,
        "models": {},
        "limits": [],
        **options,
    }


def rest(reason="rate_limit", seconds=90.0):
    return {"reason": reason, "until": NOW + seconds, "barred_until": NOW + seconds}


def tokens(**kinds):
    return {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0, "reasoning": 0, **kinds}


def attempt(name="anthropic:work", outcome="served", duration=1.2):
    return {"account": name, "model": "claude-sonnet-5-5", "outcome": outcome, "duration": duration}


def row(number=1, **options):
    return {
        "id": f"{number:032x}",
        "at": NOW - number,
        "dialect": "anthropic",
        "path": "/v1/messages",
        "model": "claude-sonnet-5-5",
        "served_model": "anthropic/claude-sonnet-5-5",
        "account": "anthropic:work",
        "client": "laptop",
        "agent": "claude-code",
        "session": "5e55",
        "status": 200,
        "outcome": "served",
        "first_content": 0.8,
        "duration": 4.2,
        "stream": True,
        "tokens": tokens(input=1200, output=340, cache_read=18000, cache_write=900, reasoning=120),
        "cost": 0.0214,
        "attempts": [attempt(duration=4.2)],
        **options,
    }


def used(name, requests=1, **options):
    return {
        "name": name,
        "requests": requests,
        "failed": 0,
        "tokens": tokens(input=1000 * requests, output=100 * requests),
        "cost": 0.01 * requests,
        "priced": requests,
        **options,
    }


def usage(rows=(), *, by="day", savings=None):
    summed = used("", 0)
    for one in rows:
        for name in ("requests", "failed", "cost", "priced"):
            summed[name] += one[name]
        summed["tokens"] = {
            name: count + one["tokens"][name] for name, count in summed["tokens"].items()
        }
    return {
        "by": by,
        "since": NOW - 30 * 86400,
        "until": NOW,
        "rows": list(rows),
        "total": summed,
        "coverage": {"priced": summed["priced"], "requests": summed["requests"]},
        "savings": savings,
    }


class Daemon:
    """``answers`` maps "METHOD path" to JSON, to a function of the request and its body, or to a
    status and JSON.
    """

    def __init__(self):
        self.url = ""
        self._port = 0
        self.now = NOW
        self.feed = Feed()
        self.calls = []
        self.accounts = [account()]
        self.signed_in = True
        self.answers = {
            "GET /api/requests": {"requests": [], "next": None},
            "GET /api/usage": usage(),
            "GET /api/accounts": lambda *_: {
                "accounts": [{"id": one["id"], "email": "me@example.com"} for one in self.accounts]
            },
            "GET /api/keys": {"keys": []},
        }
        self.dropped, self.problem = 0, ""

    async def come_back(self):
        """Listen, where it was before if it was anywhere."""
        self.feed = Feed()
        self._runner = web.ServerRunner(server(self), shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def leave(self):
        self.feed.close()
        await self._runner.cleanup()

    def state(self):
        return {
            "version": "1",
            "now": self.now,
            "accounts": self.accounts,
            "models": ["anthropic/claude-sonnet-5-5", "demo/echo"],
            "usage_dropped": self.dropped,
            "usage_problem": self.problem,
        }

    def tell(self, record):
        self.feed.publish("exchange", record)

    def called(self, method):
        return [(path, body) for how, path, body in self.calls if how == method]

    async def __call__(self, request):
        path = unquote(request.path)
        if path.startswith("/dashboard"):
            name = path.removeprefix("/dashboard").lstrip("/")
            return dashboard_files.answer(name, request.named) or web.Response(status=404)
        if not self.signed_in:
            return web.json_response({"error": {"message": "no"}}, status=401)
        sent = await request.read()
        body = jsonio.loads(sent) if sent else None
        self.calls.append((request.method, path, body))
        if path == "/api/events":
            return await self._follow(request)
        if path == "/api/state":
            return web.json_response(self.state())
        answer = self.answers.get(f"{request.method} {path}")
        if answer is None:
            message = f"there is no {request.method} {path} here"
            return web.json_response({"error": {"message": message}}, status=404)
        status = 200
        if isinstance(answer, tuple):
            status, answer = answer
        return web.json_response(
            answer(request, body) if callable(answer) else answer, status=status
        )

    async def _follow(self, request):
        answer = request.stream([("content-type", "text/event-stream")])
        await answer.write(b"retry: 100\n\n")
        async for data in self.feed.follow(None, 15.0):
            await answer.write(data)
        return await answer.end()


@asynccontextmanager
async def daemon():
    fake = Daemon()
    await fake.come_back()
    try:
        yield fake
    finally:
        await fake.leave()
