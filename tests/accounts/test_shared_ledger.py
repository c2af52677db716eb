import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.client_keys import ClientKey, Ledger
from proxypal_core.accounts.shared_ledger import SharedLedger, Total, Used

NOW = 1_795_000_000.0
steps = st.lists(
    st.tuples(st.sampled_from(["admit", "used"]), st.integers(0, 900), st.floats(0, 40)),
    max_size=40,
)


class Clock:
    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


def key(**limits):
    return ClientKey("laptop", b"", **limits)


def shared(the_key, clock=None, *, near=lambda: None):
    ledger = SharedLedger(clock or Clock(), None, near)
    ledger.watch([the_key])
    return ledger


def heard(ledger, total, *, replicas=2, at=int(NOW), sent=None):
    ledger.heard(sent or {}, {"laptop": total}, at=at, ahead=0.0, replicas=replicas)


class Server:
    """Adds up what ledgers tell, as a shared state does."""

    def __init__(self, clock):
        self._clock = clock
        self.requests, self.tokens, self.spent = {}, {}, 0.0

    def exchange(self, *ledgers):
        second = int(self._clock())
        for ledger in ledgers:
            report = ledger.report()
            for used in report.values():
                for rows, amount in ((self.requests, used.requests), (self.tokens, used.tokens)):
                    rows[str(second)] = rows.get(str(second), 0) + amount
                self.spent = max(self.spent, used.seen) + used.usd
            totals = dict.fromkeys(
                report, Total(dict(self.requests), dict(self.tokens), self.spent)
            )
            ledger.heard(report, totals, at=second, ahead=0.0, replicas=len(ledgers))


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(steps=steps, limit=st.integers(0, 5), tokens=st.integers(0, 3000))
def test_a_replica_that_hears_of_nobody_admits_what_a_lone_daemon_would(steps, limit, tokens):
    clock = Clock()
    the_key = key(requests_per_minute=limit, tokens_per_minute=tokens, budget_usd=2.0)
    lone, one = Ledger(clock), shared(the_key, clock)
    lone.watch([the_key])

    for act, amount, later in steps:
        clock.at += later
        if act == "admit":
            assert lone.admit(the_key) == one.admit(the_key)
        else:
            lone.used(the_key, amount, amount / 1000)
            one.used(the_key, amount, amount / 1000)

        assert lone.quotas(the_key) == one.quotas(the_key)


@given(
    turns=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 10)), max_size=60),
    limit=st.integers(1, 8),
)
def test_replicas_that_exchange_after_every_request_let_in_what_one_daemon_would_and_a_first_each(
    turns, limit
):
    clock, the_key = Clock(), key(requests_per_minute=limit)
    ledgers = [shared(the_key, clock) for _ in range(3)]
    server, admitted = Server(clock), []

    for number, later in turns:
        clock.at += later
        if not ledgers[number].admit(the_key):
            admitted.append(clock.at)
        server.exchange(*ledgers)
        server.exchange(*ledgers)  # what the last has told, the first hears now

        assert sum(at > clock.at - 60 for at in admitted) <= limit + len(ledgers) - 1


@given(limit=st.integers(1, 300), replicas=st.integers(1, 5))
def test_a_limit_is_never_more_than_half_used_up_before_an_exchange_is_asked_for(limit, replicas):
    asked = []
    the_key = key(requests_per_minute=limit)
    ledger = shared(the_key, near=lambda: asked.append(1))
    ledger.admit(the_key)
    heard(ledger, Total(), sent=ledger.report(), replicas=replicas)
    asked.clear()

    blind = 0
    while not asked and blind < limit:
        ledger.admit(the_key)
        blind += 1

    assert (blind - 1) * replicas <= limit / 2


# ── what others took ─────────────────────────────────────────────────────────────────────────


def test_what_others_took_counts():
    ledger = shared(key(requests_per_minute=3))
    heard(ledger, Total(requests={str(int(NOW)): 2}))

    first = ledger.admit(key(requests_per_minute=3))
    second = ledger.admit(key(requests_per_minute=3))

    assert first == []
    assert [quota.of for quota in second] == ["requests"]


def test_what_others_took_is_free_again_after_a_minute():
    clock = Clock()
    ledger = shared(key(requests_per_minute=1), clock)
    heard(ledger, Total(requests={str(int(NOW)): 1}))
    clock.at += 61.0

    assert ledger.admit(key(requests_per_minute=1)) == []


