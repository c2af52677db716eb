"""Who is next is found without comparing everybody, and is the same as if everybody were compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.limits import Gauge
from proxypal_core.accounts.pool import Pool
from proxypal_core.hub.failure import Failure, Kind
from tests.proxy import StoppedClock

MODELS = ("m", "n")
SESSIONS = (None, Session("a"), Session("b"))


class Comparing(Pool):
    """A pool that compares all accounts for every request."""

    def _line_up(self):
        self._turns = {}


accounts = st.builds(
    lambda kind, priority, most: {"kind": kind, "priority": priority, "max_concurrency": most},
    st.sampled_from(["oauth", "token", "api_key"]),
    st.integers(0, 1),
    st.integers(0, 2),
)
moves = st.one_of(
    st.tuples(st.just("lease"), st.sampled_from(MODELS), st.sampled_from(SESSIONS)),
    st.tuples(st.just("served"), st.integers(0, 9), st.none()),
    st.tuples(
        st.just("failed"),
        st.integers(0, 9),
        st.sampled_from([Kind.RATE_LIMIT, Kind.OVERLOADED, Kind.MODEL, Kind.BILLING]),
    ),
    st.tuples(st.just("low"), st.integers(0, 9), st.floats(0, 0.2)),
    st.tuples(st.just("later"), st.sampled_from([1, 90, 4000]), st.none()),
)


@given(
    st.lists(accounts, min_size=1, max_size=5),
    st.sampled_from(["round_robin", "fill_first"]),
    st.lists(moves, max_size=40),
)
def test_who_is_next_is_who_would_be_chosen(rows, strategy, played):
    made = [Account(id=f"p:{at}", provider="p", **row) for at, row in enumerate(rows)]
    order = {"p": [row.id for row in reversed(made)][:3]} if len(made) % 2 else {}
    clock = StoppedClock()
    pools = [
        kind(made, clock=clock, strategy=strategy, affinity=3600.0, order=order)
        for kind in (Pool, Comparing)
    ]
    out = []

    for what, which, more in played:
        match what:
            case "lease":
                leases = [leased(pool, Target("p", which), more) for pool in pools]
                assert leases[0][0] == leases[1][0]
                if leases[0][1] is not None:
                    out.append([lease for _, lease in leases])
            case "later":
                clock.at += which
            case _ if out:
                pair = out[which % len(out)]
                if what != "low":
                    out.remove(pair)
                for pool, lease in zip(pools, pair, strict=True):
                    play(pool, lease, what, more, clock.at)


def leased(pool, target, session):
    try:
        lease = pool.lease([target], session=session)
    except NoneReady as none:
        return (none.busy, none.resumes_at), None
    return lease.account.id, lease


def play(pool, lease, what, more, now):
    match what:
        case "served":
            pool.served(lease)
        case "failed":
            pool.failed(lease, Failure(more, "as it was played"))
        case _:
            pool.note(lease, [Gauge("requests", "model", more, now + 500)])


@pytest.mark.parametrize(
    "back",
    [
        Pool.served,
        Pool.released,
        lambda pool, lease: pool.failed(lease, Failure(Kind.INVALID, "its own fault")),
    ],
)
def test_who_was_used_is_last_in_its_group_after_a_restart_too(back):
    made = [Account(id=f"p:{name}", provider="p") for name in "abc"]
    kept = {}
    clock = StoppedClock()
    before = Pool(made, clock=clock, changed=lambda row: kept.__setitem__(row.account, row))
    lease = before.lease([Target("p", "m")])
    back(before, lease)

    after = Pool(made, clock=clock)
    after.restore(kept.values())

    assert lease.account.id == "p:a"
    assert [after.lease([Target("p", "m")]).account.id for _ in range(3)] == ["p:b", "p:c", "p:a"]
