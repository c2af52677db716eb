"""A program's answer in the words of its dialect, as a stream or as a whole."""

from proxypal_core.dialects import command
from proxypal_core.dialects.base import Reply
from proxypal_core.hub.events import (
    Event,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import FinishReason, Text, Thinking, Usage


class Answer:
    """``text`` is what was said so far, ``begun`` whether anything was."""

    def __init__(self, reply: Reply) -> None:
        self.text = ""
        self.begun = False
        self.complete = False
        self._reply = reply
        self._stream = reply.request.stream
        self._encoder = command.encoder(reply)
        self._events: list[Event] = []
        self._part = -1
        self._open: bool | None = None
        """Whether the part that is open is a thought; None when none is."""
        self._usage = Usage()

    @property
    def heartbeat(self) -> bytes:
        """What means nothing to a reader, in a stream and before a JSON object."""
        return command.HEARTBEAT if self._stream else b"\n"

    def say(self, text: str, *, thought: bool = False) -> bytes:
        out = b"" if self.begun else self._tell(ResponseStart(self._reply.id, ""))
        self.begun = True
        if self._open is not thought:
            out += self._close_part()
            self._open = thought
            self._part += 1
            out += self._tell(PartStart(self._part, Thinking("") if thought else Text("")))
        if not thought:
            self.text += text
        return out + self._tell(PartDelta(self._part, text))

    def use(self, usage: Usage) -> bytes:
        self._usage = usage
        return b""

    def finish(self) -> bytes:
        """The end; the whole answer, where that is what was asked for."""
        out = b"" if self.begun else self.say("")
        out += self._close_part()
        out += self._tell(UsageReport(self._usage))
        out += self._tell(Finish(FinishReason.STOP))
        self.complete = True
        if self._stream:
            return out
        return command.encode_response(fold(self._events), self._reply)

    def _close_part(self) -> bytes:
        return b"" if self._open is None else self._tell(PartEnd(self._part))

    def _tell(self, event: Event) -> bytes:
        if self._stream:
            return self._encoder.write(event)
        self._events.append(event)
        return b""
