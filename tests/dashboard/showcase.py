"""A daemon with a month behind it: what the screenshots show."""

import random
from datetime import UTC, datetime

from tests.dashboard.fake import NOW, account, attempt, rest, row, tokens, usage, used

MODELS = (
    ("claude-sonnet-5-5", "anthropic:work", "anthropic/claude-sonnet-5-5", "claude-code"),
    ("gpt-5.6-codex", "openai:default", "openai/gpt-5.6-codex", "codex"),
    ("gemini-3.5-flash", "gemini:free", "gemini/gemini-3.5-flash", "gemini"),
    ("claude-haiku-5", "anthropic:home", "anthropic/claude-haiku-5", "openclaw"),
)
PATHS = {
    "claude-code": ("anthropic", "/v1/messages"),
    "codex": ("openai-responses", "/v1/responses"),
    "gemini": ("gemini", "/v1beta/models/gemini-3.5-flash:streamGenerateContent"),
    "openclaw": ("anthropic", "/anthropic/v1/messages"),
}


def limit(name, left, hours, scope="account"):
    return {"name": name, "scope": scope, "left": left, "resets_at": NOW + hours * 3600}


ACCOUNTS = [
    account(
        "anthropic:work", kind="oauth", served=4120, in_flight=1, last_used=NOW - 4,
        limits=[limit("five_hour", 0.62, 2.4), limit("seven_day", 0.31, 61)],
    ),
    account(
        "anthropic:home", kind="oauth", served=1873, failed=12, last_used=NOW - 700,
        resting=rest("rate_limit", 2847), limits=[limit("five_hour", 0.0, 0.79)],
    ),
    account("openai:default", served=2207, failed=3, last_used=NOW - 31,
            limits=[limit("requests", 0.93, 0.1), limit("tokens", 0.87, 0.1)]),
    account("gemini:free", served=948, failed=41, last_used=NOW - 95,
            models={"gemini-3.5-pro": rest("rate_limit", 31_000)}),
    account("openrouter:default", served=77, failed=9, last_used=NOW - 8000,
            resting=rest("billing", 86_000)),
    account("groq:spare", disabled=True, last_used=None, served=0),
]  # fmt: skip


def exchanges(number):
    chance = random.Random(7)
    return [_exchange(chance, at) for at in range(1, number + 1)]


def _exchange(chance, at):
    model, name, served, agent = chance.choices(MODELS, (6, 3, 2, 1))[0]
    dialect, path = PATHS[agent]
    duration = chance.uniform(1.5, 24)
    told = {
        "at": NOW - at * 37 - chance.random() * 20,
        "dialect": dialect,
        "path": path,
        "model": model,
        "served_model": served,
        "account": name,
        "agent": agent,
        "client": chance.choice(("laptop", "server")),
        "session": f"{chance.getrandbits(32):08x}",
        "duration": duration,
        "first_content": min(duration * 0.8, chance.uniform(0.4, 2.2)),
        "tokens": tokens(
            input=chance.randrange(80, 5000),
            output=chance.randrange(60, 2400),
            cache_read=chance.randrange(0, 90_000),
            cache_write=chance.randrange(0, 4000),
            reasoning=chance.randrange(0, 60),
        ),
        "cost": chance.uniform(0.002, 0.19),
        "attempts": [attempt(name, duration=duration)],
    }
    if at % 9 == 3:
        told["attempts"] = [
            attempt("anthropic:home", "rate_limit", 0.31),
            attempt("openrouter:default", "billing", 0.84),
            attempt(name, "served", duration - 1.15),
        ]
    if at % 17 == 5:
        told |= {
            "status": 429, "outcome": "resting", "account": "", "served_model": "", "cost": 0.0,
            "duration": 0.004, "first_content": 0.0, "tokens": tokens(), "attempts": [],
        }  # fmt: skip
    return row(at, **told)


def _sums(name, requests, chance):
    each = chance.uniform(0.8, 1.2)
    return used(
        name,
        requests,
        failed=requests // 40,
        tokens=tokens(
            input=int(1500 * requests * each),
            output=int(700 * requests * each),
            cache_read=int(22_000 * requests * each),
            cache_write=int(1100 * requests * each),
            reasoning=int(120 * requests * each),
        ),
        cost=0.034 * requests * each,
        priced=requests - requests // 30,
    )


def _usage(request, _):
    chance = random.Random(11)
    by = request.query.get("by", "day")
    steps = {"day": (30, 86_400, "%Y-%m-%d"), "hour": (24, 3600, "%Y-%m-%dT%H:00")}
    if by in steps:
        number, step, form = steps[by]
        times = [NOW - step * back for back in reversed(range(number))]
        rows = [
            _sums(
                datetime.fromtimestamp(at, UTC).strftime(form),
                int(chance.uniform(0.3, 1.0) * 3500 / number),
                chance,
            )
            for at in times
        ]
    else:
        names = {
            "model": [served for _, _, served, _ in MODELS],
            "account": [one["id"] for one in ACCOUNTS[:5]],
            "agent": ["claude-code", "codex", "openclaw", "gemini", ""],
            "key": ["laptop", "server", ""],
            "provider": ["anthropic", "openai", "gemini", "openrouter"],
        }[by]
        rows = [_sums(name, 1200 // (at + 1), chance) for at, name in enumerate(names)]
    value = sum(one["cost"] for one in rows)
    return usage(rows, by=by, savings={"value": value, "plans": 40.0, "saved": value - 40.0})


EXPLAINED = {
    "model": "claude-sonnet-5-5",
    "targets": ["anthropic/claude-sonnet-5-5"],
    "answers": {"account": "anthropic:work", "model": "anthropic/claude-sonnet-5-5"},
    "candidates": [
        {"account": "anthropic:work", "provider": "anthropic", "model": "claude-sonnet-5-5",
         "state": "ready", "place": 1, "reason": "", "until": 0.0},
        {"account": "anthropic:home", "provider": "anthropic", "model": "claude-sonnet-5-5",
         "state": "barred", "place": 0, "reason": "rate_limit", "until": NOW + 2847},
    ],
    "last_request": None,
}  # fmt: skip


def _key(name, **options):
    return {
        "name": name, "source": "vault", "models": [], "requests_per_minute": 0,
        "tokens_per_minute": 0, "budget_usd": 0.0, "expires": None, "expired": False,
        "created": NOW - 86_400, "spent": 0.0, "quotas": [], **options,
    }  # fmt: skip


KEYS = [
    _key("laptop", spent=31.2),
    _key("server", models=["claude-*", "gpt-*"], requests_per_minute=60, budget_usd=50, spent=18.4),
    _key("friend", models=["gemini-*"], tokens_per_minute=40_000, expires=NOW + 30 * 86_400),
]


def fill(fake, requests=12):
    """Give *fake* a month's past, and its last *requests*."""
    fake.accounts = ACCOUNTS
    rows = exchanges(requests)
    fake.answers["GET /api/requests"] = {"requests": rows, "next": "1"}
    for one in rows:
        fake.answers[f"GET /api/requests/{one['id']}"] = one
    fake.answers["GET /api/usage"] = _usage
    fake.answers["GET /api/explain"] = EXPLAINED
    fake.answers["GET /api/keys"] = {"keys": KEYS}
    fake.answers["GET /api/order/anthropic"] = {"order": ["anthropic:work", "anthropic:home"]}


def live(fake, number=9):
    """What happens while the page is open."""
    for one in reversed(exchanges(number)):
        fake.tell({**one, "at": one["at"]})
