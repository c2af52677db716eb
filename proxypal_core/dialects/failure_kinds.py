"""What an upstream's error means: tables of the words that vendors use, and the order they count in.

A phrase that says more than any code goes first, then codes and types, then other phrases, then the
status. Every vendor's words are in the same tables, for aggregators pass them on in any dialect.
Sources: the vendors' error references and the bodies that their users report.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from proxypal_core.hub.failure import Kind

Scope: TypeAlias = Literal["", "model", "account"]


class Meaning(NamedTuple):
    """``scope`` is what is limited, where that is said."""

    kind: Kind
    scope: Scope = ""


class _Phrase(NamedTuple):
    """``statuses``: those it counts beside, all when empty. It counts wherever no status is said."""

    kind: Kind
    pattern: re.Pattern[str]
    scope: Scope = ""
    statuses: Collection[int] = ()


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


# ── phrases that go before codes ─────────────────────────────────────────────────────────────

_FIRST = (
    _Phrase(
        Kind.CONTEXT,
        _any(
            r"prompt is too long",
            r"maximum (?:context|prompt) length",
            r"context[ _](?:length|window)[ _](?:is )?exceed",
            r"exceeds? (?:the )?(?:context limit|context window|available context size)",
            r"exceeds the (?:model's )?context window|context window exceeds",
            r"exceeded model token limit",
            r"context length of only \d",
            r"input token count .*exceeds the maximum",
            r"input is too long for requested model",
            r"range of input length should be",
        ),
        statuses=(400, 404, 413, 422, 500),
    ),
    # Claude's long context is paid for apart: the account still serves the model without it.
    _Phrase(
        Kind.BILLING,
        _any(r"(?:extra usage is|usage credits are) required for long context"),
        "model",
    ),
    _Phrase(
        Kind.FORBIDDEN,
        _any(
            r"only authorized for use with",
            r"only available for coding agents",
            r"oauth authentication is currently not",
            r"violation of (?:the )?terms of\s+service",
            r"user location is not supported",
            r"country, region, or territory not supported",
        ),
        statuses=(400, 401, 403),
    ),
    # Google gives no quota at all to a model that an account's tier does not have; and a day's
    # quota is like money: it does not come back within the time that anybody waits.
    _Phrase(Kind.BILLING, _any(r"\blimit: 0\b"), statuses=(429,)),
    _Phrase(Kind.BILLING, _any(r"(?-i:PerDay|Daily)"), statuses=(429,)),
    # These say "check your plan and billing" of a window that is over in a minute.
    _Phrase(
        Kind.RATE_LIMIT,
        _any(r"error-code#token-limit|allocated quota exceeded"),
        "model",
    ),
    _Phrase(
        Kind.RATE_LIMIT,
        _any(r"quota(?=.*(?:per[ _-]?(?:minute|second)|retry in \d))", r"PerMinute|PerSecond"),
        statuses=(403, 429),
    ),
    _Phrase(
        Kind.RATE_LIMIT,
        _any(r"\A(?=.*(?:usage|rate|request) limit)(?=.*(?:try again|retry|\bresets?\b))"),
        "account",
        statuses=(402,),
    ),
    _Phrase(
        Kind.BILLING,
        _any(
            r"credit balance is too low",
            r"insufficient[ _](?:quota|credits?|(?:account )?balance|funds)",
            r"exceeded your current quota",
            r"payment required|billing_error",
            r"requires more credits|prompt tokens limit exceeded",
            r"(?:out of|used all available|run out of|no) (?:credits|extra usage)",
            r"draw from your extra usage",
            r"(?:spend|spending|key|budget) limit (?:exceeded|reached)|reached its monthly spending",
            r"reached your specified api usage limits",
            r"free quota has been exhausted",
            r"account is in good standing",
            r"余额不足|欠费",
        ),
    ),
)

# ── codes, types, reasons ────────────────────────────────────────────────────────────────────

# Numbers are Z.ai's and Mistral's, those of them that mean one thing only.
_WORDS: Mapping[Meaning, str] = {
    Meaning(Kind.INVALID): """
        bio_policy cyber_policy invalid_prompt misalignment_policy_violation content_filter
        content_policy_violation data_inspection_failed datainspectionfailed moderation_blocked
        responsibleaipolicyviolation previous_response_not_found message_too_big invalid_value
        unsupported_value string_above_max_length 1301""",
    Meaning(Kind.CONTEXT): """
        context_length_exceeded context_window_exceeded model_max_prompt_tokens_exceeded 1261""",
    Meaning(Kind.TOO_LARGE): "request_too_large",
    Meaning(Kind.CONFLICT): "conflict_error",
    Meaning(Kind.UNSUPPORTED): "unknown_url method_not_supported",
    Meaning(Kind.MODEL): """
        model_not_found not_found_error notfounderror model_not_supported unsupported_model
        unknown_model model_decommissioned deploymentnotfound 1211 1311""",
    Meaning(Kind.AUTH): """
        authentication_error invalid_api_key invalidapikey invalid_authentication_error
        account_deactivated deactivated_workspace invalid_token token_expired token_invalidated
        token_revoked refresh_token_reused invalid_grant unauthenticated api_key_invalid
        api_key_expired consumer_suspended consumer_invalid access_token_expired
        access_token_type_unsupported access_token_scope_insufficient credentials_missing""",
    Meaning(Kind.FORBIDDEN): """
        access_terminated_error usage_not_included unsupported_country_region_territory
        oauth_org_not_allowed ip_not_authorized service_disabled api_key_service_blocked
        api_key_ip_address_blocked api_key_http_referrer_blocked validation_required""",
    Meaning(Kind.BILLING): """
        insufficient_quota insufficient_balance insufficient_balance_error insufficient_credits
        insufficient_funds insufficient_g1_credits_balance billing_error billing_not_active
        billing_hard_limit_reached billing_disabled payment_required exceeded_current_quota_error
        enforced_spend_limit_reached workspace_owner_credits_depleted
        workspace_member_credits_depleted quota_exceeded free_quota_exceeded arrearage
        accountoverdueerror allocationquota.freetieronly 1113 1309""",
    Meaning(Kind.RATE_LIMIT): """
        rate_limit_error rate_limit_exceeded rate_limit_reached_error rate_limited ratelimitreached
        requests tokens too_many_requests quota_exhausted 1302 1303 1304""",
    Meaning(Kind.RATE_LIMIT, "model"): """
        throttling throttling.ratequota throttling.allocationquota throttling.burstrate
        limit_requests limit_burst_rate user_model_rate_limited""",
    Meaning(Kind.RATE_LIMIT, "account"): """
        usage_limit_reached usage_limit_exceeded workspace_owner_usage_limit_reached
        workspace_member_usage_limit_reached user_weekly_rate_limited user_global_rate_limited
        1308 1310""",
    Meaning(Kind.OVERLOADED): """
        overloaded overloaded_error engine_overloaded_error server_is_overloaded server_overloaded
        slow_down service_unavailable model_capacity_exhausted service_tier_capacity_exceeded
        1305 1312 3505""",
    Meaning(Kind.TIMEOUT): "timeout timeout_error request_timeout",
}
_CODES = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}

# These are told for so many things that a status, where there is one, knows better.
_VAGUE = {
    "api_error": Kind.SERVER,
    "invalid_request_error": Kind.INVALID,
    "permission_error": Kind.FORBIDDEN,
}

# ── phrases that go after codes ──────────────────────────────────────────────────────────────

_THEN = (
    # What is missing or refused is a thing that the request names, not the model or the account.
    _Phrase(
        Kind.INVALID,
        _any(
            r"\bitem with id|previous response|cached ?content|no such (?:file|batch)",
            r"^file not found",
        ),
        statuses=(400, 403, 404),
    ),
    _Phrase(
        Kind.INVALID,
        _any(
            r"requires moderation|was flagged|content (?:policy|filter|management)",
            r"violates (?:our |the )?(?:usage|content|safety)|inappropriate content|unsafe content",
        ),
        statuses=(400, 403, 422, 451),
    ),
    _Phrase(
        Kind.AUTH,
        _any(
            r"api[- ]?key (?:is )?(?:not valid|not found|invalid|incorrect|expired|revoked)",
            r"api[- ]?key (?:was reported|has been)",
            r"(?:invalid|incorrect|unknown|expired) (?:x-)?api[- ]?key",
            r"(?:invalid|expired|revoked) (?:access|bearer|oauth|authentication) token",
            r"(?:oauth|access) token (?:has )?(?:been |is )?(?:expired|revoked|invalid)",
            r"(?:account|consumer|organi[sz]ation|workspace) (?:has been|is) "
            r"(?:banned|deactivated|disabled|suspended|terminated)",
        ),
        statuses=(400, 403, 500),
    ),
    _Phrase(
        Kind.MODEL,
        _any(
            r"\bmodels?\b.{0,120}?\b(?:not found|not exist|decommissioned|deprecated|retired)",
            r"\bmodel\b.{0,60}? (?:is not available|is not supported(?! (?:with|for)\b))",
            r"not supported when using",
            r"(?:does not|doesn't|do not) have access to (?:the )?(?:model|it)\b",
            r"not a valid model|unknown model|invalid model|no endpoints found",
            r"must be verified to use the model",
            r"no models loaded|failed to load model|try pulling it",
        ),
        statuses=(400, 403, 404, 410, 422),
    ),
    _Phrase(
        Kind.UNSUPPORTED,
        _any(
            r"^(?:404 )?(?:page |resource |url )?not found\.?$",
            r"unexpected endpoint|unknown request url|invalid url|no route|cannot (?:post|get) /",
        ),
        statuses=(404, 405, 501),
    ),
    _Phrase(
        Kind.OVERLOADED,
        _any(
            r"overloaded|(?:at|over) capacity|capacity exceeded|high demand",
            r"(?:service|server) (?:is )?(?:too )?busy|temporarily unavailable",
        ),
        statuses=(400, 429, 500, 502, 503),
    ),
    _Phrase(
        Kind.RATE_LIMIT,
        _any(r"rate[ -]?limit|too many (?:concurrent )?requests|quota exceeded|usage limit"),
        statuses=(400, 403, 500, 503),
    ),
)

# ── statuses ─────────────────────────────────────────────────────────────────────────────────

_BY_STATUS = {
    400: Kind.INVALID,
    401: Kind.AUTH,
    402: Kind.BILLING,
    403: Kind.FORBIDDEN,
    404: Kind.MODEL,
    405: Kind.UNSUPPORTED,
    408: Kind.TIMEOUT,
    409: Kind.CONFLICT,
    410: Kind.MODEL,
    413: Kind.TOO_LARGE,
    422: Kind.INVALID,
    429: Kind.RATE_LIMIT,
    499: Kind.SERVER,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    522: Kind.TIMEOUT,
    524: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}
# A page is not the API's answer but that of something before it: a 403 is a challenge to browsers.
_PAGE_BY_STATUS = _BY_STATUS | {403: Kind.SERVER, 404: Kind.UNSUPPORTED}

# ── scopes ───────────────────────────────────────────────────────────────────────────────────

_LIMITED = frozenset({Kind.RATE_LIMIT, Kind.BILLING})
_SCOPES: tuple[tuple[Scope, re.Pattern[str]], ...] = (
    (
        "model",
        _any(
            r"\b(?:for|on|this|the) model\b(?! requests)|\bmodel: ?\w",
            r"(?-i:PerModel|ByModel)|base[ _]model",
            r"(?:reached|large) for [\w./:-]+ (?:in|on)\b",
            r"rate-limited upstream",
        ),
    ),
    (
        "account",
        _any(
            r"usage limit|individual quota|global rate limit|weekly|copilot model requests",
            r"organi[sz]ation|workspace|your (?:account|plan|team)",
            r"free-models-per|(?-i:PerProject|UserBy)",
        ),
    ),
)


def meaning(status: int, words: Sequence[str], prose: str, *, page: bool = False) -> Meaning:
    """What an answer of *status* means.

    *words* are its codes, the most telling first; *prose* is what it tells people, and *page* is
    whether it is a web page. A *status* below 400 says nothing: the error stood in a good answer.
    """
    said = status if status >= 400 else 0
    codes = [word.lower() for word in words]
    found = (
        _spoken(_FIRST, said, prose)
        or next((_CODES[code] for code in codes if code in _CODES), None)
        or _spoken(_THEN, said, prose)
        or _vague(codes, said)
        or Meaning(_of_status(said, page=page))
    )
    return found if found.scope else Meaning(found.kind, _scope(found.kind, prose))


def is_vague(word: str) -> bool:
    """Whether *word* is a type that is told for all sorts of things."""
    return word.lower() in _VAGUE


def _spoken(phrases: Sequence[_Phrase], status: int, prose: str) -> Meaning | None:
    for phrase in phrases:
        counts = not (status and phrase.statuses) or status in phrase.statuses
        if counts and phrase.pattern.search(prose):
            return Meaning(phrase.kind, phrase.scope)
    return None


def _vague(codes: Sequence[str], status: int) -> Meaning | None:
    if status:
        return None
    return next((Meaning(_VAGUE[code]) for code in codes if code in _VAGUE), None)


def _of_status(status: int, *, page: bool) -> Kind:
    known = _PAGE_BY_STATUS if page else _BY_STATUS
    return known.get(status, Kind.INVALID if 400 <= status < 500 else Kind.SERVER)


def _scope(kind: Kind, prose: str) -> Scope:
    if kind not in _LIMITED:
        return ""
    return next((scope for scope, pattern in _SCOPES if pattern.search(prose)), "")
