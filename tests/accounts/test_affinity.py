"""Where a conversation was last: bindings that end, give way, and are bounded."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxypal_core.accounts.affinity import Affinity, Session

HOUR = 3600.0
CHAT = Session("chat")
PROVIDERS, ACCOUNTS, KEYS = ("p", "q"), ("a", "b"), ("x", "y", "z")


class AffinityMachine(RuleBasedStateMachine):
    """Against what a plain table of the last bindings says."""

    def __init__(self):
        super().__init__()
        self.affinity = Affinity(HOUR, most=99)
        self.table = {}
        self.now = 1_000.0

    @rule(
        provider=st.sampled_from(PROVIDERS),
        key=st.sampled_from(KEYS),
        account=st.sampled_from(ACCOUNTS),
    )
    def bind(self, provider, key, account):
        self.affinity.bind(provider, Session(key), account, self.now)
        self.table[provider, key] = (account, self.now)

    @rule(
        provider=st.sampled_from(PROVIDERS),
        key=st.sampled_from(KEYS),
        account=st.sampled_from(ACCOUNTS),
    )
    def release(self, provider, key, account):
        self.affinity.release(provider, Session(key), account)
        if self.table.get((provider, key), ("",))[0] == account:
            del self.table[provider, key]

    @rule(seconds=st.floats(0, 2 * HOUR))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def every_conversation_is_where_it_was_last(self):
        for provider in PROVIDERS:
            for key in KEYS:
                account, used = self.table.get((provider, key), ("", 0.0))
                expected = account if self.now - used <= HOUR else ""
                assert self.affinity.account(provider, Session(key), self.now) == expected
                first = Session(key, follow=False)
                assert self.affinity.account(provider, first, self.now) == ""


TestAffinityMachine = AffinityMachine.TestCase


@given(st.integers(1, 8), st.lists(st.integers(0, 20), max_size=60))
def test_the_conversations_that_were_quiet_longest_are_forgotten_first(most, talk):
    affinity = Affinity(HOUR, most=most)
    for now, key in enumerate(talk):
        affinity.bind("p", Session(str(key)), "a", float(now))
    latest = list(dict.fromkeys(reversed(talk)))

    known = {key for key in talk if affinity.account("p", Session(str(key)), float(len(talk)))}

    assert known == set(latest[:most])


def test_a_binding_lasts_as_long_as_it_is_used():
    affinity = Affinity(HOUR)
    for turn in range(5):
        affinity.bind("p", CHAT, "a", turn * HOUR)

    assert affinity.account("p", CHAT, 5 * HOUR) == "a"
    assert affinity.account("p", CHAT, 5 * HOUR + 1) == ""


def test_one_that_moved_on_meanwhile_is_not_unbound_by_its_old_account():
    affinity = Affinity(HOUR)
    affinity.bind("p", CHAT, "a", 0.0)
    affinity.bind("p", CHAT, "b", 1.0)
    affinity.release("p", CHAT, "a")

    assert affinity.account("p", CHAT, 2.0) == "b"


def test_the_first_request_binds_although_it_follows_nobody():
    affinity = Affinity(HOUR)
    affinity.bind("p", Session("chat", follow=False), "a", 0.0)

    assert affinity.account("p", CHAT, 1.0) == "a"


def test_what_is_no_conversation_is_bound_nowhere():
    affinity = Affinity(HOUR)
    affinity.bind("p", None, "a", 0.0)
    affinity.release("p", None, "a")

    assert affinity.account("p", None, 1.0) == ""
