from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.shared_affinity import Binding, SharedAffinity, home

NOW = 1_795_000_000.0
ids = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)
sessions = st.text(max_size=20)


def affinity(*accounts, order=None, weighted=False, told=lambda: None):
    made = SharedAffinity(3600.0, told)
    accounts = [Account(id=one, provider="p") if isinstance(one, str) else one for one in accounts]
    made.use(accounts, order or {}, weighted=weighted)
    return made


def account(name, **options):
    return Account(id=name, provider="p", **options)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(names=ids, session=sessions)
def test_all_replicas_agree_where_a_conversation_is(names, session):
    one, other = affinity(*names), affinity(*names)

    found = one.account("p", Session(session), NOW)

    assert found == other.account("p", Session(session), NOW)
    assert found in names


@given(names=ids, session=sessions, added=st.sampled_from("xyz"))
def test_a_conversation_moves_only_to_an_account_that_is_new(names, session, added):
    before = home(session, tuple((name, 1) for name in names))

    after = home(session, tuple((name, 1) for name in [*names, added]))

    assert after in (before, added)


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_conversations_are_shared_out_by_weight():
    made = affinity(account("a", weight=3), account("b", weight=1), weighted=True)

    shares = Counter(made.account("p", Session(f"s{number}"), NOW) for number in range(1000))

    assert 700 < shares["a"] < 800


def test_weights_count_only_where_they_are_wanted():
    made = affinity(account("a", weight=30), account("b", weight=1))

    shares = Counter(made.account("p", Session(f"s{number}"), NOW) for number in range(1000))

    assert 450 < shares["a"] < 550


def test_who_is_asked_first_has_all_conversations():
    made = affinity(
        account("a"), account("b", priority=1), account("c"), account("d", disabled="by hand")
    )

    found = {made.account("p", Session(f"s{number}"), NOW) for number in range(50)}

    assert found == {"b"}


def test_an_order_counts():
    made = affinity("a", "b", "c", order={"p": ["c", "a"]})

    found = {made.account("p", Session(f"s{number}"), NOW) for number in range(50)}

    assert found == {"c"}


def test_nobody_has_a_conversation_of_a_provider_without_accounts():
    assert affinity().account("p", Session("s"), NOW) == ""
    assert affinity("a").account("p", None, NOW) == ""


def test_the_first_request_of_a_conversation_without_a_name_goes_to_whoever_s_turn_it_is():
    assert affinity("a").account("p", Session("s", follow=False), NOW) == ""


def test_a_conversation_that_stays_at_home_is_not_told_of():
    made = affinity("a")

    made.bind("p", Session("s"), "a", NOW)
    made.bind("p", None, "a", NOW)

    assert made.moved == {}


def test_a_conversation_that_was_moved_is_told_once_and_found_there_by_all():
    calls = []
    made, other = affinity("a", told=lambda: calls.append(1)), affinity("a")

    for _ in range(2):
        made.bind("p", Session("s"), "b", NOW)
    for binding in made.moved.values():
        other.hear(binding, NOW)

    assert list(made.moved.values()) == [Binding("p", "s", "b")]
    assert calls == [1]
    assert other.account("p", Session("s"), NOW + 1) == "b"


def test_a_conversation_without_a_name_is_told_with_what_comes_next():
    calls = []
    made = affinity("a", told=lambda: calls.append(1))

    made.bind("p", Session("s", follow=False), "b", NOW)

    assert (len(made.moved), calls) == (1, [])


def test_a_conversation_is_at_home_again_when_it_was_quiet_for_long():
    made = affinity("a")
    made.bind("p", Session("s"), "b", NOW)

    assert made.account("p", Session("s"), NOW + 3601) == "a"
