"""Whole answers: JSON, and refusals, in a dialect's own words where one is known."""

from typing import Any

from aiohttp import web

from proxypal_core.dialects.base import Dialect
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio


def as_json(value: Any) -> web.Response:
    return json_bytes(jsonio.dumps(value))


def json_bytes(body: bytes, status: int = 200) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        headers={"server": "proxypal", "cache-control": "no-store"},
    )


_FUTILE = frozenset({Kind.RESTING, Kind.BILLING, Kind.RATE_LIMIT, Kind.NO_ACCOUNT, Kind.AUTH})
"""Failures that the SDKs' own quick retries cannot mend: the pool has already tried."""
_PASSING = frozenset({Kind.OVERLOADED, Kind.SERVER, Kind.UNREACHABLE, Kind.TRUNCATED})
"""Failures that may be over in a moment."""


def refusal(dialect: Dialect, failure: Failure, request_id: str) -> web.Response:
    """*failure* as *dialect* tells it, with what its clients need to know about trying again."""
    status, body = dialect.encode_failure(failure, request_id=request_id)
    answer = json_bytes(body, failure.status if failure.status == 421 else status)
    answer.headers["x-request-id"] = answer.headers["request-id"] = request_id
    if failure.retry_after is not None and status in (429, 503, 529):
        seconds = max(1, -int(-failure.retry_after // 1))
        answer.headers["retry-after"] = str(seconds)
    if failure.kind in _FUTILE or failure.kind in _PASSING:
        answer.headers["x-should-retry"] = "true" if failure.kind in _PASSING else "false"
    return answer


def upgrade_refused(dialect: Dialect, request_id: str) -> web.Response:
    """Codex turns to HTTP at once on a 426, and only on that (measured on 0.169)."""
    failure = Failure(Kind.METHOD, "WebSocket is not served here; use POST")
    _, body = dialect.encode_failure(failure, request_id=request_id)
    answer = json_bytes(body, 426)
    answer.headers["upgrade"] = "HTTP/1.1"
    answer.force_close()
    return answer


def plain_refusal(status: int, kind: str, text: str) -> web.Response:
    """For a request whose handler gave no answer; the connection ends with it."""
    error = {"message": text, "type": kind, "param": None, "code": None}
    refusal = json_bytes(jsonio.dumps({"error": error}), status)
    refusal.force_close()
    return refusal


def _fixed(status: str, headers: str, body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


FULL = _fixed("503 Service Unavailable", "retry-after: 1\r\n")
MALFORMED = _fixed(
    "400 Bad Request",
    "server: proxypal\r\ncontent-type: application/json\r\n",
    b'{"error":{"message":"malformed HTTP request","type":"invalid_request_error",'
    b'"param":null,"code":null}}',
)
