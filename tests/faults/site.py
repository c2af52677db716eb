"""Where a fault happens: a provider of one dialect that was asked one question, and how it would
have answered.
"""

import json
from dataclasses import dataclass

from tests.fault_server import SCENARIOS, Raw, Scenario, Wire
from tests.fault_server.transcripts import DIALECTS

_EVIDENCE = {
    "openai-chat": b'"finish_reason":"',
    "openai-responses": b"event: response.completed",
    "anthropic": b"event: message_delta",
    "gemini": b'"finishReason"',
}
"""What only stands in the first event that proves an answer complete."""


@dataclass(frozen=True)
class Site:
    dialect: str
    stream: bool
    model: str = "m-0"
    scenario: Scenario = SCENARIOS["text"]

    @property
    def content_type(self) -> str:
        return "text/event-stream" if self.stream else "application/json"

    @property
    def events(self) -> list[bytes]:
        """The good answer, an event a piece; whole it is one piece."""
        spelling = DIALECTS[self.dialect]
        if self.stream:
            return spelling.frames(self.scenario, self.model)
        return [json.dumps(spelling.whole(self.scenario, self.model), ensure_ascii=False).encode()]

    @property
    def body(self) -> bytes:
        return b"".join(self.events)

    @property
    def begun(self) -> int:
        """How many events it takes until some, but not all, of the content has come."""
        marks = [text.encode() for text in self.scenario.text[:1]]
        marks += [b"city" for _ in self.scenario.calls]
        for at, event in enumerate(self.events, 1):
            if self.stream and any(mark in event for mark in marks):
                return at
        return 0

    @property
    def evidence(self) -> int:
        """How many events come before the one that proves the answer complete."""
        events = self.events
        return next(at for at, event in enumerate(events) if _EVIDENCE[self.dialect] in event)

    @property
    def middle(self) -> int:
        """A byte amid content that is neither at its beginning nor at an event's end."""
        begun = self.events[: self.begun]
        return sum(map(len, begun)) - len(begun[-1]) // 2 if begun else len(self.body) // 2

    def head(self, *fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
        lines = [f"HTTP/{version} {status}", f"Content-Type: {self.content_type}", *fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def told(self, *pieces: bytes) -> Raw:
        """*pieces* as the body of an answer that begins and ends as it should."""
        return Raw(200, {"Content-Type": self.content_type}, pieces)

    def with_event(self, event: bytes, at: int) -> Raw:
        """The good answer with *event* among its own."""
        return self.told(*self.events[:at], event, *self.events[at:])

    def until_closed(self, body: bytes, *fields: str, version: str = "1.1") -> Wire:
        """*body*, whose end is the connection's unless *fields* say otherwise."""
        return Wire([self.head(*fields, version=version), body])


def chunk(data: bytes) -> bytes:
    """*data* as one chunk of the transfer encoding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
