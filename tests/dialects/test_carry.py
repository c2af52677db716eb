"""Opaque reasoning of one vendor, through another vendor's client and back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS, carry
from proxypal_core.dialects.base import Encoded, Reply
from proxypal_core.dialects.carry import REMEMBERED, Carrier, Sealed
from proxypal_core.dialects.pipe import translated
from proxypal_core.hub.events import PartBlob, PartCitation, PartDelta, PartEnd, PartStart
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    Blob,
    Citation,
    FinishReason,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from proxypal_core.wire import jsonio
from tests.strategies import words

KEY = b"k" * 32
ANTHROPIC = Blob("anthropic", "signature", "EqQBCkgIARABGAIi")
REDACTED = Blob("anthropic", "redacted", "cmVkYWN0ZWQ=")
OPENAI = Blob("openai", "encrypted_reasoning", "gAAAAABencF1", "rs_1")
GEMINI = Blob("gemini", "thought_signature", "U0lHMQ==")

ANSWERS = {
    "anthropic": (Thinking("Hm, two things.", (ANTHROPIC,)), ToolCall("call_1", "read", "{}")),
    "openai-responses": (Thinking("Hm, two things.", (OPENAI,)), ToolCall("call_1", "read", "{}")),
    "gemini": (Thinking("Hm."), ToolCall("call_1", "read", "{}", blobs=(GEMINI,))),
}
MAKERS = {"anthropic": ANTHROPIC, "openai-responses": OPENAI, "gemini": GEMINI}


def through(carrier, client, provider, parts, edit=lambda doc: doc):
    """What comes back to us when a *client* sends *parts*, an answer of *provider*, as history."""
    response = Response("r1", "m", parts, FinishReason.TOOL_CALLS)
    shown = translated(response, Encoded(b""), carrier.outgoing(client, provider))
    # The client writes the answer into its next request, as its own dialect has it.
    asked = Request(
        dialect=client,
        model="m",
        turns=(
            Turn("user", (Text("Go."),)),
            Turn("assistant", shown.parts),
            Turn("user", (ToolResult("call_1", (Text("done"),), "read"),)),
        ),
    )
    dialect = DIALECTS[client]
    answer = dialect.encode_response(shown, Reply(asked, "r1", 0))
    seen = dialect.decode_response(edit(jsonio.load_object(answer)))
    history = Request(
        dialect=client,
        model="m",
        turns=(asked.turns[0], Turn("assistant", seen.parts), asked.turns[2]),
    )
    return carrier.incoming(history)


def blobs(request):
    return [
        (type(part).__name__, blob)
        for turn in request.turns
        for part in turn.parts
        if isinstance(part, (Thinking, ToolCall))
        for blob in part.blobs
    ]


foreign = pytest.mark.parametrize(
    ("client", "provider"),
    [(c, p) for c in DIALECTS for p in ANSWERS if c != p],
)


@foreign
def test_it_comes_back_to_its_maker(client, provider):  # case 86
    back = through(Carrier(KEY), client, provider, ANSWERS[provider])

    where = "ToolCall" if provider == "gemini" else "Thinking"
    assert blobs(back) == [(where, MAKERS[provider])]


@foreign
def test_signed_words_come_back_unchanged(client, provider):
    if provider == "gemini":
        return  # its thoughts are not signed
    back = through(Carrier(KEY), client, provider, ANSWERS[provider])

    [thought] = [p for p in back.turns[1].parts if isinstance(p, Thinking) and p.blobs]
    assert thought.text == "Hm, two things."
    kinds = [type(part) for part in back.turns[1].parts]
    assert kinds.index(Thinking) < kinds.index(ToolCall)


@foreign
def test_nobody_else_is_sent_it(client, provider):
    back = through(Carrier(KEY), client, provider, ANSWERS[provider])
    value = MAKERS[provider].value.encode()

    for name, dialect in DIALECTS.items():
        sent = dialect.encode_request(back).body
        assert (value in sent) == (name == provider), name
        assert carry.MARK.encode() not in sent
        assert base64.b64encode(carry.MARK.encode())[:5] not in sent


@foreign
def test_another_installations_seal_is_dropped(client, provider):
    if client == "openai-chat":
        return  # nothing travels through it: it is remembered here
    there, here = Carrier(KEY), Carrier(b"other key " * 4)
    shown = through(there, client, provider, ANSWERS[provider])
    assert blobs(shown)

    class Elsewhere(Carrier):
        """Seals with one key and opens with the other."""

        def incoming(self, request):
            return here.incoming(request)

    back = through(Elsewhere(KEY), client, provider, ANSWERS[provider])

    assert blobs(back) == []


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=3))
def test_what_is_sealed_is_opened(rows):  # case 87
    carrier = Carrier(KEY)
    items = tuple(Sealed(Blob("gemini", "thought_signature", a), b, c) for a, b, c in rows)

    sealed = carrier.seal(items)

    assert carrier.open(sealed) == items
    assert carrier.open(base64.b64encode(sealed.encode()).decode()) == items
    assert carrier.open(base64.urlsafe_b64encode(sealed.encode()).decode()) == items


@given(st.data())
def test_a_seal_that_was_touched_is_empty(data):
    carrier = Carrier(KEY)
    sealed = carrier.seal([Sealed(ANTHROPIC, "some words")])
    at = data.draw(st.integers(len(carry.MARK), len(sealed) - 1))
    other = data.draw(st.sampled_from([c for c in "aZ09_-.x" if c != sealed[at]]))

    assert not carrier.open(sealed[:at] + other + sealed[at + 1 :])


@given(words)
def test_what_is_no_seal_is_left_alone(value):
    assert Carrier(KEY).open(value) is None


@pytest.mark.parametrize("provider", ["anthropic", "openai-responses"])
def test_geminis_clients_may_forget_their_thoughts(provider):  # case 88
    def forget(doc):
        content = doc["candidates"][0]["content"]
        content["parts"] = [part for part in content["parts"] if not part.get("thought")]
        return doc

    back = through(Carrier(KEY), "gemini", provider, ANSWERS[provider], forget)

    assert blobs(back) == [("Thinking", MAKERS[provider])]
    assert [p.text for p in back.turns[1].parts if isinstance(p, Thinking)] == ["Hm, two things."]


def test_a_gemini_signature_that_was_spelt_anew_is_the_same():  # case 87
    value = base64.b64encode(b"\xfb\xff" * 9).decode()
    signed = Blob("gemini", "thought_signature", value)
    parts = (ToolCall("call_1", "read", "{}", blobs=(signed,)),)

    def spelt_anew(doc):
        for part in doc["candidates"][0]["content"]["parts"]:
            part["thoughtSignature"] = part["thoughtSignature"].translate(str.maketrans("+/", "-_"))
        return doc

    back = through(Carrier(KEY), "gemini", "gemini", parts, spelt_anew)

    assert blobs(back) == [("ToolCall", signed)]


def test_what_was_redacted_is_not_to_be_seen():  # case 81
    parts = (Thinking("", (REDACTED,)), ToolCall("call_1", "read", "{}"))
    response = Response("r1", "m", parts, FinishReason.TOOL_CALLS)
    seen = {}
    for client in ("openai-responses", "gemini", "openai-chat"):
        shown = translated(response, Encoded(b""), Carrier(KEY).outgoing(client, "anthropic"))
        reply = Reply(Request(dialect=client, model="m"), "r1", 0)
        seen[client] = jsonio.loads(DIALECTS[client].encode_response(shown, reply))

    (thought, _) = seen["openai-responses"]["output"]
    assert (thought["type"], thought["summary"]) == ("reasoning", [])
    assert thought["encrypted_content"].startswith(carry.MARK)
    (call,) = seen["gemini"]["candidates"][0]["content"]["parts"]
    assert call["thoughtSignature"]
    message = seen["openai-chat"]["choices"][0]["message"]
    assert not message.keys() & {"reasoning_content", "thinking_blocks"}


def test_a_redacted_thought_travels_too():  # case 81
    for client in ("openai-responses", "gemini", "openai-chat"):
        parts = (Thinking("", (REDACTED,)), ToolCall("call_1", "read", "{}"))

        back = through(Carrier(KEY), client, "anthropic", parts)

        assert blobs(back) == [("Thinking", REDACTED)], client


def test_parallel_calls_keep_each_its_own():
    second = Blob("gemini", "thought_signature", "U0lHMg==")
    parts = (
        ToolCall("call_1", "read", "{}", blobs=(GEMINI,)),
        ToolCall("call_2", "now", "{}"),
        ToolCall("call_3", "now", "{}", blobs=(second,)),
    )
    for client in ("anthropic", "openai-responses", "openai-chat"):
        back = through(Carrier(KEY), client, "gemini", parts)

        calls = {p.id: p.blobs for p in back.turns[1].parts if isinstance(p, ToolCall)}
        assert calls == {"call_1": (GEMINI,), "call_2": (), "call_3": (second,)}, client


def test_an_answer_to_its_own_vendors_client_is_not_touched():
    for provider, parts in ANSWERS.items():
        response = Response("r", "m", parts, FinishReason.TOOL_CALLS)
        outgoing = Carrier(KEY).outgoing(provider, provider)

        passed = fold(e for event in unfold(response) for e in outgoing.pass_on(event))

        assert passed == response


def test_the_oldest_is_forgotten():
    carrier = Carrier(KEY)
    for at in range(REMEMBERED + 1):
        carrier.remember(f"call_{at}", [Sealed(ANTHROPIC, "w")])

    assert len(carrier._memory) == REMEMBERED
    assert "call_0" not in carrier._memory


def test_arguments_are_not_held_back():
    """Only a vendor that sends calls whole has its calls held until their end."""
    outgoing = Carrier(KEY).outgoing("anthropic", "openai-chat")
    start, delta = PartStart(0, ToolCall("c", "f")), PartDelta(0, '{"a"')

    assert list(outgoing.pass_on(start)) == [start]
    assert list(outgoing.pass_on(delta)) == [delta]
    assert list(outgoing.pass_on(PartEnd(0))) == [PartEnd(0)]


def test_a_signature_after_a_call_that_was_told_follows_on_a_thought_of_its_own():
    outgoing = Carrier(KEY).outgoing("anthropic", "openai-chat")
    call = (PartStart(0, ToolCall("c", "f")), PartDelta(0, "{}"), PartBlob(0, GEMINI), PartEnd(0))

    events = [passed for event in call for passed in outgoing.pass_on(event)]

    assert [type(event).__name__ for event in events] == [
        "PartStart", "PartDelta", "PartEnd", "PartStart", "PartBlob", "PartEnd",
    ]  # fmt: skip
    assert events[3] == PartStart(1, Thinking(""))
    assert Carrier(KEY).open(events[4].blob.value) == (Sealed(GEMINI, call="c"),)


def test_what_is_said_and_cited_beside_a_seal_stays_as_it_is():
    carrier = Carrier(KEY)
    cited = PartCitation(0, Citation(url="https://example.com"))
    own = Thinking("Hm.", (ANTHROPIC,))
    history = Request(
        dialect="anthropic", model="m", turns=(Turn("assistant", (own, Text("Yes."))),)
    )

    passed = [*carrier.outgoing("anthropic", "gemini").pass_on(PartStart(0, Text("")))]
    passed += carrier.outgoing("anthropic", "gemini").pass_on(cited)

    assert [type(event) for event in passed] == [PartStart, PartCitation]
    assert carrier.incoming(history) == history


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"signature":"pp1.abc.def"}', True),
        (b'{"thoughtSignature":"cHAxLmFiYy5kZWY="}', True),
        (b'{"type":"thinking","thinking":"x","signature":""}', True),
        (b'{"signature":"EqQB"}', False),
    ],
)
def test_a_body_that_must_be_looked_into_is_recognised(body, found):
    assert carry.marks(body) is found
