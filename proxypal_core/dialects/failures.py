"""What an upstream's error answer means, as far as all dialects agree: body before status."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio

_BY_STATUS = {
    400: Kind.INVALID,
    401: Kind.AUTH,
    402: Kind.BILLING,
    403: Kind.FORBIDDEN,
    404: Kind.MODEL,
    408: Kind.TIMEOUT,
    409: Kind.CONFLICT,
    413: Kind.TOO_LARGE,
    422: Kind.INVALID,
    429: Kind.RATE_LIMIT,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}

# Phrases that decide against the status, in this order. Sources: the vendors' own messages, as
# clients match them (Claude Code, Codex, OpenClaw).
_PHRASES = (
    (
        re.compile(
            r"prompt is too long|context_length_exceeded|maximum context length"
            r"|exceed context limit|input token count .*exceeds the maximum",
            re.IGNORECASE,
        ),
        Kind.CONTEXT,
    ),
    (
        re.compile(
            r"insufficient_quota|credit balance is too low|billing_error|payment required"
            r"|insufficient (?:credits|balance|funds)|requires more credits",
            re.IGNORECASE,
        ),
        Kind.BILLING,
    ),
    (re.compile(r"API_KEY_INVALID|invalid_api_key|api key not valid", re.IGNORECASE), Kind.AUTH),
    (re.compile(r"overloaded_error", re.IGNORECASE), Kind.OVERLOADED),
)
_RETRY_TEXT = re.compile(
    r"(?:try again|retry) in (?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m(?!s))?"
    r"(?:(?P<s>\d{1,9}(?:\.\d*)?) ?s(?:ec)?)?(?:(?P<ms>\d{1,9}(?:\.\d*)?) ?ms)?",
    re.IGNORECASE,
)
_MESSAGE_LIMIT = 2048

TRUNCATED = Failure(Kind.TRUNCATED, "the provider's answer ended before it was complete")


def broken_event(error: jsonio.Malformed) -> Failure:
    return Failure(Kind.BAD_REPLY, f"the provider sent a broken event: {error}")


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def kind_of(status: int, text: str) -> Kind:
    """What an answer of *status* whose body is *text* means."""
    for phrase, kind in _PHRASES:
        if phrase.search(text):
            return kind
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Kind.INVALID if 400 <= status < 500 else Kind.SERVER


def retry_in_text(text: str) -> float | None:
    """The seconds of a "try again in 6m0s" (OpenAI) or "retry in 34.07s" (Gemini)."""
    match = _RETRY_TEXT.search(text)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, millis = (float(match[unit] or 0) for unit in ("h", "m", "s", "ms"))
    return hours * 3600 + minutes * 60 + seconds + millis / 1000


def read_error(status: int, body: bytes) -> tuple[Failure, Mapping[str, Any]]:
    """The failure in an error body of any vendor, and its error object for what only one knows.

    Takes ``{"error": {…}}``, an array of that (Gemini), ``{"error": "…"}``, ``{"detail": "…"}``,
    ``{"message": "…"}``, HTML and nothing at all.
    """
    text = body[:65536].decode("utf-8", "replace")
    error = _error_object(body)
    message = error.get("message")
    if not isinstance(message, str) or not message:
        message = _plain_text(text) or f"the provider answered {status} without a message"
    kind = kind_of(status, f"{error.get('type')} {error.get('code')} {message} {text[:4096]}")
    code = error.get("code")
    param = error.get("param")
    return (
        Failure(
            kind,
            message[:_MESSAGE_LIMIT],
            status=status,
            retry_after=retry_in_text(message),
            code=code if isinstance(code, str) else "",
            param=param if isinstance(param, str) else "",
            details=error.get("details"),
        ),
        error,
    )


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
        return {"message": error}
    if isinstance(error, dict):
        if "message" in error or "detail" not in error:
            return error
        detail = error["detail"]
        return {
            **error,
            "message": detail if isinstance(detail, str) else jsonio.dumps_text(detail),
        }
    return {}


def _plain_text(text: str) -> str:
    """The first words of a body that is no JSON; of an HTML page, its text."""
    return " ".join(_TAGS.sub(" ", text).split())[:200]


# A script that is not closed ends with the page: a search for its end from each would take ages.
_TAGS = re.compile(r"<(script|style).*?(?:</\1>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE)


_BY_PHRASE = frozenset({Kind.CONTEXT, Kind.BILLING})


def named(
    failure: Failure, words: Iterable[Any], kinds: Mapping[str, Kind], vague: Mapping[str, Kind]
) -> Failure:
    """*failure* of the kind that *words*, its code or type, tell.

    What the message told goes before *kinds*; *vague* words speak only where nothing else does.
    """
    if failure.kind in _BY_PHRASE:
        return failure
    known = [word for word in words if isinstance(word, str)]
    told = [kinds[word] for word in known if word in kinds]
    if failure.status < 400 and failure.kind is Kind.SERVER:
        told += [vague[word] for word in known if word in vague]
    return msgspec.structs.replace(failure, kind=told[0]) if told else failure


# ── writing ──────────────────────────────────────────────────────────────────────────────────

OF_CREDENTIALS = frozenset({Kind.AUTH, Kind.FORBIDDEN})


def client_text(failure: Failure) -> str:
    """What a client is told: when the provider refused *our* credential, that it was ours."""
    if failure.kind in OF_CREDENTIALS:
        return f"the provider refused this account: {failure.message}"
    return failure.message


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
