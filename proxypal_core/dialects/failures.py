"""What an upstream's error answer says: its kind, its message, and until when."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxypal_core.dialects import failure_kinds
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio, times
from proxypal_core.wire.jsonio import JsonObject

_MESSAGE_LIMIT = 2048
# Somebody else's text, quoted in an error, must not decide what the error means. What is longer
# than any vendor's own sentence quotes something, too.
_LONGEST_PROSE = 1000
_QUOTED = re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|`[^`]*`")

TRUNCATED = Failure(Kind.TRUNCATED, "the provider's answer ended before it was complete")


def broken_event(error: jsonio.Malformed) -> Failure:
    return Failure(Kind.BAD_REPLY, f"the provider sent a broken event: {error}")


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def read_error(status: int, body: bytes) -> tuple[Failure, Mapping[str, Any]]:
    """The failure in an error body of any vendor, and its error object for what only one knows.

    Takes ``{"error": {…}}``, an array of that (Gemini), ``{"error": "…"}``, ``{"detail": "…"}``,
    ``{"message": "…"}``, HTML and nothing at all. A *status* below 400 means that none was told.
    """
    error = _error_object(body)
    plain = _plain_text(body[:65536].decode("utf-8", "replace"))
    told = error.get("message")
    message = told if isinstance(told, str) and told else ""
    kind, scope = failure_kinds.meaning(
        status,
        [*_words(error)],
        "\n".join((_own_words(message) if message else plain, *_asides(error))),
        page=not error and body.lstrip()[:1] == b"<",
    )
    message = message or plain or f"the provider answered {status} without a message"
    retry_after, resets_at = _wait(error, message) if kind in _WAITING else (None, None)
    param = error.get("param")
    failure = Failure(
        kind,
        message[:_MESSAGE_LIMIT],
        status=status,
        retry_after=retry_after,
        resets_at=resets_at,
        scope=scope,
        code=_code(error),
        param=param if isinstance(param, str) else "",
        details=error.get("details"),
    )
    return failure, error


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = jsonio.loads(body)
    except jsonio.Malformed:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    error = value.get("error", value)
    if isinstance(error, str):
        return {"code": value.get("code"), "message": error}
    if not isinstance(error, dict):
        return {}
    detail = error.get("detail")
    if "message" in error or detail is None:
        return error
    # FastAPI's servers say it in words; the ChatGPT backend has an object there, with a code.
    inner = detail if isinstance(detail, dict) else {}
    message = detail if isinstance(detail, str) else jsonio.dumps_text(detail)
    return {**error, "message": message, **inner}


def _words(error: Mapping[str, Any]) -> Iterator[str]:
    """What is written for programs, the most telling first."""
    for detail in google_details(error.get("details")):
        if isinstance(detail.get("reason"), str):
            yield detail["reason"]
    for key in ("code", "type", "status"):
        value = error.get(key)
        if isinstance(value, (str, int)):
            yield str(value)


def _code(error: Mapping[str, Any]) -> str:
    """The code, or for want of one the type, if it tells anything."""
    words = (error.get("code"), error.get("type"))
    return next(
        (word for word in words if isinstance(word, str) and not failure_kinds.is_vague(word)), ""
    )


def _own_words(message: str) -> str:
    return _QUOTED.sub("", message).strip() if len(message) <= _LONGEST_PROSE else ""


def _asides(error: Mapping[str, Any]) -> Iterator[str]:
    """What is said beside the message: Google's quota, the words of whom OpenRouter asked."""
    for detail in google_details(error.get("details")):
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                yield str(violation.get("quotaId", ""))
    raw = _object(error.get("metadata")).get("raw")
    if isinstance(raw, str):
        yield _own_words(raw)


def google_details(value: Any) -> list[JsonObject]:
    """Google's typed details in *value*; other vendors keep other things there."""
    if not isinstance(value, list):
        return []
    return [one for one in value if isinstance(one, dict)]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain_text(text: str) -> str:
    """The first words of a body that is no JSON; of an HTML page, its text."""
    return " ".join(_TAGS.sub(" ", text).split())[:200]


