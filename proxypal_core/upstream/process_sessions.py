"""Which session of a program holds which conversation, for as long as the daemon runs."""

from collections import OrderedDict

_MOST = 4096


class Sessions:
    """One backend's. Each can be taken once: who goes on in it changes what it holds. The one that
    has been left alone longest is forgotten first.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._by_conversation: OrderedDict[str, str] = OrderedDict()

    def take(self, conversation: str) -> str:
        """The session that holds *conversation*; empty where there is none."""
        return self._by_conversation.pop(conversation, "")

    def keep(self, conversation: str, session: str) -> None:
        self._by_conversation[conversation] = session
        self._by_conversation.move_to_end(conversation)
        if len(self._by_conversation) > self._most:
            self._by_conversation.popitem(last=False)
