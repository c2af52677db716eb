"""What a dialect is: a module with the names of ``Dialect`` in it.

Reading is liberal, writing is strict. A dialect knows only its own words and the hub's; it never
sees another dialect, a provider, a clock or a socket. All of it is checked by mypy (a module is a
value of the protocol) and by the laws in ``tests/dialects/test_laws.py``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from proxypal_core.hub.events import Event
from proxypal_core.hub.failure import Failure
from proxypal_core.hub.messages import ModelInfo, Record, Request, Response, Usage
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame

ANY_URL = re.compile("")


class Notice(Record, frozen=True):
    """What one piece of an answer tells somebody who only looks on.

    ``begun``: it holds content, so the answer can no longer be moved to another account.
    ``finished``: it is the evidence that the answer is complete. ``last``: nothing that follows
    belongs to it. ``usage`` is cumulative; each field that is not zero replaces the earlier one.
    """

    begun: bool = False
    finished: bool = False
    last: bool = False
    usage: Usage | None = None
    failure: Failure | None = None


class Encoded(NamedTuple):
    """A request in a target's words.

    ``dropped`` names the fields (as the client wrote them, where that is known) that the target
    has no place for; ``names`` maps each tool name that had to change to the client's own.

    The rest is what has to be done to the answer: end it at one of ``stops``, take the arguments of
    the tool ``answer_tool`` for its text, or only the ``value`` in a text that was ``wrapped``.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    names: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    stops: tuple[str, ...] = ()
    answer_tool: str = ""
    wrapped: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What an encoder must know of the exchange: the request that is answered, the id to give the
    answer when the upstream gave none, and the Unix time (seconds) of its making.
    """

    request: Request
    id: str
    created: int


def always_told(body: bytes, doc: JsonObject, /) -> bytes | None:
    """``with_usage`` of a dialect whose streams always tell their usage."""
    return None


def nothing_asked(raw: bytes, /) -> bytes:
    """``without_usage`` of such a dialect."""
    return raw


class Decoder(Protocol):
    """Reads an upstream's stream. Keeps the grammar of ``hub.events`` whatever arrives."""

    @property
    def proven(self) -> bool:
        """Whether the answer is known to be complete, though more of it may be on its way."""
        ...

    def read(self, frame: Frame, /) -> Iterable[Event]:
        """The events that *frame* tells; nothing after the terminal one."""
        ...

    def heard(self, texts: Sequence[bytes], /) -> None:
        """More of the open text has come, in events that were not read: *texts*, escaped as JSON has
        them between its quotes.
        """
        ...

    def end(self) -> Iterable[Event]:
        """The upstream closed: what is still owed, or a ``TRUNCATED`` failure when the terminal
        event never came.
        """
        ...


class Encoder(Protocol):
    """Writes a stream for a client. May rely on the grammar of ``hub.events``."""

    def write(self, event: Event, /) -> bytes:
        """The bytes that tell *event*; empty when it needs none (yet)."""
        ...

    def say(self, texts: Sequence[bytes], /) -> bytes:
        """As ``write`` of more of the open text for each of *texts*, which are escaped as JSON has them
        between its quotes, in a fraction of the time; empty where they have to be written.
        """
        ...


class Dialect(Protocol):
    """The names a dialect module has."""

    @property
    def NAME(self) -> str:  # noqa: N802 — a module constant
        """``openai-chat``, ``openai-responses``, ``anthropic`` or ``gemini``."""
        ...

    @property
    def HEARTBEAT(self) -> bytes:  # noqa: N802
        """What keeps an idle stream alive without meaning anything to its clients."""
        ...

    @property
    def LAST(self) -> bytes:  # noqa: N802
        """The event that ends a stream whose completeness an earlier one has proven; empty where the
        proof is the last one itself.
        """
        ...

    @property
    def MODEL_PATHS(self) -> tuple[tuple[str, ...], ...]:  # noqa: N802
        """Where an answer, or a piece of one, says which model it is from."""
        ...

    @property
    def TAKES_URLS(self) -> re.Pattern[str]:  # noqa: N802
        """The beginnings of the addresses whose files its providers fetch by themselves; what is
        elsewhere has to come as bytes.
        """
        ...

    # requests
    def peek(self, doc: JsonObject, /) -> tuple[str, bool]:
        """The model and whether a stream is wanted, from a body; ``("", False)`` where the body
        does not say (Gemini says both in the path).
        """
        ...

    def decode_request(self, doc: JsonObject, /, *, model: str, stream: bool) -> Request:
        """What *doc* means.

        Raises:
            Malformed: a field has the wrong form.
            Refused: the request is wrong, or uses what nobody could carry.
        """
        ...

    def encode_request(self, request: Request, /) -> Encoded:
        """*request* for an upstream; ``request.model`` is already the upstream's own name.

        Raises:
            Refused: with ``INVALID`` naming the field, when leaving it out would lie.
        """
        ...

    # whole answers
    def decode_response(self, doc: JsonObject, /) -> Response: ...
    def encode_response(self, response: Response, reply: Reply, /) -> bytes: ...

    # streams
    def decoder(self) -> Decoder: ...
    def encoder(self, reply: Reply, /) -> Encoder: ...

    # looking on
    def notice(self, frame: Frame, /) -> Notice | None:
        """What a frame of a stream tells; None for nothing. Cheap: it looks before it parses."""
        ...

    def notice_whole(self, doc: JsonObject, /) -> Notice:
        """The same for a whole answer, which may be an error inside a 200."""
        ...

    def canonical(self, raw: bytes, /) -> bytes:
        """A raw event made safe for this dialect's clients; *raw* itself wherever it already is."""
        ...

    # what we ask for besides
    def with_usage(self, body: bytes, doc: JsonObject, /) -> bytes | None:
        """*body*, a request for a stream, so that the stream will tell its usage; None where it
        does so anyhow.
        """
        ...

    def without_usage(self, raw: bytes, /) -> bytes:
        """A raw event as it would be had ``with_usage`` not asked; empty when it would not be."""
        ...

    # counting tokens
    def encode_count(self, request: Request, /) -> bytes | None:
        """The body that asks an upstream how many tokens *request* has; None where no upstream of
        this dialect counts.
        """
        ...

    def decode_count(self, doc: JsonObject, /) -> int: ...
    def count_reply(self, tokens: int, /) -> bytes:
        """The answer to a client that asked how many."""
        ...

    # failures
    def decode_failure(self, status: int, body: bytes, /) -> Failure:
        """What an upstream's error answer means; never raises, whatever the body is."""
        ...

    def encode_failure(self, failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
        """The HTTP status and body that tell *failure* before anything was sent."""
        ...

    # lists
    def encode_models(self, models: Sequence[ModelInfo], /) -> bytes: ...
    def encode_model(self, model: ModelInfo, /) -> bytes: ...
