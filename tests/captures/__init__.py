"""What real clients send: one file for each kind of request that differs in its form.

Headers have the order, case and repetitions that each client gives them; bodies have every field and
block type, few of the tools, and short sentences in place of prompts. Host and Content-Length are
left out, since both depend on who sends it where.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Capture:
    name: str
    client: str
    version: str
    dialect: str
    method: str
    path: str
    """With its query, as on the request line."""
    headers: tuple[tuple[str, str], ...]
    body: dict[str, Any] | None

    @cached_property
    def content(self) -> bytes:
        """The body as JavaScript and the SDKs write it: compact, keys in their order."""
        if self.body is None:
            return b""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def __str__(self) -> str:
        return self.name


def load() -> list[Capture]:
    """All of them, by name."""
    return [_read(path) for path in sorted(Path(__file__).parent.glob("*.json"))]


def raw(capture: Capture, host: str) -> bytes:
    """The bytes of the request, for a socket: nothing merged, sorted or renamed."""
    headers = [("Host", host), *capture.headers]
    if capture.body is not None:
        headers.append(("Content-Length", str(len(capture.content))))
    lines = [f"{capture.method} {capture.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + capture.content


def _read(path: Path) -> Capture:
    document = json.loads(path.read_text(encoding="utf-8"))
    document["headers"] = tuple((name, value) for name, value in document["headers"])
    return Capture(name=path.stem, **document)
