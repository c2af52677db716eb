"""A name leads to the targets that can serve it, in a stable order, or to a message that helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core import routing
from proxypal_core.accounts.account import Account
from proxypal_core.providers import catalog
from proxypal_core.providers.provider import Provider
from proxypal_core.routing import ModelName, Target, UnknownModel
from tests.strategies import names

CATALOG = catalog.builtin({})
EFFORTS = ["none", "auto", "low", "high", "max", "8192", "-1"]


def account(name, **fields):
    return Account(id=name, provider=name.partition(":")[0], **fields)


def book(*ids, routes=None, extra=(), accounts=()):
    everyone = [account(name) for name in ids] + list(accounts)
    return routing.route_book([*CATALOG.values(), *extra], everyone, routes or {})


def resolved(name, a_book, prefer=""):
    return [f"{t.provider}/{t.model}" for t in routing.resolve(name, book=a_book, prefer=prefer)]


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
def test_provider_slash_model_needs_no_list_and_no_account(provider, model):
    (target,) = routing.resolve(f"{provider}/{model}", book=book())

    assert target.provider == provider
    assert routing.canonical(target.model) == routing.canonical(model)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), st.data())
def test_routes_never_loop_and_never_repeat_a_target(members, data):
    routes = {
        name: data.draw(
            st.lists(st.sampled_from([*"abcd", "openai/gpt-5", "gemini/x"]), min_size=1, max_size=3)
        )
        for name in members
    }
    a_book = book("openai:work", routes=routes)

    try:
        targets = routing.resolve(members[0], book=a_book)
    except UnknownModel:
        return

    assert targets
    assert len(targets) == len(set(targets))


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
    assert resolved("openrouter/anthropic/claude-opus-4.5", book()) == [
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
        "best": ["claude-cli/opus", "fast", "anthropic/claude-opus-4-5"],
        "fast": ["gpt-5-mini"],
    }
    a_book = book("openai:a", routes=routes)

    assert resolved("best", a_book) == ["openai/gpt-5-mini", "anthropic/claude-opus-4-5"]


def test_a_route_goes_before_a_model_of_the_same_name():
    a_book = book("anthropic:a", routes={"claude-opus-4-5": ["openai/gpt-5"]})

    assert resolved("claude-opus-4.5", a_book) == ["openai/gpt-5"]


def test_what_the_client_asks_wins_over_the_route():
    a_book = book(routes={"deep": ["openai/gpt-5(high)", "gemini/gemini-2.5-pro"]})

    assert [t.thinking for t in routing.resolve("deep", book=a_book)] == ["high", ""]
    assert [t.thinking for t in routing.resolve("deep(low)", book=a_book)] == ["low", "low"]


def test_a_route_may_be_called_like_a_suffix():
    a_book = book(routes={"gpt-5(high)": ["openai/gpt-5.5"]})

    assert resolved("gpt-5(high)", a_book) == ["openai/gpt-5.5"]


def test_a_route_that_leads_to_itself_says_so():
    with pytest.raises(UnknownModel, match="a → b → a"):
        routing.resolve("a", book=book(routes={"a": ["b"], "b": ["a"]}))


# ── nobody ───────────────────────────────────────────────────────────────────────────────────


def test_a_known_model_without_an_account_says_which_account_to_add():
    with pytest.raises(UnknownModel, match="add-key anthropic"):
        routing.resolve("claude-opus-4-5", book=book("openai:a"))


def test_a_misspelt_name_is_told_its_neighbours():
    with pytest.raises(UnknownModel, match="mistral-large-latest") as caught:
        routing.resolve("mistal-large-latest", book=book("mistral:a"))

    assert "mistral/mistral-large-latest" in caught.value.near


def test_an_absurd_name_is_refused_before_it_is_compared():
    with pytest.raises(UnknownModel, match="512"):
        routing.resolve("x" * 1_000_000, book=book("openai:a"))


def test_the_list_holds_routes_and_models_that_somebody_serves():
    a_book = book(
        "mistral:a",
        accounts=[account("anthropic:a", models=("claude-haiku-4-5",))],
        routes={"best": ["mistral/x"]},
    )

    ids = [model.id for model in routing.listing(a_book)]

    assert ids[0] == "best"
    assert "mistral/codestral-latest" in ids
    assert [name for name in ids if name.startswith("anthropic/")] == ["anthropic/claude-haiku-4-5"]
    assert not [name for name in ids if name.startswith("openai/")]
