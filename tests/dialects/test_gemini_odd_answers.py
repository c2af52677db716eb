"""Answers of Gemini as servers seldom send them."""

import json

import pytest

from proxypal_core.dialects import gemini
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.hub.events import Finish, PartCitation, PartDelta, PartEnd, PartStart
from proxypal_core.hub.failure import Kind
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    Citation,
    File,
    FinishReason,
    Image,
    Opaque,
    Request,
    Response,
    Text,
    Url,
    Usage,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import PNG

WAV = "UklGRg=="
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": PNG}}
WAV_PART = {"inlineData": {"mimeType": "audio/wav", "data": WAV}}
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
SIGNED = Blob("gemini", "thought_signature", "U0lHMQ==")
# ── answers, read ────────────────────────────────────────────────────────────────────────────


def candidate(*parts, **fields):
    one = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", **fields}
    return {"candidates": [one]}


def read(*documents):
    decoder = gemini.decoder()
    events = [e for doc in documents for e in decoder.read(sse.Frame(json.dumps(doc).encode()))]
    return [*events, *decoder.end()]


def test_an_answer_may_hold_pictures_and_a_servers_own_steps():
    answer = fold(read(candidate({"text": "See:"}, PNG_PART, CODE)))

    assert answer.parts == (
        Text("See:"),
        Image(Base64("image/png", PNG)),
        Opaque("gemini", CODE),
    )


def test_a_signature_alone_signs_what_is_open_and_otherwise_nothing():
    signature = {"thoughtSignature": "U0lHMQ=="}

    assert fold(read(candidate({"text": "Yes."}, signature))).parts == (Text("Yes.", (SIGNED,)),)
    assert fold(read(candidate(signature))).parts == ()


def grounded(text, *supports, chunks=None):
    chunks = chunks or [{"web": {"uri": "https://example.com", "title": "Example"}}]
    metadata = {"groundingChunks": chunks, "groundingSupports": list(supports)}
    (part,) = fold(read(candidate({"text": text}, groundingMetadata=metadata))).parts
    return [(one.url, part.text[slice(*one.span(len(part.text)))]) for one in part.citations]


def support(*chunks, **segment):
    return {"segment": segment, "groundingChunkIndices": list(chunks)}


@pytest.mark.parametrize(
    ("found", "cited"),
    [
        (support(0, startIndex=0, endIndex=3), ["Hu"]),
        (support(0, startIndex=0, endIndex=4), ["Hué"]),
        (support(0, startIndex=99, endIndex=120, text="is old"), ["is old"]),
        (support(0, startIndex=99, endIndex=120, text="not said"), []),
        (support(0, startIndex=0, endIndex=400), []),
        (support(0, startIndex="0", endIndex=4), []),
        (support(7, "0", startIndex=0, endIndex=4), []),
    ],
)
def test_what_rests_on_a_source_is_found_by_bytes_or_by_its_words(found, cited):
    assert [words for _, words in grounded("Hué is old.", found)] == cited


def test_a_source_without_an_address_is_not_cited():
    chunks = [{"web": {"title": "Somewhere"}}, {"web": {"uri": "https://example.com", "title": 7}}]

    assert grounded("It is old.", chunks=chunks) == [("https://example.com", "It is old.")]


def test_a_recitation_names_its_source():
    places = [
        {"startIndex": 0, "endIndex": 2, "uri": "https://example.com/a", "title": "A"},
        {"startIndex": 50, "endIndex": 90, "uri": "https://example.com/b"},
    ]

    answer = fold(read(candidate({"text": "It is."}, citationMetadata={"citations": places})))

    assert answer.parts[0].citations == (
        Citation(url="https://example.com/a", title="A", start=0, end=2, dialect="gemini"),
    )


@pytest.mark.parametrize("data", [b'[{"parts": 1}]', b'"\\"parts\\""'])
def test_an_onlooker_sees_nothing_in_what_is_no_object(data):
    assert gemini.notice(sse.Frame(data)) is None
    assert gemini.notice_whole(jsonio.loads(data)) == Notice()


@pytest.mark.parametrize(
    "event",
    [b'data: {"error" \r\n\r\n', b'data: {"a":1, "error": null}\r\n\r\n'],
)
def test_what_only_mentions_an_error_is_passed_on(event):
    assert gemini.canonical(event) == event


def test_a_number_where_an_object_belongs_is_a_bad_reply():
    assert read(5)[-1].kind is Kind.BAD_REPLY


# ── answers, written ─────────────────────────────────────────────────────────────────────────


def reply():
    return Reply(Request(dialect="gemini", model="m", stream=True), "made-id", 0)


def answered(*parts):
    doc = jsonio.loads(
        gemini.encode_response(Response("r", "m", parts, FinishReason.STOP, usage=Usage()), reply())
    )
    return doc["candidates"][0]["content"]["parts"]


def streamed(*events):
    encoder = gemini.encoder(reply())
    raw = b"".join(map(encoder.write, events))
    return [jsonio.loads(sse.parse(one).data)["candidates"][0] for one in sse.Splitter().feed(raw)]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Image(Base64("image/png", PNG)), [PNG_PART]),
        (File(Base64("application/pdf", "JVBERi0x")), [
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}}
        ]),
        (Audio("audio/wav", WAV), [WAV_PART]),
        (Opaque("gemini", CODE), [CODE]),
        (Opaque("anthropic", {"type": "x"}), []),
        (Image(Url("https://example.com/a.png")), []),
    ],
)  # fmt: skip
def test_what_is_no_text_is_written_whole_or_not_at_all(part, written):
    frames = streamed(PartStart(0, part), PartEnd(0))

    assert [one["content"]["parts"] for one in frames] == [[one] for one in written]
    assert answered(Text("x"), part) == [{"text": "x"}, *written]


def test_two_citations_of_one_source_for_the_same_words_are_one():
    cited = Citation(url="https://example.com", title="A")
    nameless = Citation(title="A book")

    *_, last = streamed(
        PartStart(0, Text("")),
        PartDelta(0, "Yes."),
        PartCitation(0, cited),
        PartCitation(0, nameless),
        PartCitation(0, cited),
        PartEnd(0),
        Finish(FinishReason.STOP, "STOP"),
    )

    assert last["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://example.com", "title": "A"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 0, "endIndex": 4, "text": "Yes."},
                "groundingChunkIndices": [0],
            }
        ],
    }
