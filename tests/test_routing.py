"""A name leads to the targets that can serve it, in a stable order, or to a message that helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core import routing
from proxypal_core.accounts.account import (
    DISABLED_BY_SETTINGS,
    DISABLED_IN_VAULT,
    Account,
    matches,
)
from proxypal_core.providers import backend, catalog
from proxypal_core.providers.provider import Provider
from proxypal_core.routing import ModelName, Target, UnknownModel
from tests.strategies import names

CATALOG = catalog.builtin({})
EFFORTS = ["none", "auto", "low", "high", "max", "8192", "-1"]


def account(name, **fields):
    return Account(id=name, provider=name.partition(":")[0], **fields)


def book(*ids, routes=None, extra=(), accounts=(), **options):
    everyone = [account(name) for name in ids] + list(accounts)
    return routing.route_book([*CATALOG.values(), *extra], everyone, routes or {}, **options)


def resolved(name, a_book, prefer=""):
    return [f"{t.provider}/{t.model}" for t in routing.resolve(name, book=a_book, prefer=prefer)]


def why_not(name, a_book):
    with pytest.raises(UnknownModel) as caught:
        routing.resolve(name, book=a_book)
    return str(caught.value)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(
    names,
    st.sampled_from(["", "anthropic:work", "openai:a.b@example.com"]),
    st.sampled_from(["", *EFFORTS]),
    st.booleans(),
)
def test_a_name_comes_apart_as_it_was_put_together(model, profile, thinking, thinking_first):
    at, brackets = f"@{profile}" * bool(profile), f"({thinking})" * bool(thinking)
    text = model + (brackets + at if thinking_first else at + brackets)

    assert ModelName.parse(text) == ModelName(model, profile, thinking)


@given(st.text(max_size=60))
def test_any_text_is_a_name_and_a_plain_one_keeps_every_character(text):
    parsed = ModelName.parse(text)

    assert len(parsed.model) <= len(text)
    if "@" not in text and "(" not in text:
        assert parsed.model == text


@given(
    st.sampled_from(sorted(CATALOG)), st.from_regex(r"[a-z0-9][a-z0-9./:_-]{0,30}", fullmatch=True)
)
def test_provider_slash_model_needs_no_list(provider, model):
    (target,) = routing.resolve(f"{provider}/{model}", book=book(f"{provider}:work"))

    assert target.provider == provider
    assert routing.canonical(target.model) == routing.canonical(model)


MEMBERS = st.sampled_from(
    [
        *[
            "a",
            "b",
            "c",
            "a*",
            "*b",
            "openai/gpt-5",
            "gemini/x",
            "gpt-5-mini(high)",
            "auto",
            "team/x",
        ],
        *["claude-opus-4.5", "anthropic/claude-*", "gpt-5@openai:work", "nobody/x", "openai/*"],
    ]
)
PATTERNS = st.sampled_from(["a", "b", "c", "a*", "*b", "*", "gpt-*", "openai/*", "claude-opus-*"])
CHAINS = st.dictionaries(PATTERNS, st.lists(MEMBERS, min_size=1, max_size=3), max_size=5)
ACCOUNTS = st.lists(
    st.builds(
        account,
        st.sampled_from(["openai:work", "openai:home", "anthropic:work", "gemini:work"]),
        models=st.sampled_from([(), ("gpt-5*",), ("claude-*", "x")]),
        disabled=st.sampled_from(["", "", "by the settings"]),
        prefix=st.sampled_from(["", "team"]),
    ),
    max_size=4,
    unique_by=lambda one: one.id,
)


@given(MEMBERS, CHAINS, CHAINS, st.sets(PATTERNS), ACCOUNTS)
def test_whatever_the_routes_a_name_leads_once_to_each_who_serves_it(
    name, routes, fallbacks, spread, accounts
):
    a_book = book(accounts=accounts, routes=routes, fallbacks=fallbacks, spread=spread)

    try:
        targets = routing.resolve(name, book=a_book)
    except UnknownModel:
        return

    distinct = {(t.provider, t.model, t.profile, t.thinking, t.prefix) for t in targets}
    assert 0 < len(targets) == len(distinct)
    assert not targets[0].together
    for target in targets:
        assert target.profile or any(
            one.provider == target.provider
            and not one.disabled
            and target.prefix in ("", one.prefix)
            and one.serves(target.model)
            for one in accounts
        )


@given(st.permutations([f"{name}/m" for name in CATALOG]), st.booleans())
def test_members_are_asked_in_their_order(members, spread):
    a_book = book(
        *(f"{name}:work" for name in CATALOG),
        routes={"all": members},
        spread={"all"} if spread else (),
    )

    targets = routing.resolve("all", book=a_book)

    assert [f"{t.provider}/{t.model}" for t in targets] == members
    assert [t.together for t in targets] == [False] + [spread] * (len(members) - 1)


@given(
    st.from_regex(r"[abc]{1,5}", fullmatch=True),
    st.sets(st.from_regex(r"[abc]{0,4}\*[abc]{0,3}", fullmatch=True), max_size=6),
    st.booleans(),
)
def test_a_name_without_a_star_wins_then_the_longest_that_fits(name, patterns, literal):
    routes = {pattern: [f"openai/{pattern.replace('*', '+')}/*"] for pattern in patterns}
    fitting = [pattern for pattern in patterns if matches(name, (pattern,))]
    if literal:
        routes[name] = ["openai/literal"]

    targets = resolved(name, book("openai:work", routes=routes), prefer="openai")

    if literal:
        assert targets == ["openai/literal"]
    elif fitting:
        pattern, _, star = targets[0].removeprefix("openai/").partition("/")
        assert len(pattern) == max(map(len, fitting))
        assert pattern.replace("+", star) == name
    else:
        assert targets == [f"openai/{name}"]


# ── names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("openrouter/x/y:free", ModelName("openrouter/x/y:free")),
        ("claude-sonnet-4-5[1m](high)", ModelName("claude-sonnet-4-5[1m]", thinking="high")),
        ("claude-sonnet-4-5@20250929", ModelName("claude-sonnet-4-5@20250929")),
        ("@cf/meta/llama", ModelName("@cf/meta/llama")),
        ("model(beta)", ModelName("model(beta)")),
        ("m@openai:me@example.com", ModelName("m", "openai:me@example.com")),
    ],
)
def test_what_only_looks_like_a_suffix_stays_in_the_name(text, parsed):
    assert ModelName.parse(text) == parsed


@pytest.mark.parametrize(
    "name",
    ["claude-opus-4.5", "claude-opus-4-5", "anthropic/claude-opus-4.5", "claude/claude-opus-4.5"],
)
def test_a_dot_in_a_claude_name_is_a_hyphen(name):
    assert resolved(name, book("anthropic:work")) == ["anthropic/claude-opus-4-5"]


def test_a_gateway_keeps_its_own_spelling():
    assert resolved("openrouter/anthropic/claude-opus-4.5", book("openrouter:a")) == [
        "openrouter/anthropic/claude-opus-4.5"
    ]


def test_a_provider_that_lists_a_dot_is_sent_the_dot():
    copilot = Provider(name="copilot", models=("claude-opus-4.5",))
    a_book = book("copilot:work", extra=[copilot])

    assert resolved("claude-opus-4-5", a_book) == ["copilot/claude-opus-4.5"]


def test_the_suffixes_reach_the_target():
    (target,) = routing.resolve(
        "anthropic/claude-opus-4-5(8192)@anthropic:work", book=book("anthropic:work")
    )

    assert target == Target("anthropic", "claude-opus-4-5", "anthropic:work", "8192")


def test_a_pinned_bare_name_goes_to_the_account_s_provider():
    a_book = book("openai:work", "azure-openai:work")

    (target,) = routing.resolve("gpt-5@azure:work", book=a_book, prefer="openai")

    assert target == Target("azure-openai", "gpt-5", "azure:work")


def test_an_account_of_another_provider_is_no_pin():
    with pytest.raises(UnknownModel, match="pinned"):
        routing.resolve("openai/gpt-5@anthropic:work", book=book("openai:work", "anthropic:work"))


# ── bare names ───────────────────────────────────────────────────────────────────────────────


def test_a_known_name_is_found_at_every_provider_that_has_an_account():
    a_book = book("gemini:a", "vertex:b")

    assert resolved("gemini-2.5-pro", a_book) == ["gemini/gemini-2.5-pro", "vertex/gemini-2.5-pro"]
    assert resolved("gemini-2.5-pro", a_book, "vertex")[0] == "vertex/gemini-2.5-pro"


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("claude-next-9", "anthropic"),
        ("o3-new", "openai"),
        ("gemini-9", "gemini"),
        ("kimi-k9", "moonshot"),
        ("grok-9", "xai"),
    ],
)
def test_a_name_newer_than_the_catalog_goes_to_its_family(name, provider):
    a_book = book(*(f"{row}:work" for row in CATALOG))

    assert resolved(name, a_book)[0] == f"{provider}/{name}"


def test_an_account_says_by_patterns_what_it_serves():
    local = Provider(name="local")
    accounts = [account("local:a", models=("llama*", "phi-4"), excluded_models=("llama-1",))]
    a_book = book(extra=[local], accounts=accounts)

    assert resolved("llama-3:8b", a_book) == ["local/llama-3:8b"]
    with pytest.raises(UnknownModel):
        routing.resolve("llama-1", book=a_book)


def test_an_account_limited_to_some_models_is_not_asked_for_others():
    a_book = book("openai:b", accounts=[account("anthropic:a", models=("claude-haiku-*",))])

    with pytest.raises(UnknownModel):
        routing.resolve("claude-opus-4-5", book=a_book)


def test_a_bare_name_with_slashes_is_found_where_it_is_listed():
    a_book = book("groq:a", "github-models:b")

    assert resolved("meta-llama/x", a_book, "groq") == ["groq/meta-llama/x"]
    assert resolved("llama-3.3-70b-versatile", a_book) == ["groq/llama-3.3-70b-versatile"]


@pytest.mark.parametrize(
    "name", ["claude-sonnet-4-5[1m]", "anthropic/claude-sonnet-4.5[1m]", "wide"]
)
def test_the_context_suffix_is_a_wish_and_no_part_of_the_name(name):  # case 192
    mine = account("anthropic:a", models=("claude-sonnet-4-5",))
    routes = {"wide": ["anthropic/claude-sonnet-4-5[1m]"]}

    assert routing.resolve(name, book=book(accounts=[mine], routes=routes)) == (
        Target("anthropic", "claude-sonnet-4-5", long_context=True),
    )


def test_a_model_that_is_listed_with_brackets_keeps_them():
    listed = account("anthropic:a", models=("claude-x[1m]", "llama[1m]"))
    a_book = book(accounts=[listed])

    assert resolved("claude-x[1m]", a_book) == ["anthropic/claude-x[1m]"]
    assert resolved("llama[1m]", a_book) == ["anthropic/llama[1m]"]


def test_the_path_decides_only_when_nobody_knows_the_name():
    a_book = book("openai:a", "anthropic:b")

    assert resolved("my-tuned-model", a_book, "openai") == ["openai/my-tuned-model"]
    assert resolved("claude-opus-4-5", a_book, "openai") == ["anthropic/claude-opus-4-5"]


# ── routes ───────────────────────────────────────────────────────────────────────────────────


def test_a_route_is_its_members_in_order_and_skips_what_is_not_there():
    routes = {
        "best": ["claude-cli/opus", "xai/grok-4.5", "fast", "anthropic/claude-opus-4-5"],
        "fast": ["gpt-5-mini"],
    }
    a_book = book("openai:a", "anthropic:a", routes=routes)

    assert resolved("best", a_book) == ["openai/gpt-5-mini", "anthropic/claude-opus-4-5"]


def test_a_command_line_tool_is_a_member_like_any_other():
    tool = Provider(name="claude-cli")
    routes = {"best": ["anthropic/claude-opus-4-5", "claude-cli/opus"]}
    a_book = book("anthropic:a", "claude-cli:local", extra=[tool], routes=routes)

    assert resolved("best", a_book) == ["anthropic/claude-opus-4-5", "claude-cli/opus"]


def test_a_route_goes_before_a_model_of_the_same_name():
    a_book = book("anthropic:a", "openai:a", routes={"claude-opus-4-5": ["openai/gpt-5"]})

    assert resolved("claude-opus-4.5", a_book) == ["openai/gpt-5"]


def test_what_the_client_asks_wins_over_the_route():
    routes = {"deep": ["openai/gpt-5(high)", "gemini/gemini-2.5-pro"]}
    a_book = book("openai:a", "gemini:a", routes=routes)

    assert [t.thinking for t in routing.resolve("deep", book=a_book)] == ["high", ""]
    assert [t.thinking for t in routing.resolve("deep(low)", book=a_book)] == ["low", "low"]


def test_a_route_may_be_called_like_a_suffix():
    a_book = book("openai:a", routes={"gpt-5(high)": ["openai/gpt-5.5"]})

    assert resolved("gpt-5(high)", a_book) == ["openai/gpt-5.5"]


def test_a_route_that_leads_to_itself_says_so():
    with pytest.raises(UnknownModel, match="route a → b → a leads back"):
        routing.resolve("a", book=book(routes={"a": ["b"], "b": ["a"]}))


def test_a_route_through_too_many_others_says_so():
    routes = {str(at): [str(at + 1)] for at in range(20)}

    assert "more than 8 routes" in why_not("0", book(routes=routes))


def test_a_route_s_own_name_in_it_is_the_model():
    routes = {"claude-opus-4-5": ["claude-opus-4.5", "claude-sonnet-4-5", "gpt-5"]}
    a_book = book("anthropic:a", "openai:a", routes=routes)

    assert resolved("claude-opus-4-5", a_book) == [
        "anthropic/claude-opus-4-5",
        "anthropic/claude-sonnet-4-5",
        "openai/gpt-5",
    ]


def test_what_fits_a_route_s_own_pattern_is_the_model():
    routes = {"gpt-*": ["gpt-*", "gpt-5-mini", "openrouter/openai/gpt-*"]}
    a_book = book("openai:a", "openrouter:a", routes=routes)

    assert resolved("gpt-5", a_book) == [
        "openai/gpt-5",
        "openai/gpt-5-mini",
        "openrouter/openai/gpt-5",
    ]


def test_a_pattern_without_slash_is_for_names_without_provider():
    routes = {"*": ["gpt-5-mini"], "xai/*": ["openrouter/x-ai/*"], "best": ["openai/gpt-5"]}
    a_book = book("openai:a", "openrouter:a", routes=routes)

    assert resolved("gpt-5", a_book) == ["openai/gpt-5-mini"]
    assert resolved("openai/gpt-5", a_book) == ["openai/gpt-5"]
    assert resolved("best", a_book) == ["openai/gpt-5"]
    assert resolved("xai/grok-4.5", a_book) == ["openrouter/x-ai/grok-4.5"]


def test_what_the_star_stood_for_keeps_the_client_s_spelling():
    routes = {"claude-*": ["openrouter/anthropic/claude-*"]}

    assert resolved("claude-opus-4.5", book("openrouter:a", routes=routes)) == [
        "openrouter/anthropic/claude-opus-4.5"
    ]


@pytest.mark.parametrize("name", ["claude-opus-4.5", "claude-opus-4-5"])
def test_a_pattern_may_end_in_a_dot_that_is_a_hyphen(name):
    assert resolved(name, book("openai:a", routes={"claude-opus-4.*": ["openai/gpt-5"]})) == [
        "openai/gpt-5"
    ]


def test_who_shares_a_turn_does_not_share_the_turn_before_or_after():
    routes = {"all": ["gemini/x", "both", "xai/x"], "both": ["nobody/x", "openai/x", "groq/x"]}
    a_book = book("gemini:a", "openai:a", "groq:a", "xai:a", routes=routes, spread={"both"})

    targets = routing.resolve("all", book=a_book)

    assert [(t.provider, t.together) for t in targets] == [
        ("gemini", False),
        ("openai", False),
        ("groq", True),
        ("xai", False),
    ]


def test_who_was_asked_alone_before_is_not_asked_in_a_shared_turn():
    routes = {"all": ["openai/x", "both"], "both": ["openai/x", "groq/x"]}
    a_book = book("openai:a", "groq:a", routes=routes, spread={"both"})

    targets = routing.resolve("all", book=a_book)

    assert [(t.provider, t.together) for t in targets] == [("openai", False), ("groq", False)]


# ── fallbacks ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pattern", ["claude-opus-*", "anthropic/claude-opus-*"])
@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-4-5",
        "claude-opus-4.5[1m]",
        "anthropic/claude-opus-4-5",
        "claude/claude-opus-4.5",
    ],
)
def test_a_family_s_fallbacks_come_after_its_models_however_they_are_asked(name, pattern):
    a_book = book("anthropic:a", "openai:a", fallbacks={pattern: ["claude-sonnet-4-5", "gpt-5"]})

    assert resolved(name, a_book) == [
        "anthropic/claude-opus-4-5",
        "anthropic/claude-sonnet-4-5",
        "openai/gpt-5",
    ]


def test_the_longest_pattern_s_fallbacks_are_used_and_theirs_are_not():
    fallbacks = {
        "claude-*": ["gemini/x"],
        "claude-opus-*": ["gpt-5"],
        "gpt-*": ["gemini/x"],
        "claude-haiku-*": [],
    }
    a_book = book("anthropic:a", "openai:a", "gemini:a", fallbacks=fallbacks)

    assert resolved("claude-opus-4-5", a_book) == ["anthropic/claude-opus-4-5", "openai/gpt-5"]
    assert resolved("claude-haiku-4-5", a_book) == ["anthropic/claude-haiku-4-5"]


def test_a_pinned_name_has_no_fallbacks():
    a_book = book("anthropic:a", "openai:a", fallbacks={"*": ["gpt-5"]})

    assert resolved("claude-opus-4-5@anthropic:a", a_book) == ["anthropic/claude-opus-4-5"]


@pytest.mark.parametrize("name", ["claude-opus-4-5(high)", "anthropic/claude-opus-4-5(high)"])
def test_the_fallbacks_alone_serve_a_model_without_account(name):
    a_book = book("openai:a", fallbacks={"claude-opus-*": ["claude-sonnet-4-5", "gpt-5"]})

    assert routing.resolve(name, book=a_book) == (Target("openai", "gpt-5", thinking="high"),)


@pytest.mark.parametrize("name", ["claude-opus-4.5", "claude-opus-4-5[1m]"])
def test_a_fallback_without_star_is_for_every_spelling_of_its_model(name):
    a_book = book("openai:a", fallbacks={"claude-opus-4-5": ["gpt-5"]})

    assert resolved(name, a_book) == ["openai/gpt-5"]


def test_a_route_and_a_fallback_may_have_the_same_pattern():
    a_book = book(
        *["anthropic:a", "openai:a", "gemini:a"],
        routes={"claude-*": ["anthropic/claude-*", "gpt-5"]},
        fallbacks={"claude-*": ["claude-haiku-4-5", "gemini/x"]},
    )

    assert resolved("claude-opus-4-5", a_book) == [
        "anthropic/claude-opus-4-5",
        "openai/gpt-5",
        "anthropic/claude-haiku-4-5",
        "gemini/x",
    ]


# ── auto ─────────────────────────────────────────────────────────────────────────────────────

DEMO = Provider(name="demo", models=("echo", "tool"))


def with_demo(*ids, accounts=(), routes=None):
    accounts = [*accounts, account("demo:built-in")]
    return book(*ids, extra=[DEMO], accounts=accounts, routes=routes, last_resort="demo")


def test_auto_is_the_first_model_of_each_provider_that_has_an_account():
    limited = account("openai:a", models=("gpt-5",))

    assert resolved("auto", with_demo("gemini:a", accounts=[limited])) == [
        "openai/gpt-5",
        f"gemini/{CATALOG['gemini'].models[0]}",
    ]


def test_auto_is_the_demo_when_there_is_nothing_else():
    off = account("openai:a", disabled="by the settings")

    assert resolved("auto", with_demo(accounts=[off])) == ["demo/echo"]


def test_the_user_s_own_auto_wins():
    assert resolved("auto", with_demo("openai:a", routes={"auto": ["openai/gpt-5"]})) == [
        "openai/gpt-5"
    ]


# ── prefixes ─────────────────────────────────────────────────────────────────────────────────

TEAM = account("openai:team", prefix="team")


def test_behind_a_prefix_only_its_accounts_serve():
    a_book = book("anthropic:a", "openai:a", accounts=[TEAM])

    assert routing.resolve("team/gpt-5(low)", book=a_book) == (
        Target("openai", "gpt-5", thinking="low", prefix="team"),
    )
    assert "team/claude-opus-4-5" in why_not("team/claude-opus-4-5", book("anthropic:a"))


def test_an_account_with_a_prefix_serves_other_names_as_well():
    assert routing.resolve("gpt-5", book=book(accounts=[TEAM])) == (Target("openai", "gpt-5"),)


def test_behind_a_prefix_a_model_s_slash_is_its_own_unless_that_provider_is_there():
    prefixed = [account("groq:a", prefix="fast"), account("openrouter:a", prefix="wide"), TEAM]
    a_book = book("openai:a", accounts=prefixed)

    assert resolved("fast/openai/gpt-oss-120b", a_book) == ["groq/openai/gpt-oss-120b"]
    assert resolved("wide/meta/llama-9", a_book) == ["openrouter/meta/llama-9"]
    assert resolved("team/openai/gpt-5", a_book) == ["openai/gpt-5"]


@pytest.mark.parametrize("name", ["team/o3", "team/my-model", "team/openai/o3"])
def test_behind_a_prefix_an_account_without_it_does_not_serve(name):
    limited = account("openai:team", prefix="team", models=("gpt-*",))

    assert name in why_not(name, book("openai:a", accounts=[limited]))


def test_behind_a_prefix_others_are_no_fallback_unless_the_prefix_says_so():
    fallbacks = {"gpt-*": ["gemini/x"], "paid/*": ["gemini/y"]}
    paid = account("xai:a", prefix="paid")
    a_book = book("gemini:a", accounts=[TEAM, paid], fallbacks=fallbacks)

    assert resolved("team/gpt-5", a_book) == ["openai/gpt-5"]
    assert resolved("paid/grok-4.5", a_book) == ["xai/grok-4.5", "gemini/y"]


# ── disabled accounts ────────────────────────────────────────────────────────────────────────

OFF = account("openai:me@example.com", disabled=DISABLED_IN_VAULT, prefix="mine")


def test_a_disabled_account_serves_nothing():
    a_book = book("azure-openai:a", accounts=[OFF, account("gemini:a")])

    assert "openai" not in {model.owner for model in routing.listing(a_book)}
    assert resolved("gemini-9", a_book) == ["gemini/gemini-9"]


@pytest.mark.parametrize("name", ["gpt-5", "openai/anything", "mine/gpt-5", "best"])
def test_a_model_that_only_a_disabled_account_serves_says_which_and_how_to_enable_it(name):
    a_book = book("gemini:a", accounts=[OFF], routes={"best": ["xai/x", "openai/gpt-5"]})

    message = why_not(name, a_book)

    assert name in message
    assert "openai:m***@example.com (in the vault)" in message
    assert "proxypal auth enable openai:m***@example.com" in message


def test_an_endless_route_that_a_disabled_account_would_lead_into_is_not_the_reason():
    a_book = book(
        "gemini:a",
        accounts=[OFF],
        routes={"a": ["b"], "b": ["a"]},
        fallbacks={"openai/gpt-5": ["a"]},
    )

    assert "add-key openai" in why_not("gpt-5", a_book)


def test_an_account_that_the_settings_disable_is_enabled_there():
    off = account("openai:a", disabled=DISABLED_BY_SETTINGS)

    assert "change disabled in the settings" in why_not("gpt-5", book("gemini:a", accounts=[off]))


def test_a_disabled_account_is_no_matter_while_another_serves():
    assert resolved("gpt-5", book("openai:a", accounts=[OFF])) == ["openai/gpt-5"]


# ── nobody ───────────────────────────────────────────────────────────────────────────────────


def test_a_known_model_without_an_account_says_which_account_to_add():
    with pytest.raises(UnknownModel, match="add-key anthropic"):
        routing.resolve("claude-opus-4-5", book=book("openai:a"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai/gpt-5", "add-key openai"),
        ("ollama/llama3", "{name: ollama} under providers"),
        ("claude-opus-4-5", "not among the models of anthropic:a"),
        ("best", "stands for openai/gpt-5, xai/x"),
        ("best@gemini:a", "pinned to gemini:a"),
    ],
)
def test_why_nobody_serves_a_name_and_what_to_do_is_said(name, says):
    limited = account("anthropic:a", models=("claude-haiku-*",))
    a_book = book("gemini:a", accounts=[limited], routes={"best": ["openai/gpt-5", "xai/x"]})

    assert says in why_not(name, a_book)


def test_a_command_line_tool_that_is_not_set_up_says_where_to_put_it():
    tool = backend.provider_of(backend.from_row("claude-cli", {}), listed=False)

    assert "put claude-cli: {} under backends" in why_not(
        "claude-cli/opus", book("gemini:a", extra=[tool])
    )


def test_a_misspelt_name_is_told_its_neighbours():
    with pytest.raises(UnknownModel, match="mistral-large-latest") as caught:
        routing.resolve("mistal-large-latest", book=book("mistral:a"))

    assert "mistral/mistral-large-latest" in caught.value.near


def test_an_absurd_name_is_refused_before_it_is_compared():
    with pytest.raises(UnknownModel, match="512"):
        routing.resolve("x" * 1_000_000, book=book("openai:a"))


def test_what_is_remembered_of_names_is_bounded_and_right():
    a_book = book("openai:a")

    for at in range(3000):
        assert resolved(f"openai/{at}", a_book) == [f"openai/{at}"]
    assert resolved("openai/0", a_book) == resolved("openai/0", a_book) == ["openai/0"]
    assert len(a_book.resolved) <= 1024


def test_the_list_holds_routes_and_models_that_somebody_serves():
    a_book = book(
        "mistral:a",
        accounts=[account("anthropic:a", models=("claude-haiku-4-5",))],
        routes={"best": ["mistral/x"], "any-*": ["mistral/*"]},
    )

    ids = [model.id for model in routing.listing(a_book)]

    assert ids[:2] == ["best", "auto"]
    assert "mistral/codestral-latest" in ids
    assert [name for name in ids if name.startswith("anthropic/")] == ["anthropic/claude-haiku-4-5"]
    assert not [name for name in ids if name.startswith("openai/")]
