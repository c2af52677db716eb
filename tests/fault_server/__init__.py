"""An upstream that speaks the four dialects and misbehaves on request.

::

    async with FaultServer() as server:
        server.script(Status(429, retry_after=2), Answer("tool"))
        server.script(CutAfter(frames=3), key="key-of-one-account")
        base_url = server.url("anthropic")

Each POST takes the next step that was scripted for its API key, else the next one scripted for
everybody, else what ``always`` says, else it is answered with the scenario ``text``. Nothing here
waits for time: a stall lasts until ``release``, and ``until`` waits for what the server sees.

Tests get a running one from the fixture ``fault_server``.
"""

from tests.fault_server.server import MARK, FaultServer, Received
from tests.fault_server.steps import (
    Answer,
    CleanEndAfter,
    CutAfter,
    Empty,
    ErrorInside,
    Gzip,
    Html,
    JsonErrorInside,
    Malformed,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Split,
    Stall,
    Status,
    Step,
    Whole,
    Wire,
)
from tests.fault_server.transcripts import SCENARIOS, Call, Scenario

__all__ = [
    "MARK",
    "SCENARIOS",
    "Answer",
    "Call",
    "CleanEndAfter",
    "CutAfter",
    "Empty",
    "ErrorInside",
    "FaultServer",
    "Gzip",
    "Html",
    "JsonErrorInside",
    "Malformed",
    "Raw",
    "Received",
    "Redirect",
    "Refuse",
    "Reset",
    "Scenario",
    "Split",
    "Stall",
    "Status",
    "Step",
    "Whole",
    "Wire",
]
