"""What vendors' error bodies mean: the kind of failure, what it is about, and until when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.dialects import anthropic, failures, gemini, openai_chat, openai_responses
from proxypal_core.hub.failure import Kind
from proxypal_core.wire import jsonio

DIALECTS = {one.NAME: one for one in (anthropic, gemini, openai_chat, openai_responses)}
CHAT, RESPONSES = openai_chat.NAME, openai_responses.NAME
CLAUDE, GEMINI = anthropic.NAME, gemini.NAME


def said(message, **more):
    """An error object as OpenAI, and whoever imitates it, sends it."""
    return {"error": {"message": message, **more}}


def claude(kind, message, **more):
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def google(code, status, message="", *details):
    error = {"code": code, "status": status, "message": message, "details": list(details)}
    return {"error": error}


def reason(word, **metadata):
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": word, "metadata": metadata}


def retry_in(delay):
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(*ids):
    kind = "type.googleapis.com/google.rpc.QuotaFailure"
    return {"@type": kind, "violations": [{"quotaId": one} for one in ids]}


CHECK_BILLING = "You exceeded your current quota, please check your plan and billing details."
TPM = (
    "Rate limit reached for gpt-4o in organization org-a on tokens per min (TPM): Limit 30000, "
    "Used 29000, Requested 2000. Please try again in 2s. You can add a payment method to your "
    "account at https://platform.openai.com/account/billing."
)
GROQ_TPD = (
    "Rate limit reached for model `llama-3.3` in organization `org_1` service tier `on_demand` on "
    "tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s."
)
GROQ_LARGE = (
    "Request too large for model `llama-3.1` in organization `org_1` service tier `on_demand` on "
    "tokens per minute (TPM): Limit 6000, Requested 12328, please reduce your message size."
)
NO_FREE = (
    f"{CHECK_BILLING} * Quota exceeded for metric: generate_content_free_tier_requests, limit: 0, "
    "model: gemini-2.5-pro\nPlease retry in 20.04466179s."
)
CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
ALIBABA = "https://help.aliyun.com/zh/model-studio/error-code#token-limit"
SPENT = "has either used all available credits or reached its monthly spending limit."
AGENTS = "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI."

# vendor, dialect, status, body, kind, scope, seconds to wait
# fmt: off
BODIES = [
    # OpenAI
    ("openai", CHAT, 401, said("Incorrect API key provided: sk-a.", type="invalid_request_error", code="invalid_api_key"), Kind.AUTH, "", None),
    ("openai", CHAT, 401, said("The account is gone.", type="invalid_request_error", code="account_deactivated"), Kind.AUTH, "", None),
    ("openai", CHAT, 401, said("You must be a member of an organization to use the API.", type="invalid_request_error"), Kind.AUTH, "", None),
    ("openai", CHAT, 403, said("Country, region, or territory not supported", type="request_forbidden", code="unsupported_country_region_territory"), Kind.FORBIDDEN, "", None),
    ("openai", CHAT, 403, said("Project `p` does not have access to model `gpt-9`", type="invalid_request_error", code="model_not_found"), Kind.MODEL, "", None),
    ("openai", CHAT, 404, said("The model `gpt-9` does not exist or you do not have access to it.", type="invalid_request_error", code="model_not_found"), Kind.MODEL, "", None),
    ("openai", CHAT, 404, said("Invalid URL (POST /v1/chat)", type="invalid_request_error"), Kind.UNSUPPORTED, "", None),
    ("openai", RESPONSES, 404, said("Item with id 'rs_1' not found. Items are not persisted when `store` is false.", type="invalid_request_error"), Kind.INVALID, "", None),
    ("openai", RESPONSES, 400, said("Previous response with id 'resp_1' not found.", code="previous_response_not_found"), Kind.INVALID, "", None),
    ("openai", CHAT, 429, said(CHECK_BILLING, type="insufficient_quota", code="insufficient_quota"), Kind.BILLING, "account", None),
    ("openai", CHAT, 429, said("Your account is not active", type="billing_not_active", code="billing_not_active"), Kind.BILLING, "account", None),
    ("openai", CHAT, 400, said("Billing hard limit has been reached", code="billing_hard_limit_reached"), Kind.BILLING, "", None),
    ("openai", CHAT, 429, said(TPM, type="tokens", code="rate_limit_exceeded"), Kind.RATE_LIMIT, "model", 2),
    ("openai", CHAT, 400, said("This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens.", code="context_length_exceeded"), Kind.CONTEXT, "", None),
    ("openai", RESPONSES, 400, said("Your input exceeds the context window of this model. Please adjust your input.", type="invalid_request_error"), Kind.CONTEXT, "", None),
    ("openai", CHAT, 400, said("Unsupported value: 'temperature' does not support 0.2 with this model.", code="unsupported_value"), Kind.INVALID, "", None),
    ("openai", CHAT, 400, said("Invalid prompt: your prompt was flagged.", code="invalid_prompt"), Kind.INVALID, "", None),
    ("openai", CHAT, 503, said("The engine is currently overloaded, please try again later", type="server_error"), Kind.OVERLOADED, "", None),
    ("openai", CHAT, 500, said("The server had an error while processing your request.", type="server_error"), Kind.SERVER, "", None),
    ("openai", CHAT, 403, CHALLENGE, Kind.SERVER, "", None),
    ("openai", CHAT, 502, "<html><body>Bad gateway</body></html>", Kind.SERVER, "", None),
    # ChatGPT's backend for Codex
    ("codex", RESPONSES, 429, said("The usage limit has been reached", type="usage_limit_reached", plan_type="plus", resets_in_seconds=13872), Kind.RATE_LIMIT, "account", 13872),
    ("codex", RESPONSES, 402, {"detail": {"code": "deactivated_workspace"}}, Kind.AUTH, "", None),
    ("codex", RESPONSES, 400, {"detail": "The 'gpt-4o' model is not supported when using Codex with a ChatGPT account."}, Kind.MODEL, "", None),
    ("codex", RESPONSES, 403, said("To use Codex with your ChatGPT plan, upgrade to Plus", code="usage_not_included"), Kind.FORBIDDEN, "", None),
    ("codex", RESPONSES, 429, said("no credits", code="workspace_member_credits_depleted"), Kind.BILLING, "", None),
    ("codex", RESPONSES, 400, said("Selected model is at capacity. Please try a different model."), Kind.OVERLOADED, "", None),
    ("codex", RESPONSES, 401, {"detail": "Could not validate your token. Please try signing in again."}, Kind.AUTH, "", None),
    # Anthropic
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), Kind.BILLING, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), Kind.CONTEXT, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "messages: roles must alternate"), Kind.INVALID, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "This credential is only authorized for use with Claude Code and cannot be used for other API requests."), Kind.FORBIDDEN, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "This organization has been disabled."), Kind.AUTH, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "You're out of extra usage. Add more at claude.ai/settings/usage and keep going."), Kind.BILLING, "", None),
    ("anthropic", CLAUDE, 400, claude("invalid_request_error", "Third-party apps now draw from your extra usage, not your plan limits."), Kind.BILLING, "account", None),
    ("anthropic", CLAUDE, 401, claude("authentication_error", "invalid x-api-key"), Kind.AUTH, "", None),
    ("anthropic", CLAUDE, 401, claude("authentication_error", "OAuth token has expired. Please obtain a new token."), Kind.AUTH, "", None),
    ("anthropic", CLAUDE, 401, claude("authentication_error", "OAuth authentication is currently not supported."), Kind.FORBIDDEN, "", None),
    ("anthropic", CLAUDE, 403, claude("permission_error", "OAuth authentication is currently not allowed for this organization."), Kind.FORBIDDEN, "", None),
    ("anthropic", CLAUDE, 403, claude("permission_error", "OAuth token has been revoked. Please obtain a new token."), Kind.AUTH, "", None),
    ("anthropic", CLAUDE, 404, claude("not_found_error", "model: claude-9"), Kind.MODEL, "", None),
    ("anthropic", CLAUDE, 413, claude("request_too_large", "Request exceeds the maximum size"), Kind.TOO_LARGE, "", None),
    ("anthropic", CLAUDE, 429, claude("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."), Kind.RATE_LIMIT, "account", None),
    ("anthropic", CLAUDE, 429, claude("rate_limit_error", "This request would exceed the rate limit for your organization of 20,000 input tokens per minute."), Kind.RATE_LIMIT, "account", None),
    ("anthropic", CLAUDE, 429, claude("rate_limit_error", "Extra usage is required for long context requests."), Kind.BILLING, "model", None),
    ("anthropic", CLAUDE, 529, claude("overloaded_error", "Overloaded"), Kind.OVERLOADED, "", None),
    ("anthropic", CLAUDE, 200, claude("overloaded_error", "Overloaded"), Kind.OVERLOADED, "", None),
    # Google: AI Studio, Vertex, Code Assist
    ("gemini", GEMINI, 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason("API_KEY_INVALID")), Kind.AUTH, "", None),
    ("gemini", GEMINI, 400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), Kind.AUTH, "", None),
    ("gemini", GEMINI, 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), Kind.FORBIDDEN, "", None),
    ("gemini", GEMINI, 400, google(400, "INVALID_ARGUMENT", "Invalid value at 'contents' (oneof), oneof field is already set."), Kind.INVALID, "", None),
    ("gemini", GEMINI, 403, google(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."), Kind.AUTH, "", None),
    ("gemini", GEMINI, 403, google(403, "PERMISSION_DENIED", "Permission denied: Consumer 'api_key:AIza' has been suspended.", reason("CONSUMER_SUSPENDED")), Kind.AUTH, "", None),
    ("gemini", GEMINI, 403, google(403, "PERMISSION_DENIED", "Generative Language API has not been used in project 1 before.", reason("SERVICE_DISABLED")), Kind.FORBIDDEN, "", None),
    ("gemini", GEMINI, 403, google(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"), Kind.INVALID, "", None),
    ("gemini", GEMINI, 404, google(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent."), Kind.MODEL, "", None),
    ("gemini", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", CHECK_BILLING, quota("GenerateContentInputTokensPerModelPerMinute-FreeTier"), retry_in("26s")), Kind.RATE_LIMIT, "model", 26),
    ("gemini", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", CHECK_BILLING, quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry_in("34.07s")), Kind.BILLING, "model", 34.07),
    ("gemini", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", CHECK_BILLING), Kind.BILLING, "account", None),
    ("gemini", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", NO_FREE), Kind.BILLING, "model", 20.04466179),
    ("gemini", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."), Kind.RATE_LIMIT, "", None),
    ("gemini", GEMINI, 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), Kind.OVERLOADED, "", None),
    ("gemini", GEMINI, 499, google(499, "CANCELLED", "The operation was cancelled."), Kind.SERVER, "", None),
    ("gemini", CHAT, 429, [google(429, "RESOURCE_EXHAUSTED", CHECK_BILLING, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry_in("9s"))], Kind.RATE_LIMIT, "model", 9),
    ("vertex", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: gemini-pro."), Kind.RATE_LIMIT, "model", None),
    ("vertex", GEMINI, 404, google(404, "NOT_FOUND", "Publisher Model `projects/p/models/x` was not found or your project does not have access to it."), Kind.MODEL, "", None),
    ("vertex", GEMINI, 401, google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", reason("ACCESS_TOKEN_EXPIRED")), Kind.AUTH, "", None),
    ("vertex", GEMINI, 403, google(403, "PERMISSION_DENIED", "This API method requires billing to be enabled.", reason("BILLING_DISABLED")), Kind.BILLING, "", None),
    ("code-assist", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model. Your quota will reset after 161h39m41s.", reason("QUOTA_EXHAUSTED", quotaResetDelay="161h39m41.5s")), Kind.RATE_LIMIT, "model", 581981.5),
    ("code-assist", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", "Individual quota reached. Resets in 9h22m20s.", reason("QUOTA_EXHAUSTED")), Kind.RATE_LIMIT, "account", 33740),
    ("code-assist", GEMINI, 429, google(429, "RESOURCE_EXHAUSTED", "No capacity", reason("MODEL_CAPACITY_EXHAUSTED")), Kind.OVERLOADED, "", None),
    ("code-assist", GEMINI, 403, google(403, "PERMISSION_DENIED", "This service has been disabled in this account for violation of Terms of\n\t\tService."), Kind.FORBIDDEN, "", None),
    # DeepSeek, Moonshot, Alibaba, Z.ai, MiniMax
    ("deepseek", CHAT, 402, said("Insufficient Balance", type="unknown_error", code="invalid_request_error"), Kind.BILLING, "", None),
    ("deepseek", CHAT, 401, said("Authentication Fails (no such user)", type="authentication_error", code="invalid_request_error"), Kind.AUTH, "", None),
    ("deepseek", CHAT, 400, said("Model Not Exist", type="invalid_request_error", code="invalid_request_error"), Kind.MODEL, "", None),
    ("deepseek", CHAT, 503, said("Service is too busy. We advise users to temporarily switch to alternative providers."), Kind.OVERLOADED, "", None),
    ("moonshot", CHAT, 429, said("Your account org-1<ak-2> request reached organization max RPM: 3, please try again after 1 seconds", type="rate_limit_reached_error"), Kind.RATE_LIMIT, "account", 1),
    ("moonshot", CHAT, 403, said("Your account org-1 is not active, exceeded current quota, please check your plan and billing details", type="exceeded_current_quota_error"), Kind.BILLING, "account", None),
    ("moonshot", CHAT, 429, said("The engine is currently overloaded, please try again later", type="engine_overloaded_error"), Kind.OVERLOADED, "", None),
    ("moonshot", CHAT, 400, said("Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error"), Kind.CONTEXT, "", None),
    ("moonshot", CHAT, 403, said(AGENTS, type="access_terminated_error"), Kind.FORBIDDEN, "", None),
    ("dashscope", CHAT, 429, said(f"{CHECK_BILLING} For details, see: {ALIBABA}", type="insufficient_quota", code="insufficient_quota"), Kind.RATE_LIMIT, "model", None),
    ("dashscope", CHAT, 429, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded, please try again later."}, Kind.RATE_LIMIT, "model", None),
    ("dashscope", CHAT, 400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}, Kind.BILLING, "account", None),
    ("dashscope", CHAT, 403, said("The free quota has been exhausted.", type="AllocationQuota.FreeTierOnly", code="AllocationQuota.FreeTierOnly"), Kind.BILLING, "", None),
    ("dashscope", CHAT, 400, said("Range of input length should be [1, 30720]", code="InvalidParameter"), Kind.CONTEXT, "", None),
    ("dashscope", CHAT, 400, said("Input data may contain inappropriate content.", code="data_inspection_failed"), Kind.INVALID, "", None),
    ("zai", CHAT, 429, said("Insufficient balance or no resource package. Please recharge.", code="1113"), Kind.BILLING, "", None),
    ("zai", CLAUDE, 429, claude("rate_limit_error", "[1113][Insufficient balance or no resource package.]", code="1113"), Kind.BILLING, "", None),
    ("zai", CHAT, 429, said("余额不足或无可用资源包,请充值。", code="1113"), Kind.BILLING, "", None),
    ("zai", CHAT, 429, said("High concurrency usage of this API, please reduce concurrency", code="1302"), Kind.RATE_LIMIT, "", None),
    ("zai", CLAUDE, 429, claude("rate_limit_error", "[1308][Usage limit reached for 5 hour. Your limit will reset at 2026-09-12 00:35:41]", code="1308"), Kind.RATE_LIMIT, "account", None),
    ("zai", CLAUDE, 429, claude("1308", "Usage limit reached for 5 hour."), Kind.RATE_LIMIT, "account", None),
    ("minimax", CLAUDE, 500, claude("api_error", "insufficient balance (1008)"), Kind.BILLING, "", None),
    ("minimax", CLAUDE, 429, claude("rate_limit_error", "usage limit exceeded, 5-hour usage limit reached for Token Plan Starter, resets at 2026-05-15T15:00:00Z (2056)"), Kind.RATE_LIMIT, "account", None),
    ("minimax", CLAUDE, 400, claude("invalid_request_error", "invalid params, context window exceeds limit (2013)"), Kind.CONTEXT, "", None),
    # xAI, Groq, Mistral
    ("xai", CHAT, 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: na***ys."}, Kind.AUTH, "", None),
    ("xai", CHAT, 403, {"code": "permission-denied", "error": f"Your team t1 {SPENT}"}, Kind.BILLING, "account", None),
    ("xai", CHAT, 429, {"code": "too-many", "error": f"Your team t1 {SPENT}"}, Kind.BILLING, "account", None),
    ("xai", CHAT, 403, {"code": "x", "error": "You have run out of credits or need a Grok subscription."}, Kind.BILLING, "", None),
    ("xai", CHAT, 403, {"code": "x", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}, Kind.INVALID, "", None),
    ("xai", CHAT, 404, {"code": "x", "error": "The model grok-9 does not exist or your team does not have access to it."}, Kind.MODEL, "", None),
    ("groq", CHAT, 429, said(GROQ_TPD, type="tokens", code="rate_limit_exceeded"), Kind.RATE_LIMIT, "model", 578.016),
    ("groq", CHAT, 413, said(GROQ_LARGE, type="tokens", code="rate_limit_exceeded"), Kind.RATE_LIMIT, "model", None),
    ("groq", CHAT, 400, said("The model `x` has been decommissioned and is no longer supported.", code="model_decommissioned"), Kind.MODEL, "", None),
    ("mistral", CHAT, 429, {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}, Kind.RATE_LIMIT, "", None),
    ("mistral", CHAT, 429, {"object": "error", "message": "Service tier capacity exceeded for this model.", "type": "invalid_request_error", "code": None}, Kind.OVERLOADED, "", None),
    ("mistral", CHAT, 400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", "type": "invalid_request_error"}, Kind.CONTEXT, "", None),
    ("mistral", CHAT, 401, {"message": "Unauthorized"}, Kind.AUTH, "", None),
    ("mistral", CHAT, 400, {"object": "error", "message": "Invalid model: mistral-9", "type": "invalid_model", "code": "1500"}, Kind.MODEL, "", None),
    # OpenRouter, GitHub, Azure
    ("openrouter", CHAT, 402, said("This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 2666.", code=402), Kind.BILLING, "", None),
    ("openrouter", CHAT, 402, said("Prompt tokens limit exceeded: 69120 > 36608.", code=402), Kind.BILLING, "", None),
    ("openrouter", CHAT, 403, said("Key limit exceeded (daily limit).", code=403), Kind.BILLING, "", None),
    ("openrouter", CHAT, 403, said("anthropic/claude requires moderation on Anthropic. Your input was flagged for violence.", code=403, metadata={"reasons": ["violence"]}), Kind.INVALID, "", None),
    ("openrouter", CHAT, 404, said("No endpoints found matching your data policy.", code=404), Kind.MODEL, "", None),
    ("openrouter", CHAT, 400, said("foo/bar is not a valid model ID", code=400), Kind.MODEL, "", None),
    ("openrouter", CHAT, 429, said("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day", code=429), Kind.RATE_LIMIT, "account", None),
    ("openrouter", CHAT, 429, said("Provider returned error", code=429, metadata={"raw": "qwen/qwen3:free is temporarily rate-limited upstream. Please retry shortly."}), Kind.RATE_LIMIT, "model", None),
    ("openrouter", CHAT, 502, said("Provider returned error", code=502), Kind.SERVER, "", None),
    ("github-models", CHAT, 429, said("Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 52220 seconds before retrying.", code="RateLimitReached", details="Rate limit of 50 per 86400s exceeded."), Kind.RATE_LIMIT, "model", 52220),
    ("github-models", CHAT, 401, said("Bad credentials", code="unauthorized"), Kind.AUTH, "", None),
    ("github", CHAT, 403, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}, Kind.RATE_LIMIT, "", None),
    ("copilot", CHAT, 429, said("Sorry, you've hit a rate limit that restricts the number of Copilot model requests you can make. Please try again in 58 hours.", code="user_global_rate_limited"), Kind.RATE_LIMIT, "account", 208800),
    ("copilot", CHAT, 402, said("You have exceeded your premium request allowance", code="quota_exceeded"), Kind.BILLING, "", None),
    ("copilot", CHAT, 400, said("The requested model is not supported.", code="model_not_supported"), Kind.MODEL, "", None),
    ("azure", CHAT, 429, said("Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds.", code="429"), Kind.RATE_LIMIT, "", 26),
    ("azure", CHAT, 429, said("The system is currently experiencing high demand and cannot process your request. Please retry after 20 seconds.", code="x"), Kind.OVERLOADED, "", 20),
    ("azure", CHAT, 429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 2 seconds."}, Kind.RATE_LIMIT, "", 2),
    ("azure", CHAT, 404, said("The API deployment for this resource does not exist.", code="DeploymentNotFound"), Kind.MODEL, "", None),
    ("azure", CHAT, 404, said("Resource not found", code="404"), Kind.UNSUPPORTED, "", None),
    ("azure", CHAT, 400, said("The response was filtered due to Azure OpenAI's content management policy.", code="content_filter"), Kind.INVALID, "", None),
    # servers of one's own
    ("ollama", CHAT, 404, said('model "llama9" not found, try pulling it first', type="api_error"), Kind.MODEL, "", None),
    ("ollama", CHAT, 404, "404 page not found", Kind.UNSUPPORTED, "", None),
    ("ollama", CHAT, 503, {"error": "Server overloaded, please retry shortly (ref: aaa)"}, Kind.OVERLOADED, "", None),
    ("ollama", CHAT, 429, {"error": "you (me) have reached your weekly usage limit, upgrade for higher limits"}, Kind.RATE_LIMIT, "account", None),
    ("ollama", CHAT, 500, {"error": "model runner has unexpectedly stopped"}, Kind.SERVER, "", None),
    ("lm-studio", CHAT, 404, said("No models loaded. Please load a model in the developer page.", code="model_not_found"), Kind.MODEL, "", None),
    ("lm-studio", CHAT, 200, {"error": "Unexpected endpoint or method. (POST /v1/foo)"}, Kind.UNSUPPORTED, "", None),
    ("lm-studio", CHAT, 400, {"error": "The model is loaded with context length of only 4096 tokens, which is not enough."}, Kind.CONTEXT, "", None),
    ("vllm", CHAT, 404, {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}, Kind.MODEL, "", None),
    ("vllm", CHAT, 404, {"detail": "Not Found"}, Kind.UNSUPPORTED, "", None),
    ("vllm", CHAT, 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", "type": "BadRequestError", "code": 400}, Kind.CONTEXT, "", None),
    ("llama.cpp", CHAT, 400, said("the request exceeds the available context size (4096 tokens)", type="exceed_context_size_error", code=400), Kind.CONTEXT, "", None),
    ("llama.cpp", CHAT, 503, said("Loading model", type="unavailable_error", code=503), Kind.OVERLOADED, "", None),
    # whatever stands in between
    ("nginx", CHAT, 404, "<html><head><title>404 Not Found</title></head></html>", Kind.UNSUPPORTED, "", None),
    ("nginx", CHAT, 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", Kind.TOO_LARGE, "", None),
    ("nginx", CHAT, 504, "<html><head><title>504 Gateway Time-out</title></head></html>", Kind.TIMEOUT, "", None),
    ("cloudflare", CLAUDE, 524, "<html><title>524: A timeout occurred</title></html>", Kind.TIMEOUT, "", None),
    ("gateway", CHAT, 402, said("Monthly usage limit reached, it resets on Monday. Please try again later."), Kind.RATE_LIMIT, "account", None),
]
# fmt: on


def encoded(body):
    return body.encode() if isinstance(body, str) else jsonio.dumps(body)


@pytest.mark.parametrize(
    ("vendor", "dialect", "status", "body", "kind", "scope", "wait"),
    BODIES,
    ids=[f"{row[0]}-{row[2]}-{row[4]}-{at}" for at, row in enumerate(BODIES)],
)
def test_what_a_vendor_s_error_means(vendor, dialect, status, body, kind, scope, wait):
    failure = DIALECTS[dialect].decode_failure(status, encoded(body))

    assert (failure.kind, failure.scope, failure.retry_after) == (kind, scope, wait)


def test_the_table_is_as_wide_as_it_was_meant_to_be():
    assert len(BODIES) >= 80
    assert len({row[0] for row in BODIES}) >= 20


@pytest.mark.parametrize(
    ("error", "at"),
    [
        ({"type": "usage_limit_reached", "resets_at": 1777936568}, 1777936568),
        ({"message": "Claude AI usage limit reached|1762952400"}, 1762952400),
        ({"message": "You will regain access on 2026-12-01 at 00:00 UTC."}, 1796083200),
        ({"message": "limit reached, resets at 2026-11-21T15:00:00Z (2056)"}, 1795273200),
        ({"message": "Your limit will reset at 2026-09-12 00:35:41"}, 1789144541),  # Beijing's
        ({"message": "您的限额将在 2026-09-12 00:35:41 重置。"}, 1789144541),
        ({"message": "no", "details": [{"metadata": {"quotaResetTimeStamp": "2026-09-20T21:03:14Z"}}]}, 1789938194),
        ({"message": "no", "metadata": {"headers": {"X-RateLimit-Reset": "1795273200000"}}}, 1795273200),
        ({"message": "no", "resets_at": "2026-11-21T15:00:00Z"}, 1795273200),
        ({"message": "no", "resets_at": "soon"}, None),
        ({"message": "no", "resets_at": float(1 << 60)}, None),
        ({"message": "It was launched on 2026-11-21T15:00:00Z"}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_point_of_time_is_kept_as_one(error, at):
    failure = openai_chat.decode_failure(429, jsonio.dumps({"error": error}))

    assert (failure.resets_at, failure.kind) == (at, Kind.RATE_LIMIT)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 6m0s.", 360),
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 11.054s. Visit", 11.054),
        ("try again in 114h18m0s", 411480),
        ("try again in 2 days 17 hours 14 minutes.", 234840),
        ("try again in 1 day 2 hours", 93600),
        ("Please retry in 34.074824224s.", 34.074824224),
        ("Please retry after 26 seconds.", 26),
        ("please try again after 1 seconds", 1),
        ("Please wait 5631 seconds before retrying.", 5631),
        ("wait 6 seconds for your limit to reset", 6),
        ("Your quota will reset after 27h41m36s.", 99696),
        ("Resets in 9h22m20s.", 33740),
        ("Try again in 1 hour, 5 minutes and 3 seconds!", 3903),
        ("It is available in 90 sec", 90),
        ("try again in a moment", None),
        ("try again in 5", None),
        ("try again in 3 mangos", None),
        ("it took 5s", None),
        ("", None),
    ],
)
def test_a_wait_is_read_from_prose(text, seconds):
    assert failures.retry_in_text(text) == seconds


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    "quote",
    [
        "'insufficient balance'",
        '"overloaded, try again in 5 hours"',
        "`api key not valid`",
        "my credit balance is too low " * 100,
    ],
)
def test_what_an_error_quotes_does_not_decide(dialect, quote):
    body = jsonio.dumps(said(f"Invalid content in messages.3: {quote}", type="odd"))

    failure = dialect.decode_failure(400, body)

    assert (failure.kind, failure.retry_after) == (Kind.INVALID, None)


def test_a_long_message_is_judged_by_its_code():
    body = jsonio.dumps(said("the model does not exist " * 100, code="insufficient_quota"))

    assert openai_chat.decode_failure(404, body).kind is Kind.BILLING


def test_a_type_stands_for_a_code_that_is_missing_unless_it_says_nothing():
    telling = openai_chat.decode_failure(429, jsonio.dumps(said("no", type="engine_overloaded")))
    vague = openai_chat.decode_failure(400, jsonio.dumps(said("no", type="invalid_request_error")))

    assert (telling.code, vague.code) == ("engine_overloaded", "")


FIELDS = ["error", "message", "code", "type", "status", "detail", "details", "metadata", "headers"]
FIELDS += ["raw", "reason", "violations", "quotaId", "retryDelay", "resets_at", "X-RateLimit-Reset"]
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(DIALECTS)), st.integers(200, 599), json)
@settings(max_examples=150, deadline=None)
def test_no_error_object_is_too_odd(name, status, value):
    failure = DIALECTS[name].decode_failure(status, jsonio.dumps(value))

    assert failure.message
    assert failure.retry_after is None or failure.retry_after >= 0
    assert failure.scope in ("", "model", "account")


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_prose_is_too_odd(text):
    failure = openai_chat.decode_failure(429, jsonio.dumps(said(text + " try again in " + text)))

    assert failure.retry_after is None or failure.retry_after >= 0
