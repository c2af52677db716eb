"""The short form of R3, and that its gate can close."""

import time

import pytest

from proxypal_core.accounts.attempts import Attempts
from proxypal_core.accounts.pool import Pool
from tests.reliability import failover as suite
from tests.reliability.failover import BOUND, FAULTS, SILENT, failover

SHORT = {"repeats": 2, "burst": 2, "dialects": ("anthropic",)}


@pytest.fixture(autouse=True)
def _nobody_is_timed(monkeypatch):
    """On a busy machine, who is well may be taken for one who is silent."""
    speaking = {name: step for name, step in FAULTS.items() if name != SILENT}
    monkeypatch.setattr(suite, "FAULTS", speaking)


async def test_no_client_notices_while_one_account_is_well():
    answers, _ = await failover(**SHORT)

    assert answers.held, answers


async def test_a_proxy_that_gives_up_after_one_failure_is_seen(monkeypatch):
    def gives_up(attempts, lease, failure):
        failed(attempts, lease, failure)
        attempts.over = True

    failed = Attempts.failed
    monkeypatch.setattr(Attempts, "failed", gives_up)

    answers, _ = await failover(**SHORT)

    assert answers.held is False


async def test_a_proxy_that_takes_its_time_over_a_failure_is_seen(monkeypatch):
    failed = Pool.failed

    def slowly(*args, **options):
        time.sleep(BOUND * 1.5)
        failed(*args, **options)

    monkeypatch.setattr(Pool, "failed", slowly)

    _, added = await failover(repeats=1, burst=0, dialects=("anthropic",))

    assert added.held is False
