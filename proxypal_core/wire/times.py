"""How long, and until when: durations and points of time as vendors write them.

Lengths are in seconds, points of time in Unix seconds. What cannot be read is None, never an error.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_UNITS = {
    "week": 604800.0,
    "w": 604800.0,
    "day": 86400.0,
    "d": 86400.0,
    "hour": 3600.0,
    "hr": 3600.0,
    "h": 3600.0,
    "minute": 60.0,
    "min": 60.0,
    "millisecond": 1e-3,
    "ms": 1e-3,
    "m": 60.0,
    "second": 1.0,
    "sec": 1.0,
    "s": 1.0,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}
_NUMBER = r"\d{1,12}(?:\.\d{0,12})?"
_UNIT = f"(?:{'|'.join(_UNITS)})"

DURATION = rf"(?:{_NUMBER}\s?{_UNIT}s?(?![a-z])(?:,? (?:and )?(?=\d))?)+"
"""The pattern of ``6m0s``, ``20ms``, ``11.054s`` or ``1 day 2 hours``; for any case of letters."""
MOMENT = (
    r"(\d{4}-\d\d-\d\d)(?:[T ]| at )(\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?) ?"
    r"(Z|UTC|GMT|[+-]\d\d:?\d\d)?"
)
"""The pattern of ``2026-11-21T15:00:00Z`` or ``2026-12-01 at 00:00 UTC``; for any case too."""

_WHOLE_DURATION = re.compile(DURATION, re.IGNORECASE)
_PART = re.compile(f"({_NUMBER})\\s?({_UNIT})", re.IGNORECASE)
_WHOLE_MOMENT = re.compile(MOMENT, re.IGNORECASE)
# Z.ai and Zhipu leave the zone out and mean Beijing's; no other vendor was seen to leave it out.
_UNSAID_ZONE = timezone(timedelta(hours=8))
_UNIX_SECONDS, _UNIX_MILLIS, _TOO_LATE = 1e9, 1e12, 1e14
_LONGEST_TEXT = 64


def seconds(text: str) -> float | None:
    """The seconds of a duration: ``6m0s``, ``373.8ms``, ``161h39m41.3s``, ``1 day 2 hours``."""
    if _WHOLE_DURATION.fullmatch(text.strip()) is None:
        return None
    return sum(float(many) * _UNITS[unit.lower()] for many, unit in _PART.findall(text))


def number(value: object) -> float | None:
    """*value*, a number or the text of one, if it is finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def moment(text: str) -> float | None:
    """The Unix time of an RFC 3339 time, of one that is nearly so (``MOMENT``) or an HTTP date."""
    found = _WHOLE_MOMENT.fullmatch(text.strip())
    try:
        if found is None:
            when, unsaid = parsedate_to_datetime(text), UTC
        else:
            date, time, zone = found.groups("")
            zone = "Z" if zone.upper() in ("UTC", "GMT") else zone.upper()
            when, unsaid = datetime.fromisoformat(f"{date}T{time}{zone}"), _UNSAID_ZONE
        return (when if when.tzinfo else when.replace(tzinfo=unsaid)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def until(value: object, now: float) -> float | None:
    """The seconds from *now* to what *value* says; negative when that is over.

    A number is Unix seconds or milliseconds if it is large enough, and else a length in seconds.
    Text may be such a number, a duration or a point of time.
    """
    read = number(value)
    if read is None:
        return _until_text(value, now) if isinstance(value, str) else None
    if read < _UNIX_SECONDS:
        return read
    if read < _UNIX_MILLIS:
        return read - now
    return read / 1000 - now if read < _TOO_LATE else None


def _until_text(text: str, now: float) -> float | None:
    if len(text) > _LONGEST_TEXT:
        return None
    length = seconds(text)
    if length is not None:
        return length
    at = moment(text)
    return None if at is None else at - now
