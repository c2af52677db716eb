"""Processes that share a login never use a refresh token twice. `make token-storm` is the long form."""

from tests.identity_provider.storm import storm


async def test_each_expiry_costs_one_question_and_no_login(monkeypatch):
    for name in ("PROXYPAL_DATA_DIR", "PROXYPAL_STATE_DIR", "PROXYPAL_VAULT_KEY"):
        monkeypatch.setenv(name, "")  # given back at the end, whatever the storm sets

    provider = await storm(processes=4, tasks=10, expiries=6)

    assert provider.calls == ["refresh_token"] * 6
    assert not provider.revoked