# A script that is not closed ends with the page: a search for its end from each would take ages.
_TAGS = re.compile(r"<(script|style).*?(?:</\1>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE)


# ── until when ───────────────────────────────────────────────────────────────────────────────

_WAITING = frozenset({Kind.RATE_LIMIT, Kind.BILLING, Kind.OVERLOADED, Kind.SERVER, Kind.TIMEOUT})

# Fields that hold a length or a point of time: the ChatGPT backend's, Google's, and the header that
# OpenRouter repeats in the body.
_WAITS = frozenset(
    {
        "quotaresetdelay",
        "quotaresettimestamp",
        "reset_at",
        "resets_at",
        "resets_in_seconds",
        "retry_after",
        "retry_after_seconds",
        "retrydelay",
        "x-ratelimit-reset",
    }
)
_LEAST_MOMENT = 1e9

# OpenAI "try again in 6m0s", Azure "retry after 26 seconds", Gemini "retry in 34.07s" and "reset
# after 161h39m41s", Moonshot "try again after 1 seconds", GitHub "wait 5631 seconds".
_IN_TEXT = re.compile(
    r"\b(?:again|retry|retrying|resets?|wait|available)(?: in| after| for)?:? "
    rf"(?:about |another |approximately )?({times.DURATION})",
    re.IGNORECASE,
)
# Anthropic "regain access on 2026-12-01 at 00:00 UTC", MiniMax "resets at 2026-05-15T15:00:00Z",
# Z.ai "will reset at 2026-09-12 00:35:41", Zhipu "将在 2026-08-25 07:41:44 重置".
_AT_TEXT = re.compile(
    rf"(?:\bresets?|\baccess|\bagain|\buntil|\bavailable|将)(?: at| on| after|在)? ?({times.MOMENT})",
    re.IGNORECASE,
)
# Claude's subscriptions: "usage limit reached|1762952400".
_AFTER_BAR = re.compile(r"limit reached\|(\d{10})\b", re.IGNORECASE)


def retry_in_text(text: str) -> float | None:
    """The seconds of a "try again in 6m0s", in any vendor's words."""
    found = _IN_TEXT.search(text)
    return times.seconds(found[1]) if found else None


def _reset_in_text(text: str) -> float | None:
    after_bar = _AFTER_BAR.search(text)
    if after_bar:
        return float(after_bar[1])
    found = _AT_TEXT.search(text)
    return times.moment(found[1]) if found else None


def _wait(error: Mapping[str, Any], message: str) -> tuple[float | None, float | None]:
    """The seconds to wait, and the Unix time to wait for, that *error* states."""
    stated = [
        read
        for fields in _wait_fields(error)
        for name, value in fields.items()
        if name.lower() in _WAITS and (read := times.until(value, 0.0)) is not None and read >= 0
    ]
    lengths = [read for read in stated if read < _LEAST_MOMENT]
    moments = [read for read in stated if read >= _LEAST_MOMENT]
    text = message[:_MESSAGE_LIMIT]
    return (
        max(lengths) if lengths else retry_in_text(text),
        max(moments) if moments else _reset_in_text(text),
    )


def _wait_fields(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield error
    metadata = _object(error.get("metadata"))
    yield metadata
    yield _object(metadata.get("headers"))
    for detail in google_details(error.get("details")):
        yield detail
        yield _object(detail.get("metadata"))


# ── writing ──────────────────────────────────────────────────────────────────────────────────

OF_CREDENTIALS = frozenset({Kind.AUTH, Kind.FORBIDDEN})
_REFUSED = "the provider refused this account: {} (`proxypal models status` says what to do)"
_TOLD = dict.fromkeys(OF_CREDENTIALS, _REFUSED) | {
    Kind.UNREACHABLE: "{} (`proxypal doctor --network` looks into it)"
}


def client_text(failure: Failure) -> str:
    """What a client is told: whose the failure was, and who knows more."""
    return _TOLD.get(failure.kind, "{}").format(failure.message)


# OpenAI: "maximum context length is 20 tokens. However, your messages resulted in 21 tokens" (or
# "you requested about 21"). Anthropic: "prompt is too long: 21 tokens > 20 maximum". Gemini: "input
# token count (21) exceeds the maximum number of tokens allowed (20)".
_LIMIT = re.compile(
    r"maximum context length is (\d+)|maximum number of tokens allowed \(?(\d+)|> (\d+) maximum",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"resulted in (\d+)|requested (?:about )?(\d+)|token count \(?(\d+)|too long: (\d+) tokens",
    re.IGNORECASE,
)


_NUMBER = re.compile(r"\d{4,}")


def token_counts(message: str) -> tuple[int, int] | None:
    """The tokens sent and the most there may be, in any vendor's words for too long a prompt."""
    sent, limit = _SENT.search(message), _LIMIT.search(message)
    if sent and limit and sent.lastindex and limit.lastindex:
        return int(sent[sent.lastindex]), int(limit[limit.lastindex])
    # In other words, too, the greater of two numbers is what was sent.
    numbers = sorted(map(int, _NUMBER.findall(message)))
    return (numbers[1], numbers[0]) if len(numbers) == 2 else None
