"""Stop sequences enforced here, for a target that knows none or not as many."""

from collections.abc import Iterator, Sequence

from proxypal_core.hub.events import Event, Finish, PartDelta, PartEnd, PartStart, UsageReport
from proxypal_core.hub.messages import FinishReason, Text


class Stopping:
    """Passes an answer on up to the first of *stops* in a text of it, which is not passed on.

    Only what may be the beginning of one is held back. Law: how the text is cut does not show.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._reading = False
        self._held = ""
        self.cut = False
        """Whether one came: nothing that follows is for the client."""

    def pass_on(self, event: Event) -> Iterator[Event]:
        match event:
            case UsageReport():
                yield event
            case _ if self.cut:
                pass
            case PartStart(part=part):
                self._reading = isinstance(part, Text)
                yield event
            case PartDelta(at=at, text=text) if self._reading:
                yield from self._read(at, text)
            case PartEnd(at=at):
                if self._held:
                    yield PartDelta(at, self._held)
                    self._held = ""
                yield event
            case _:
                yield event

    def _read(self, at: int, text: str) -> Iterator[Event]:
        text = self._held + text
        found = self._found(text)
        shown = len(text) - self._doubtful(text) if found is None else found[0]
        self._held = text[shown:]
        if shown:
            yield PartDelta(at, text[:shown])
        if found is not None:
            self.cut = True
            yield PartEnd(at)
            yield Finish(FinishReason.STOP_SEQUENCE, stop_sequence=found[1])

    def _found(self, text: str) -> tuple[int, str] | None:
        """Where the first stop sequence begins, and which it is. First is the one that is complete
        first, and of several then the longest, as it would be in a text that is still growing.
        """
        places = ((text.find(stop), stop) for stop in self._stops)
        found = [(at + len(stop), at, stop) for at, stop in places if at >= 0]
        return min(found)[1:] if found else None

    def _doubtful(self, text: str) -> int:
        """How many of the last characters may be the beginning of a stop sequence."""
        most = min(len(text), max(map(len, self._stops), default=1) - 1)
        return next((n for n in range(most, 0, -1) if self._begins(text[-n:])), 0)

    def _begins(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self._stops)
