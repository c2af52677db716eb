"""What of a daemon's settings makes it a replica."""

from proxypal_core.app.sharing import cannot_share, unreachable
from proxypal_core.settings.parse import parse


def test_who_shares_nothing_needs_nothing(monkeypatch):
    monkeypatch.setattr("proxypal_core.app.sharing.find_spec", lambda name: None)

    assert cannot_share(parse("", {})) == ""


def test_who_shares_needs_the_package(monkeypatch):
    settings = parse("state: {backend: redis, url: 'redis://127.0.0.1'}", {})
    with_it = cannot_share(settings)
    monkeypatch.setattr("proxypal_core.app.sharing.find_spec", lambda name: None)

    assert with_it == ""
    assert "proxypal-core[redis]" in cannot_share(settings)


async def test_a_server_that_answers_is_reachable(redis_at):
    settings = parse(f"state: {{backend: redis, url: 'unix://{redis_at.path}'}}", {})

    assert await unreachable(settings) == ""
