"""Which account answers next, and which rests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from proxypal_core.accounts.account import Account, Secret, masked
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.limits import Gauge
from proxypal_core.accounts.pool import TURNS, Pool
from proxypal_core.accounts.verdict import LONGEST, VERDICTS, Ladders
from proxypal_core.hub.failure import Failure, Kind

LIMITED = Failure(Kind.RATE_LIMIT, "slow down")
BROKE = Failure(Kind.BILLING, "no credit")
OVERLOADED = Failure(Kind.OVERLOADED, "overloaded")
HICCUP = Failure(Kind.SERVER, "it broke")
M = Target("p", "m")
MINUTE, HOUR = 60, 3600


class Clock:
    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def account(name, provider="p", **fields):
    return Account(id=f"{provider}:{name}", provider=provider, **fields)


def pool_of(*accounts, clock=None, **options):
    made = [one if isinstance(one, Account) else account(one) for one in accounts]
    return Pool(made, clock=clock or Clock(), **options)


def take(pool, *models, **options):
    return pool.lease([Target("p", model) for model in models or ("m",)], **options)


def fail(pool, failure, *models, **options):
    lease = take(pool, *models, **options)
    pool.failed(lease, failure)
    return lease


def nobody(pool, *models, **options):
    """Why nobody is ready."""
    with pytest.raises(NoneReady) as none:
        take(pool, *models, **options)
    return none.value


def names(pool, many, **options):
    return [take(pool, **options).account.id for _ in range(many)]


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

KINDS = [kind for kind in Kind if VERDICTS[kind].elsewhere]
NAMES = ("a", "b", "c", "d")
MODELS = ("m", "n")


class PoolMachine(RuleBasedStateMachine):
    """Everything that can happen to a pool, in any order, with a clock of its own."""

    leases = Bundle("leases")

    @initialize()
    def start(self):
        self.clock = Clock()
        self.rows = {}
        self.pool = self.make()
        self.out = {}
        self.overtaken = {name: {} for name in NAMES}

    def make(self):
        def keep(row):
            self.rows[row.account, row.model] = row

        return pool_of(*NAMES, clock=self.clock, changed=keep)

    def health(self, name, model):
        """The rests of an account for *model*, of which the later one counts."""
        one = next(s for s in self.pool.standings if s.account.id == name)
        found = [one.health, *([one.models[model]] if model in one.models else [])]
        return max(h.rests_until for h in found), max(h.barred_until for h in found)

    @rule(target=leases, model=st.sampled_from(MODELS))
    def lease(self, model):
        now = self.clock.now
        rests = {f"p:{name}": self.health(f"p:{name}", model) for name in NAMES}
        if all(barred > now for _, barred in rests.values()):
            soonest = min(barred for _, barred in rests.values())
            assert nobody(self.pool, model).resumes_at == soonest
            return multiple()
        lease = take(self.pool, model)
        chosen = lease.account.id
        rests_until, barred_until = rests[chosen]
        assert barred_until <= now
        ready = {name for name, (until, _) in rests.items() if until <= now}
        assert chosen in ready or not ready
        if not ready:
            askable = [until for until, barred in rests.values() if barred <= now]
            assert rests_until == min(askable)
        self.note_turn(chosen, ready)
        self.out[lease.number] = lease
        return lease

    def note_turn(self, chosen, ready):
        """Nobody who is ready all the while is passed over twice for the same other one."""
        for name in NAMES:
            waiting = self.overtaken[name]
            if f"p:{name}" == chosen or f"p:{name}" not in ready:
                waiting.clear()
                continue
            if chosen in ready:
                waiting[chosen] = waiting.get(chosen, 0) + 1
                assert waiting[chosen] <= 1

    @rule(lease=consumes(leases))
    def serve(self, lease):
        self.out.pop(lease.number, None)
        self.pool.served(lease)

    @rule(lease=consumes(leases))
    def abandon(self, lease):
        self.out.pop(lease.number, None)
        self.pool.released(lease)
        self.pool.released(lease)  # twice is once

    @rule(
        lease=consumes(leases),
        kind=st.sampled_from(KINDS),
        stated=st.none() | st.floats(0, 2 * LONGEST),
        scope=st.sampled_from(["", "model", "account"]),
    )
    def fail(self, lease, kind, stated, scope):
        known = self.out.pop(lease.number, None) is not None
        failure = Failure(kind, "no", retry_after=stated, scope=scope)
        self.pool.failed(lease, failure)
        if known and stated and kind is Kind.RATE_LIMIT:
            _, barred = self.health(lease.account.id, lease.model)
            assert barred >= self.clock.now + min(stated, LONGEST)

    @rule(seconds=st.floats(0, 4000) | st.floats(0, 48 * HOUR))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(name=st.sampled_from(NAMES))
    def reset(self, name):
        self.pool.reset(f"p:{name}")

        assert all(self.health(f"p:{name}", model) == (0, 0) for model in MODELS)

    @rule()
    def restart(self):
        """A new process has what the old one noted, who gave all back that was on loan."""
        for lease in self.out.values():
            self.pool.released(lease)
        before = {name: [self.health(f"p:{name}", m) for m in MODELS] for name in NAMES}
        used = {s.account.id: (s.used, s.used_at, s.served, s.failed) for s in self.pool.standings}
        self.pool = self.make()
        self.pool.restore(self.rows.values())
        self.out.clear()

        assert {name: [self.health(f"p:{name}", m) for m in MODELS] for name in NAMES} == before
        assert used == {
            s.account.id: (s.used, s.used_at, s.served, s.failed) for s in self.pool.standings
        }

    @invariant()
    def no_lease_is_lost(self):
        if not hasattr(self, "pool"):
            return
        assert self.pool.leased == len(self.out)
        assert sum(one.in_flight for one in self.pool.standings) == len(self.out)

    @invariant()
    def no_rest_is_for_ever(self):
        if not hasattr(self, "pool"):
            return
        for one in self.pool.standings:
            for health in (one.health, *one.models.values()):
                assert health.barred_until <= health.rests_until <= self.clock.now + LONGEST


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=100, stateful_step_count=100, deadline=None)


def test_every_kind_of_failure_has_a_verdict():
    assert set(VERDICTS) == set(Kind)


@given(st.permutations(["oauth", "token", "api_key"]), st.sampled_from(sorted(TURNS)))
def test_what_is_paid_for_anyway_goes_first(kinds, strategy):
    pool = pool_of(*(account(kind, kind=kind) for kind in kinds), strategy=strategy)
    order = [take(pool).account.kind]
    for _ in range(2):
        pool.failed(take(pool), LIMITED)
        order.append(take(pool).account.kind)

    assert order == ["oauth", "token", "api_key"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
def test_weights_share_the_work_exactly(weights, rounds):
    pool = pool_of(
        *(account(str(at), weight=weight) for at, weight in enumerate(weights)), strategy="weighted"
    )
    given = []
    for _ in range(sum(weights) * rounds):
        lease = take(pool)
        given.append(lease.account.id)
        pool.served(lease)

    assert [given.count(f"p:{at}") for at in range(len(weights))] == [w * rounds for w in weights]


# ── turns ────────────────────────────────────────────────────────────────────────────────────


def test_accounts_take_turns():
    assert names(pool_of("a", "b", "c"), 6) == ["p:a", "p:b", "p:c"] * 2


def test_turns_go_by_the_last_use_over_all_models():
    pool = pool_of("a", "b")
    take(pool, "m")

    assert take(pool, "n").account.id == "p:b"


def test_the_first_is_filled_before_the_second_is_begun():
    pool = pool_of("a", "b", strategy="fill_first")
    assert names(pool, 3) == ["p:a"] * 3
    fail(pool, LIMITED)

    assert names(pool, 3) == ["p:b"] * 3


def test_the_least_busy_goes_first():
    pool = pool_of("a", "b", strategy="least_busy")
    _, second, _ = take(pool), take(pool), take(pool)
    pool.served(second)

    assert take(pool).account.id == "p:b"


def test_an_account_that_runs_dry_is_used_last_and_not_after_its_first_429():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock)
    lease = take(pool)
    pool.note(lease, [Gauge("tokens", "model", left=0.01, resets_at=clock.now + 60)])
    pool.served(lease)

    assert names(pool, 3) == ["p:b"] * 3
    assert take(pool, "n").account.id == "p:a"  # another model's limit is another's
    clock.now += 60
    assert "p:a" in names(pool, 2)


def test_it_is_still_used_when_it_is_all_there_is():
    pool = pool_of("a")
    pool.note(take(pool), [Gauge("tokens", "account", left=0.0, resets_at=2_000_000)])

    assert take(pool).account.id == "p:a"


def test_a_full_account_waits_until_a_lease_comes_back():
    pool = pool_of(account("a", max_concurrency=1))
    lease = take(pool)

    assert nobody(pool).busy

    pool.released(lease)

    assert take(pool).account.id == "p:a"


# ── what was said ────────────────────────────────────────────────────────────────────────────


def test_priority_goes_before_turns_and_a_pin_before_all():
    pool = pool_of("spare", account("first", priority=5))

    assert names(pool, 2) == ["p:first"] * 2
    assert pool.lease([Target("p", "m", profile="p:spare")]).account.id == "p:spare"


def test_an_explicit_order_is_kept_and_returned_to():
    clock = Clock()
    pool = pool_of("a", account("b", kind="oauth"), "c", clock=clock, order={"p": ["p:c", "p:a"]})
    assert names(pool, 2) == ["p:c"] * 2
    fail(pool, LIMITED)
    assert names(pool, 2) == ["p:a"] * 2
    clock.now += 60

    assert take(pool).account.id == "p:c"


def test_an_explicit_order_leaves_out_whom_it_does_not_name_but_for_a_pin():
    pool = pool_of("a", "b", order={"p": ["p:a"]})
    fail(pool, LIMITED)

    assert [one.account for one in nobody(pool).waiting] == ["p:a"]
    assert pool.lease([Target("p", "m", profile="p:b")]).account.id == "p:b"


def test_a_prefix_leads_to_those_who_have_it():
    pool = pool_of("a", account("b", prefix="team"))

    assert {pool.lease([Target("p", "m", prefix="team")]).account.id for _ in range(3)} == {"p:b"}


def test_who_is_disabled_is_left_alone():
    pool = pool_of("a", account("b", disabled="by the settings"))

    assert set(names(pool, 3)) == {"p:a"}


def test_models_are_matched_by_pattern():
    one = account("a", models=["claude-*"], excluded_models=["*-opus-*"])

    assert one.serves("claude-sonnet-4-5")
    assert not one.serves("claude-opus-4-5")
    assert not one.serves("gpt-5")


# ── rests ────────────────────────────────────────────────────────────────────────────────────


def test_a_limited_account_rests_and_the_next_one_answers():
    pool = pool_of("a", "b")
    fail(pool, LIMITED)

    assert names(pool, 3) == ["p:b"] * 3


def test_it_comes_back_when_its_rest_is_over():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, LIMITED)

    none = nobody(pool)
    assert none.resumes_at == clock.now + 60
    assert [one.reason for one in none.waiting] == ["rate_limit"]

    clock.now += 60
    assert take(pool).account.id == "p:a"


def rests_in_a_row(pool, clock, failure, many):
    found = []
    for _ in range(many):
        fail(pool, failure)
        until = nobody(pool).resumes_at
        found.append(until - clock.now)
        clock.now = until
    return found


def test_limits_in_a_row_climb_the_ladder():
    clock = Clock()
    steps = rests_in_a_row(pool_of("a", clock=clock), clock, LIMITED, 5)

    assert steps == [1 * MINUTE, 5 * MINUTE, 25 * MINUTE, HOUR, HOUR]


def test_want_of_credit_doubles_up_to_a_day():
    clock = Clock()
    steps = rests_in_a_row(pool_of("a", clock=clock), clock, BROKE, 5)

    assert steps == [5 * HOUR, 10 * HOUR, 20 * HOUR, 24 * HOUR, 24 * HOUR]


def test_many_failures_at_once_are_one():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    leases = [take(pool) for _ in range(10)]
    for lease in leases:
        clock.now += 1
        pool.failed(lease, LIMITED)

    assert nobody(pool).resumes_at == clock.now + 60


def test_failures_far_apart_do_not_add_up():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, LIMITED)
    clock.now += 25 * HOUR
    fail(pool, LIMITED)

    assert nobody(pool).resumes_at == clock.now + 60


def test_an_answer_clears_what_was_held_against_the_account():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, LIMITED)
    clock.now += 60
    pool.served(take(pool))
    fail(pool, LIMITED)

    assert nobody(pool).resumes_at == clock.now + 60


def test_an_answer_that_was_on_its_way_when_the_limit_came_clears_nothing():
    pool = pool_of("a")
    early = take(pool)
    fail(pool, LIMITED)
    pool.served(early)

    assert nobody(pool).waiting


def test_a_later_reset_that_the_provider_states_is_kept():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, Failure(Kind.RATE_LIMIT, "", retry_after=2 * HOUR))

    assert nobody(pool).resumes_at == clock.now + 2 * HOUR


def test_an_earlier_one_does_not_shorten_the_rest_while_another_can_answer():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock)
    fail(pool, Failure(Kind.RATE_LIMIT, "", retry_after=2))
    clock.now += 59

    assert names(pool, 3) == ["p:b"] * 3
    clock.now += 1
    assert take(pool).account.id == "p:a"


def test_it_is_enough_when_nobody_else_is_left():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, Failure(Kind.RATE_LIMIT, "", retry_after=2))

    assert nobody(pool).resumes_at == clock.now + 2
    clock.now += 2
    assert take(pool).account.id == "p:a"


def test_a_limit_of_one_model_leaves_the_others():
    pool = pool_of("a")
    fail(pool, LIMITED, "big")

    assert take(pool, "small").account.id == "p:a"
    assert nobody(pool, "big").waiting


def test_a_limit_of_the_account_leaves_none():
    pool = pool_of("a")
    fail(pool, Failure(Kind.RATE_LIMIT, "", scope="account"), "big")

    assert nobody(pool, "small").waiting


def test_no_money_rests_the_whole_account():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, BROKE, "big")

    assert nobody(pool, "small").resumes_at == clock.now + 5 * HOUR


def test_the_owner_has_the_last_word_on_a_rest():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock)
    pool.failed(take(pool), LIMITED, rest=7)
    pool.failed(take(pool), LIMITED, rest=0)

    assert names(pool, 2) == ["p:b"] * 2
    clock.now += 7
    assert "p:a" in names(pool, 2)


def test_an_overload_is_the_providers_trouble_and_climbs_no_ladder():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    for _ in range(20):
        fail(pool, OVERLOADED)
    fail(pool, LIMITED)

    assert nobody(pool).resumes_at == clock.now + 60


def test_a_provider_with_much_trouble_is_asked_last():
    clock = Clock()
    accounts = [account("a"), account("a", provider="q")]
    pool = Pool(accounts, clock=clock)
    targets = [M, Target("q", "n")]
    for _ in range(5):
        pool.failed(pool.lease([M]), OVERLOADED)

    assert pool.lease(targets).account.id == "q:a"
    assert pool.lease([M]).account.id == "p:a"
    clock.now += 15
    assert pool.lease(targets).account.id == "p:a"


@pytest.mark.parametrize("kind", [Kind.SERVER, Kind.TIMEOUT, Kind.TRUNCATED, Kind.UNREACHABLE])
def test_a_lone_account_is_not_blacked_out_by_hiccups(kind):
    pool = pool_of("a")
    for _ in range(20):
        fail(pool, Failure(kind, ""))

    assert take(pool).account.id == "p:a"


def test_one_that_breaks_again_and_again_is_asked_last():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock, strategy="fill_first")
    for _ in range(3):
        fail(pool, HICCUP)

    assert take(pool).account.id == "p:b"
    clock.now += 15
    assert take(pool).account.id == "p:a"


def test_a_hiccup_that_says_when_it_is_over_is_waited_for():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, Failure(Kind.OVERLOADED, "", retry_after=3))

    assert nobody(pool).resumes_at == clock.now + 3


def test_an_unknown_model_is_looked_for_elsewhere_and_bars_nobody():
    pool = pool_of("a", "b")
    fail(pool, Failure(Kind.MODEL, "no such model"))

    assert names(pool, 2) == ["p:b"] * 2
    fail(pool, Failure(Kind.MODEL, "no such model"))
    assert take(pool)


@pytest.mark.parametrize("kind", [kind for kind in Kind if not VERDICTS[kind].elsewhere])
def test_the_requests_own_fault_is_held_against_nobody(kind):
    pool = pool_of("a")
    fail(pool, Failure(kind, "", retry_after=100))

    assert take(pool).account.id == "p:a"
    assert pool.standings[0].failed == 0


def test_when_everybody_rests_the_soonest_is_told():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock)
    fail(pool, Failure(Kind.RATE_LIMIT, "", retry_after=500))
    fail(pool, LIMITED)

    none = nobody(pool)

    assert none.resumes_at == clock.now + 60
    assert {one.account: one.until - clock.now for one in none.waiting} == {"p:a": 500, "p:b": 60}


def test_a_reset_by_hand_clears_it_at_once():
    pool = pool_of("a", "b")
    fail(pool, LIMITED)
    fail(pool, BROKE)

    assert pool.reset("p:a") == ["p:a"]
    assert take(pool).account.id == "p:a"
    assert pool.reset() == ["p:b"]
    assert set(names(pool, 2)) == {"p:a", "p:b"}


def test_a_clock_that_is_put_back_makes_no_rest_longer():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    fail(pool, LIMITED)
    clock.now -= 10 * HOUR

    assert nobody(pool).resumes_at == clock.now + 60


def test_a_new_credential_begins_with_a_clean_slate():
    pool = pool_of(account("a", secret=Secret("old")), account("b", secret=Secret("same")))
    for _ in range(2):
        fail(pool, Failure(Kind.AUTH, "wrong key"))
    pool.replace(
        [account("a", secret=Secret("new")), account("b", secret=Secret("same")), account("c")],
        order={},
    )

    assert set(names(pool, 4)) == {"p:a", "p:c"}


def test_who_was_removed_may_still_come_to_its_end():
    pool = pool_of("a", "b")
    lease = take(pool)
    pool.replace([account("b")], order={})
    pool.failed(lease, LIMITED)

    assert pool.leased == 0
    assert take(pool).account.id == "p:b"


# ── targets ──────────────────────────────────────────────────────────────────────────────────

TWO = [account("a"), account("a", provider="q")]
CHAIN = [M, Target("q", "n")]


def test_the_next_target_is_asked_when_the_first_has_nobody():
    pool = Pool(TWO, clock=Clock())
    pool.failed(pool.lease(CHAIN), LIMITED)

    second = pool.lease(CHAIN)

    assert (second.account.id, second.model) == ("q:a", "n")


def test_targets_together_take_turns():
    pool = Pool(TWO, clock=Clock())
    together = [M, Target("q", "n", together=True)]

    assert [pool.lease(together).account.id for _ in range(4)] == ["p:a", "q:a"] * 2


def test_a_provider_to_avoid_comes_after_all_others():
    pool = Pool(TWO, clock=Clock())

    assert pool.lease(CHAIN, avoid={"p"}).account.id == "q:a"
    assert pool.lease([M], avoid={"p"}).account.id == "p:a"


def test_what_was_tried_is_not_tried_again():
    pool = pool_of("a", "b")
    first = take(pool)
    second = take(pool, tried=[first.asked])

    assert {first.account.id, second.account.id} == {"p:a", "p:b"}
    none = nobody(pool, tried=[first.asked, second.asked])
    assert none.resumes_at is None
    assert not none.busy


# ── conversations ────────────────────────────────────────────────────────────────────────────

CHAT = Session("chat")


def test_a_conversation_stays_where_it_is():
    pool = pool_of("a", "b", affinity=HOUR)

    assert set(names(pool, 4, session=CHAT)) == {"p:a"}


def test_other_conversations_take_turns_all_the_same():
    pool = pool_of("a", "b", affinity=HOUR)

    assert [take(pool, session=Session(str(at))).account.id for at in range(4)] == [
        "p:a",
        "p:b",
    ] * 2


def test_a_conversation_moves_on_when_its_account_rests_and_stays_there():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock, affinity=HOUR)
    fail(pool, LIMITED, session=CHAT)
    assert take(pool, session=CHAT).account.id == "p:b"
    clock.now += 60

    assert take(pool, session=CHAT).account.id == "p:b"


def test_it_is_forgotten_after_a_while():
    clock = Clock()
    pool = pool_of("a", "b", clock=clock, affinity=HOUR)
    take(pool, session=CHAT)
    clock.now += HOUR + 1

    assert take(pool, session=CHAT).account.id == "p:b"


def test_a_crowd_is_spread_and_comes_back():
    pool = pool_of("a", "b", affinity=HOUR)
    crowd = [take(pool, session=CHAT) for _ in range(6)]
    assert [lease.account.id for lease in crowd].count("p:b") == 1
    for lease in crowd:
        pool.served(lease)

    assert take(pool, session=CHAT).account.id == "p:a"


def test_what_was_said_goes_before_a_conversation():
    clock = Clock()
    pool = pool_of(account("a", priority=1), "b", clock=clock, affinity=HOUR)
    fail(pool, LIMITED, session=CHAT)
    assert take(pool, session=CHAT).account.id == "p:b"
    clock.now += 60

    assert take(pool, session=CHAT).account.id == "p:a"


def test_the_first_request_of_an_unnamed_conversation_follows_nobody():
    pool = pool_of("a", "b", affinity=HOUR)
    first = Session("hello", follow=False)

    assert names(pool, 2, session=first) == ["p:a", "p:b"]
    assert take(pool, session=Session("hello")).account.id == "p:b"


# ── explaining ───────────────────────────────────────────────────────────────────────────────


def test_everybody_is_explained_in_the_order_in_which_they_would_be_asked():
    clock = Clock()
    pool = Pool(
        [
            account("limited"),
            account("free"),
            account("dry"),
            account("full", max_concurrency=1),
            account("off", disabled="by the settings"),
            account("other", models=["x"]),
            account("next", provider="q"),
            account("broken", priority=-1),
        ],
        clock=clock,
        strategy="fill_first",
    )
    pool.failed(pool.lease([Target("p", "m", profile="p:limited")]), LIMITED)
    dry = pool.lease([Target("p", "m", profile="p:dry")])
    pool.note(dry, [Gauge("requests", "model", left=0.0, resets_at=clock.now + 30)])
    pool.released(dry)
    pool.lease([Target("p", "m", profile="p:full")])
    for _ in range(3):
        pool.failed(pool.lease([Target("p", "m", profile="p:broken")]), HICCUP)

    found = [(one.account, one.state, one.place) for one in pool.explain(CHAIN)]

    assert found == [
        ("p:free", "ready", 1),
        ("p:dry", "running_low", 2),
        ("q:next", "ready", 3),
        ("p:broken", "resting", 4),
        ("p:full", "busy", 0),
        ("p:limited", "barred", 0),
        ("p:off", "unfit", 0),
        ("p:other", "unfit", 0),
    ]


@given(st.lists(st.sampled_from(KINDS), max_size=6), st.sampled_from(sorted(TURNS)))
def test_who_is_explained_to_be_first_is_leased(kinds, strategy):
    pool = pool_of("a", "b", account("c", priority=1), strategy=strategy)
    for kind in kinds:
        try:
            fail(pool, Failure(kind, ""))
        except NoneReady:
            break
    first = next((one.account for one in pool.explain([M]) if one.place == 1), None)

    if first is None:
        assert nobody(pool)
    else:
        assert take(pool).account.id == first


# ── what is shown ────────────────────────────────────────────────────────────────────────────


def test_a_secret_shows_that_it_is_there_and_nothing_else():
    secret = Secret("sk-very-secret")

    assert "very" not in f"{secret} {secret!r} {account('a', secret=secret)!r}"
    assert secret.reveal() == "sk-very-secret"
    assert not Secret("")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("anthropic:ann@example.com", "anthropic:a***@example.com"),
        ("anthropic:work", "anthropic:work"),
        ("demo:built-in", "demo:built-in"),
    ],
)
def test_an_e_mail_is_masked(name, shown):
    assert masked(name) == shown


def test_settings_give_the_steps_of_the_ladders():
    clock = Clock()
    pool = pool_of("a", clock=clock, ladders=Ladders(rate=(5, 50)))

    assert rests_in_a_row(pool, clock, LIMITED, 3) == [5, 50, 50]
