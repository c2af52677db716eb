"""Which conversation a request belongs to: as real clients name it, or as it began."""

import copy

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.sessions import session_of
from proxypal_core.wire import jsonio
from tests.captures import load
from tests.gateway.asking import DIALECTS, ask, question, upstream
from tests.proxy import proxy
from tests.strategies import json_objects, named, words

TURNS = ("messages", "input", "contents")
POSTS = [capture for capture in load() if capture.body is not None]
NAMES = {
    "claude-code": "00000000-0000-4000-8000-000000000001",
    "codex": "00000000-0000-4000-8000-000000000001",
    "opencode": "ses_0000000000000000000001",
    "pi": "00000000-0000-4000-8000-000000000001",
    "openclaw": "s1",
}
"""What each client that names its conversations calls the captured one."""


def session(capture, body=None, **options):
    doc = capture.body if body is None else body
    return session_of(named(capture.headers), doc, **options)


def turns_of(body):
    return next((body[name] for name in TURNS if isinstance(body.get(name), list)), [])


def role(turn):
    return turn.get("role", "user" if "parts" in turn else "")


def with_turns(body, turns):
    return {name: turns if name in TURNS else value for name, value in body.items()}


def is_named(capture):
    """Whether the client names the conversation: without turns there is nothing else to know it by."""
    return session(capture, with_turns(capture.body, [])) is not None


NAMED = [capture for capture in POSTS if is_named(capture)]
UNNAMED = [capture for capture in POSTS if not is_named(capture)]


# ── what real clients send ───────────────────────────────────────────────────────────────────


def test_the_clients_that_name_their_conversations_are_these():
    assert {capture.client for capture in NAMED} == set(NAMES)
    assert {capture.client for capture in UNNAMED}.isdisjoint({"claude-code", "codex", "opencode"})


@pytest.mark.parametrize("capture", NAMED, ids=str)
def test_a_named_conversation_is_the_same_whatever_is_said_in_it(capture):
    other = with_turns(capture.body, [{"role": "user", "content": "Something else."}])

    assert session(capture, other) == session(capture)
    assert session(capture).follow


@pytest.mark.parametrize("capture", NAMED, ids=str)
def test_another_name_is_another_conversation(capture):
    name = NAMES[capture.client]
    renamed = [(field, value.replace(name, "another-name")) for field, value in capture.headers]
    body = jsonio.loads(capture.content.decode().replace(name, "another-name"))

    other = session_of(named(renamed), body)

    assert other.key != session(capture).key


@pytest.mark.parametrize("capture", UNNAMED, ids=str)
def test_an_unnamed_conversation_is_known_by_how_it_began(capture):
    turns = turns_of(capture.body)
    first = next(at for at, turn in enumerate(turns) if role(turn) == "user")
    later = [turns[: end + 1] for end in range(first, len(turns))]

    found = [session(capture, with_turns(capture.body, turns)) for turns in later]

    assert {one.key for one in found} == {session(capture).key}
    assert not found[0].follow


@pytest.mark.parametrize("capture", UNNAMED, ids=str)
def test_another_beginning_is_another_conversation(capture):
    body = copy.deepcopy(capture.body)
    first = next(turn for turn in turns_of(body) if role(turn) == "user")
    first["parts" if "parts" in first else "content"] = [{"text": "Something else entirely."}]

    assert session(capture, body).key != session(capture).key


@pytest.mark.parametrize("capture", UNNAMED, ids=str)
def test_it_is_followed_once_a_model_has_spoken(capture):
    spoken = ("assistant", "model", "")  # calls and reasoning of Responses have no role
    answered = any(role(turn) in spoken for turn in turns_of(capture.body))

    assert session(capture).follow == answered


def test_both_kinds_are_among_the_unnamed_in_every_dialect():
    found = {(capture.dialect, session(capture).follow) for capture in UNNAMED}

    assert found == {(dialect, follow) for dialect in DIALECTS for follow in (True, False)}


@pytest.mark.parametrize("capture", POSTS, ids=str)
def test_conversations_of_two_clients_are_kept_apart(capture):
    assert session(capture, client="laptop").key != session(capture, client="phone").key