def test_what_this_replica_told_is_not_taken_for_another_s():
    the_key = key(requests_per_minute=2)
    ledger = shared(the_key)
    ledger.admit(the_key)
    heard(ledger, Total(requests={str(int(NOW)): 1}), sent=ledger.report())

    assert ledger.admit(the_key) == []


def test_what_was_told_is_told_once():
    the_key = key(requests_per_minute=9, tokens_per_minute=900)
    ledger = shared(the_key)
    ledger.admit(the_key)
    ledger.used(the_key, 5, 0.25)

    first, second = ledger.report(), ledger.report()

    assert first == {"laptop": Used(1, 5, 0.25, 0.0)}
    assert second == {"laptop": Used(0, 0, 0.0, 0.25)}


def test_what_was_told_of_more_than_a_minute_ago_is_forgotten():
    clock = Clock()
    ledger = shared(key(), clock)
    for _ in range(70):
        heard(ledger, Total(), sent={"laptop": Used(requests=1)}, at=int(clock.at))
        clock.at += 1.0

    assert len(ledger._uses["laptop"].requests._sent) <= 61


def test_money_that_others_spent_counts():
    ledger = shared(key(budget_usd=5.0))
    heard(ledger, Total(spent=5.5))

    [reached] = ledger.admit(key(budget_usd=5.0))

    assert (reached.of, reached.left) == ("budget", 0.0)


def test_what_was_spent_while_the_answer_was_under_way_is_not_lost():
    the_key = key(budget_usd=5.0)
    ledger = shared(the_key)
    ledger.used(the_key, 0, 1.0)
    sent = ledger.report()
    ledger.used(the_key, 0, 0.5)

    heard(ledger, Total(spent=3.0), sent=sent)

    assert ledger.spent(the_key) == pytest.approx(3.5)


def test_a_key_that_was_not_used_for_a_minute_is_not_told_of():
    clock = Clock()
    ledger = shared(key(), clock)
    ledger.admit(key())
    ledger.report()
    clock.at += 61.0

    assert ledger.report() == {}


def test_an_exchange_is_asked_for_by_the_first_request_after_a_while():
    asked = []
    ledger = shared(key(requests_per_minute=100), near=lambda: asked.append(1))

    ledger.admit(key(requests_per_minute=100))
    ledger.admit(key(requests_per_minute=100))

    assert asked == [1]


@pytest.mark.parametrize(
    "the_key", [key(tokens_per_minute=100), key(budget_usd=1.0)], ids=["tokens", "budget"]
)
def test_an_exchange_is_asked_for_when_an_answer_took_much(the_key):
    asked = []
    ledger = shared(the_key, near=lambda: asked.append(1))
    ledger.admit(the_key)
    heard(ledger, Total(), sent=ledger.report())
    asked.clear()

    ledger.used(the_key, 60, 0.6)

    assert asked == [1]


def test_a_key_that_is_gone_is_passed_over():
    ledger = shared(key())
    gone = ClientKey("gone", b"", requests_per_minute=1)

    ledger.used(gone, 5, 1.0)
    ledger.heard({}, {"gone": Total()}, at=int(NOW), ahead=0.0, replicas=2)
    ledger.alone()

    assert ledger.quotas(gone) == []
    assert ledger.report() == {}


# ── alone ────────────────────────────────────────────────────────────────────────────────────


def test_alone_a_replica_has_its_part_of_every_limit():
    the_key = key(requests_per_minute=9, tokens_per_minute=900, budget_usd=7.0)
    ledger = shared(the_key)
    heard(ledger, Total(requests={str(int(NOW)): 8}, spent=1.0), replicas=3)

    ledger.alone()

    quotas = {quota.of: (quota.limit, quota.left) for quota in ledger.quotas(the_key)}
    assert quotas == {"requests": (9, 3), "tokens": (900, 300), "budget": (7.0, 2.0)}


def test_a_replica_that_is_no_longer_alone_has_the_whole_limit_again():
    the_key = key(requests_per_minute=9)
    ledger = shared(the_key)
    heard(ledger, Total(), replicas=3)
    ledger.alone()

    heard(ledger, Total(), replicas=3)

    assert ledger.quotas(the_key)[0].left == 9