# ── names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "doc"),
    [
        ({"X-Claude-Code-Session-Id": "n"}, {}),
        ({"session_id": "n"}, {}),
        ({"Session-Id": "n"}, {}),
        ({"x-session-id": "n"}, {}),
        ({"X-Session-Affinity": "n"}, {}),
        ({"conversation_id": "n"}, {}),
        ({"thread-id": "n"}, {}),
        ({}, {"prompt_cache_key": "n"}),
        ({}, {"conversation": "n"}),
        ({}, {"conversation": {"id": "n"}}),
        ({}, {"sessionId": "n"}),
        ({}, {"metadata": {"session_id": "n"}}),
        ({}, {"metadata": {"user_id": "n"}}),
    ],
    ids=str,
)
def test_each_place_for_a_name_is_looked_at(headers, doc):
    expected = session_of(named({"x-session-id": "n"}), {})

    assert session_of(named(headers), doc) == expected


def test_a_header_goes_before_the_body():
    headers = named({"x-session-id": "header"})

    assert session_of(headers, {"prompt_cache_key": "body"}) == session_of(headers, {})


@pytest.mark.parametrize(
    "name", ["", "x" * 257, "a\nb", "a\x00b", "\x1b[2J", "a\u2028b", "\ud800", 7, None, ["a"], {}]
)
def test_what_is_no_name_is_passed_over(name):
    doc = {"prompt_cache_key": name, "conversation": "good"}

    assert session_of(named(), {"prompt_cache_key": name}) is None
    assert session_of(named(), doc) == session_of(named(), {"conversation": "good"})


def test_the_longest_name_is_a_name():
    assert session_of(named(), {"prompt_cache_key": "x" * 256})


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(json_objects, words, words)
def test_two_names_are_two_conversations(doc, one, other):
    found = [session_of(named({"x-session-id": name}), doc) for name in (one, other)]
    meant = [name for name in (one, other) if name.isprintable()]

    if len(meant) == 2:
        assert (found[0] == found[1]) == (one == other)


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "content", "id", "user_id", "session_id", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PLACES = (*TURNS, "system", "instructions", "metadata", "conversation", "prompt_cache_key")


@given(st.dictionaries(st.sampled_from(PLACES), odd))
def test_whatever_a_body_holds_it_belongs_somewhere_or_nowhere(doc):
    found = session_of(named(), doc)

    assert found is None or len(found.key) == 32
    assert found == session_of(named(), copy.deepcopy(doc))


@given(st.lists(st.sampled_from(["user", "assistant"]), max_size=6), words, words)
def test_the_end_of_a_conversation_does_not_change_whose_it_is(roles, first, later):
    begun = [{"role": "user", "content": first}]
    more = [{"role": who, "content": later} for who in roles]

    short, long = (session_of(named(), {"messages": turns}) for turns in (begun, begun + more))

    assert short.key == long.key
    assert long.follow == ("assistant" in roles)


# ── over a socket ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_one_shot_requests_in_the_same_words_take_turns(fault_server, dialect):
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2"))) as p:
        answers = [await ask(p, dialect) for _ in range(4)]

    assert [headers["x-proxypal-account"] for _, headers, _, _ in answers] == ["up:k1", "up:k2"] * 2


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic", "gemini"])
async def test_the_second_request_of_a_conversation_goes_where_the_first_went(
    fault_server, dialect
):
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2", "k3"))) as p:
        served = {}
        for text in ("one", "two", "three", "one", "three", "two"):
            turn = len(served.get(text, ()))
            keys = await answered(p, dialect, text, turns=turn)
            served.setdefault(text, []).append(keys)

    assert served == {"one": ["up:k1"] * 2, "two": ["up:k2"] * 2, "three": ["up:k3"] * 2}


async def answered(p, dialect, text, *, turns):
    """Who answers a conversation that began with *text* and has had so many answers."""
    path, body = question(dialect, text=text)
    field = next(name for name in TURNS if name in body)
    who, part = ("model", "parts") if dialect == "gemini" else ("assistant", "content")
    said = [{"text": "Yes."}] if dialect == "gemini" else "Yes."
    body[field] += [{"role": who, part: said}, body[field][0]] * turns
    async with (
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        await answer.read()
        return answer.headers["x-proxypal-account"]
