"""Settings: what a file and an environment come to, and everything that is wrong with them."""

from operator import attrgetter
from pathlib import Path
from typing import get_origin

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.providers import yamlio
from proxypal_core.settings import parse as parsing
from proxypal_core.settings.checks import exposed
from proxypal_core.settings.parse import NOT_YET, SettingsError, parse, without_effect
from proxypal_core.settings.schema import Document, Duration
from tests.strategies import json_values

ROOT = Path(__file__).parents[2]
CONTRACT = """
listen: {host: 127.0.0.1, port: 8317, allowed_hosts: [], tls: {cert: "", key: ""}}
client_keys:
  - {name: laptop, key: "k-51c0ffee", models: ["claude-*"], requests_per_minute: 60, tokens_per_minute: 0, budget_usd: 0, expires: ""}
providers:
  - {name: openai, dialect: openai-chat, base_url: https://api.openai.com/v1}
  - {name: my-vllm, dialect: openai-chat, base_url: http://127.0.0.1:8000/v1, auth: none}
accounts:
  - {id: "openai:work", api_key: "${OPENAI_API_KEY}", priority: 0, weight: 1, max_concurrency: 0, proxy: "", models: [], excluded_models: [], headers: {}}
models:
  - {name: best, route: [anthropic/claude-opus-4-5, anthropic/claude-sonnet-4-5, openai/gpt-5, claude-cli/opus]}
routing: {strategy: round_robin, session_affinity: true, affinity_ttl: 1h, max_attempts: 4}
cooldowns: {ladder: [1m, 5m, 25m, 1h], billing_backoff_hours: 5, billing_max_hours: 24, failure_window_hours: 24}
timeouts: {connect: 10s, first_byte: 300s, idle: 120s}
streaming: {hold: 10s, heartbeat: 15s}
backends:
  claude-cli: {command: /opt/homebrew/bin/claude}
network: {proxy: "", no_proxy: "127.0.0.1,localhost"}
usage: {retain_days: 30, capture_bodies: none}
state: {backend: local}
vault: {key_source: auto}
logging: {level: info, format: text, file: ""}
"""


def problems(text, environment=None, **address):
    with pytest.raises(SettingsError) as caught:
        parse(text, environment or {}, **address)
    return {problem.path: problem for problem in caught.value.problems}


def ids(settings):
    return [account.id for account in settings.accounts]


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(
    st.dictionaries(st.sampled_from(sorted(Document.__struct_fields__)), json_values, max_size=4)
)
def test_any_document_is_settings_or_a_list_of_problems_one_a_path(value):
    problems = ()
    try:
        parse(yaml.safe_dump(value), {})
    except SettingsError as error:
        problems = error.problems

    paths = [problem.path for problem in problems]
    assert len(paths) == len(set(paths))
    assert all(problem.problem for problem in problems)


@given(
    st.sampled_from(["api_key", "proxy"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)
def test_a_variable_is_a_value_and_never_yaml(field, value):
    text = 'accounts: [{id: "openai:a", api_key: "${A}"}]\nlogging: {file: "${A}"}'

    settings = parse(text, {"A": value})

    assert settings.accounts[0].api_key == value
    assert settings.logging.file == value


@given(st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000))
def test_a_duration_is_read_as_it_is_shown(seconds):
    assert Duration.read(str(Duration(seconds))) == pytest.approx(seconds, abs=1e-6)


# ── what a file comes to ─────────────────────────────────────────────────────────────────────


def test_an_empty_file_is_the_defaults():
    settings = parse("", {})

    assert settings.listen.port == 8317
    assert settings.timeouts.first_byte == 300
    assert settings.cooldowns.ladder == (60, 300, 1500, 3600)
    assert settings.accounts == ()
    assert "anthropic" in settings.catalog


def test_the_documented_file_is_read():
    settings = parse(CONTRACT, {"OPENAI_API_KEY": "sk-9"})

    assert ids(settings) == ["openai:work", "my-vllm:local"]
    assert settings.accounts[0].api_key == "sk-9"
    assert set(settings.catalog["openai"].endpoints) == {"openai-chat", "openai-responses"}
    assert settings.catalog["my-vllm"].auth == "none"
    assert settings.models[0].route[-1] == "claude-cli/opus"


def test_the_documented_file_says_the_defaults():
    text = "\n".join(
        line
        for line in CONTRACT.splitlines()
        if not line.startswith(("client_keys", "providers", "accounts", "models", "backends", " "))
    )

    settings = parse(text, {})

    for name in Document.__struct_fields__:
        assert getattr(settings, name) == getattr(Document(), name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("7", 7),
        ("0.5", 0.5),
        ("1.5s", 1.5),
        ("0s", 0),
    ],
)
def test_durations(text, seconds):
    assert parse(f"timeouts: {{idle: {text}}}", {}).timeouts.idle == seconds


@pytest.mark.parametrize("text", ["5 minutes", "m", "-5s", "5x", "true", "''", "1m1h"])
def test_what_is_no_duration(text):
    assert "duration" in problems(f"timeouts: {{idle: {text}}}")["timeouts.idle"].problem


def test_a_key_with_nothing_after_it_is_as_good_as_absent():
    assert parse("accounts:\nlisten:\n  port:\n", {}) == parse("", {})


# ── the environment ──────────────────────────────────────────────────────────────────────────


def test_a_key_in_the_environment_is_an_account():
    settings = parse("", {"ANTHROPIC_API_KEY": "sk-a", "GOOGLE_API_KEY": "g", "OPENAI_API_KEY": ""})

    assert [(row.id, str(row.api_key)) for row in settings.accounts] == [
        ("anthropic:env", "sk-a"),
        ("gemini:env", "g"),
    ]


def test_a_key_that_the_file_has_is_not_a_second_account():
    text = (
        "accounts: [{id: 'openai:work', api_key: '${OPENAI_API_KEY}'}, {id: 'kimi:a', api_key: m}]"
    )

    settings = parse(text, {"OPENAI_API_KEY": "sk-9", "MOONSHOT_API_KEY": "m"})

    assert ids(settings) == ["openai:work", "kimi:a"]
    assert settings.provider_of("kimi:a") == "moonshot"


def test_another_key_of_the_same_provider_is_another_account():
    settings = parse("accounts: [{id: 'openai:work', api_key: sk-1}]", {"OPENAI_API_KEY": "sk-2"})

    assert ids(settings) == ["openai:work", "openai:env"]


@pytest.mark.parametrize("environment", [{}, {"NOBODY": ""}])
def test_an_account_whose_variable_is_not_set_is_left_out_with_a_notice(environment):
    text = "accounts: [{id: 'openai:a', api_key: '${NOBODY}'}, {id: 'openai:b', api_key: k}]"

    settings = parse(text, environment)

    assert ids(settings) == ["openai:b"]
    assert settings.notices == ("accounts[0] (openai:a) is left out: NOBODY is not set",)


def test_a_variable_that_is_not_set_elsewhere_is_an_error():
    found = problems("client_keys: [{name: a, key: '${NOBODY}'}]\nlogging: {file: '${broken'}")

    assert "NOBODY is not set" in found["client_keys[0].key"].problem
    assert "$${" in found["logging.file"].hint


def test_a_dollar_can_be_meant():
    settings = parse("logging: {file: 'a$${B}$C'}", {"B": "no", "C": "no"})

    assert settings.logging.file == "a${B}$C"


# ── providers ────────────────────────────────────────────────────────────────────────────────


def test_an_address_replaces_all_built_in_ones():
    settings = parse(
        "providers: [{name: openai, dialect: openai-chat, base_url: 'https://gw.example/v1'}]", {}
    )

    assert settings.catalog["openai"].endpoints == {"openai-chat": "https://gw.example/v1"}
    assert settings.catalog["openai"].env == ("OPENAI_API_KEY",)


def test_a_row_may_call_a_provider_by_another_name():
    settings = parse("providers: [{name: kimi, models: [kimi-k9]}]", {})

    assert settings.catalog["moonshot"].models == ("kimi-k9",)
    assert "kimi" not in settings.catalog


def test_a_provider_may_speak_several_dialects():
    text = "providers: [{name: mine, endpoints: {anthropic: 'https://m.example', gemini: 'https://m.example/v1'}, env: [MY_KEY]}]"

    settings = parse(text, {"MY_KEY": "k"})

    assert set(settings.catalog["mine"].endpoints) == {"anthropic", "gemini"}
    assert ids(settings) == ["mine:env"]


def test_a_local_server_needs_a_row_and_no_key():
    assert ids(parse("", {})) == []
    assert ids(parse("providers: [{name: ollama}]", {})) == ["ollama:local"]
    assert ids(parse("accounts: [{id: 'ollama:box'}]", {})) == ["ollama:box"]


def test_azure_says_which_variable_its_address_needs():
    text = "accounts: [{id: 'azure:a', api_key: k}]"

    assert problems(text)["accounts[0].id"].hint == "set AZURE_OPENAI_ENDPOINT"
    assert ids(parse(text, {"AZURE_OPENAI_ENDPOINT": "https://r.example"})) == ["azure:a"]


# ── what is wrong ────────────────────────────────────────────────────────────────────────────


def test_everything_wrong_is_said_at_once_with_its_line():
    text = "listen:\n  prot: 1\n  port: eighty\naccounts:\n  - id: openai:a\n    priority: high\n  - id: opanai:b\n    api_key: k\nrouting: {strategy: round-robin}\n"

    found = problems(text)

    assert {path: problem.line for path, problem in found.items()} == {
        "listen.prot": 2,
        "listen.port": 3,
        "accounts[0].priority": 6,
        "accounts[0].api_key": 5,
        "accounts[1].id": 7,
        "routing.strategy": 9,
    }
    assert found["listen.prot"].hint == "did you mean port?"
    assert found["accounts[1].id"].hint == "did you mean openai?"
    assert found["routing.strategy"].hint == "did you mean round_robin?"
    assert str(found["listen.port"]) == "listen.port: must be an integer, not a string"


def test_of_two_things_wrong_in_one_place_the_first_is_said():
    with pytest.raises(SettingsError) as caught:
        parse("client_keys: [{name: a, key: sk-1234}, {name: b, key: sk-1234}]", {})

    assert [(one.path, one.problem) for one in caught.value.problems] == [
        ("client_keys[0].key", "is a key from a published example"),
        ("client_keys[1].key", "is the same as an earlier row's"),
    ]


NAMES_TAKEN = """
models: [{name: best, route: [openai/x]}]
backends: {codex-cli: {command: y}}
"""


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("listen: {port: 70000}", "listen.port", "at most 65535"),
        ("listen: []", "listen", "mapping"),
        ("accounts: {id: a}", "accounts", "list"),
        ("accounts: [{}]", "accounts[0].id", "required"),
        ("accounts: [openai]", "accounts[0]", "mapping"),
        ("accounts: [{id: openai, api_key: k}]", "accounts[0].id", "provider:name"),
        ("accounts: [{id: 'openai:a', api_key: 12}]", "accounts[0].api_key", "string"),
        (
            "accounts: [{id: 'openai:a', api_key: k}, {id: 'openai:a', api_key: l}]",
            "accounts[1].id",
            "already",
        ),
        ("accounts: [{id: 'openai:a', api_key: k, weight: 0}]", "accounts[0].weight", "at least 1"),
        (
            "accounts: [{id: 'openai:a', api_key: k, proxy: 'socks4://x:1'}]",
            "accounts[0].proxy",
            "HTTP proxy",
        ),
        ("providers: [{name: x}]", "providers[0]", "address"),
        (
            "providers: [{name: x, base_url: 'https://a.example'}]",
            "providers[0].dialect",
            "required",
        ),
        (
            "providers: [{name: x, dialect: openai, base_url: 'https://a.example'}]",
            "providers[0].dialect",
            "one of openai-chat",
        ),
        (
            "providers: [{name: x, endpoints: {openai: 'https://a.example'}}]",
            "providers[0].endpoints.openai",
            "one of",
        ),
        (
            "providers: [{name: x, dialect: gemini, base_url: 'a.example'}]",
            "providers[0].base_url",
            "address",
        ),
        (
            "providers: [{name: x, dialect: gemini, base_url: 'http://a:b'}]",
            "providers[0].base_url",
            "address",
        ),
        ("providers: [{name: openai}, {name: openai}]", "providers[1].name", "already"),
        ("providers: [{name: openai, aliases: [kimi]}]", "providers[0].aliases", "moonshot"),
        ("cooldowns: {rules: [{status: 400}]}", "cooldowns.rules[0].means", "required"),
        ("cooldowns: {rules: [{means: auth}]}", "cooldowns.rules[0]", "a status or a text"),
        ("cooldowns: {rules: [{status: 4, means: no}]}", "cooldowns.rules[0].means", "one of"),
        ("cooldowns: {rules: [{text: '(', means: auth}]}", "cooldowns.rules[0].text", "expression"),
        (
            f"cooldowns: {{rules: [{{text: {'a' * 500}, means: auth}}]}}",
            "cooldowns.rules[0].text",
            "shorter",
        ),
        (
            "cooldowns: {rules: [{status: 4, means: auth, rest: soon}]}",
            "cooldowns.rules[0].rest",
            "duration",
        ),
        (
            "cooldowns: {rules: [{status: 4, means: auth, provider: opnai}]}",
            "cooldowns.rules[0].provider",
            "did you mean openai",
        ),
        ("models: [{name: a, route: []}]", "models[0].route", "empty"),
        ("models: [{name: a, route: [b], strategy: random}]", "models[0].strategy", "in_order"),
        ("models: [{name: a*b*, route: [b]}]", "models[0].name", "more than one *"),
        ("models: [{name: a, route: [b, c*]}]", "models[0].route[1]", "none that it could"),
        ("routing: {fallbacks: {a**: [b]}}", "routing.fallbacks.a**", "more than one *"),
        ("routing: {fallbacks: {a: [b*]}}", "routing.fallbacks.a[0]", "none that it could"),
        ("routing: {fallbacks: {a-*: gpt-5}}", "routing.fallbacks.a-*", "list"),
        ("routing: {order: {opnai: []}}", "routing.order.opnai", "did you mean openai"),
        ("routing: {order: {openai: [work]}}", "routing.order.openai[0]", "no account of openai"),
        (
            "routing: {order: {openai: ['openai:a', 'gemini:b']}}",
            "routing.order.openai[1]",
            "ids are openai:name",
        ),
        (
            "routing: {order: {openai: ['openai:a', 'openai:a']}}",
            "routing.order.openai[1]",
            "already",
        ),
        (
            "routing: {order: {claude: [], anthropic: []}}",
            "routing.order.anthropic",
            "same provider as claude",
        ),
        *(
            (
                f"accounts: [{{id: 'openai:a', api_key: k, prefix: {prefix}}}]" + NAMES_TAKEN,
                "accounts[0].prefix",
                says,
            )
            for prefix, says in [
                ("a/b", "must be a-z"),
                ("Team", "must be a-z"),
                ("claude", "name of a provider"),
                ("demo", "name of a provider"),
                ("codex-cli", "name of a provider"),
                ("best", "name of a route"),
            ]
        ),
        ("cooldowns: {ladder: [1m, soon]}", "cooldowns.ladder[1]", "duration"),
        ("client_keys: [{name: a, key: sk-1234}]", "client_keys[0].key", "published"),
        ("admin_key: your-api-key-1", "admin_key", "published"),
        ("client_keys: [{name: a, key: k1}, {name: b, key: k1}]", "client_keys[1].key", "same"),
        ("client_keys: [{name: a, key: k1, expires: soon}]", "client_keys[0].expires", "date"),
        (
            "client_keys: [{name: a, key: k1, expires: 2026-13-01}]",
            "client_keys[0].expires",
            "date",
        ),
        ("client_keys: [{name: a, key: k1}]\nadmin_key: k1", "admin_key", "client"),
        ("listen: {tls: {cert: a.pem}}", "listen.tls.key", "required"),
        ("state: {backend: redis}", "state.url", "required"),
        ("state: {backend: redis, url: 'http://x'}", "state.url", "address of a Redis"),
        ("state: {tenant: 'a}b'}", "state.tenant", "brace"),
        ("backends: {x: {comand: y}}", "backends.x.comand", "unknown"),
        ("backends: {openai: {command: y}}", "backends.openai", "provider"),
        ("usage: {plans: [{name: a}]}", "usage.plans[0].provider", "required"),
        (
            "usage: {plans: [{name: a, provider: openai, account: 'openai:a'}]}",
            "usage.plans[0].provider",
            "not both",
        ),
        ("usage: {plans: [{name: a, provider: claude}]}", "usage.plans[0].provider", "anthropic"),
        (
            "usage: {plans: [{name: a, account: a, usd_per_month: -1}]}",
            "usage.plans[0].usd_per_month",
            "0",
        ),
        ("strict: on", "strict", "true or false"),
        ("client_keys: [{name: a, key: ''}]", "client_keys[0].key", "empty"),
        (
            "providers: [{name: a/b, dialect: gemini, base_url: 'https://a.example'}]",
            "providers[0].name",
            "'/'",
        ),
        ("providers: [{name: openai, dialect: gemini}]", "providers[0].base_url", "required"),
        (
            "providers: [{name: x, dialect: gemini, base_url: 'https://a.example', endpoints: {gemini: 'https://a.example'}}]",
            "providers[0].endpoints",
            "instead",
        ),
        ("models: [{name: '', route: [openai/x]}]", "models[0].name", "empty"),
        ("network: {proxy: 'http://[x'}", "network.proxy", "HTTP proxy"),
        ("alerts: {ntfy: ntfy.sh/topic}", "alerts.ntfy", "is not an address"),
        (
            "telemetry: {otlp_endpoint: 'localhost:4318'}",
            "telemetry.otlp_endpoint",
            "not an address",
        ),
        ("backends: {x: {command: [y]}}", "backends.x.command", "program"),
        (
            "accounts: [{id: 'openai:a', api_key: '${x-y}'}]",
            "accounts[0].api_key",
            "variable's name",
        ),
        ("- a", "", "mapping"),
        ("a: [", "", "expected"),
    ],
)
def test_a_mistake_is_named(text, path, says):
    found = problems(text)

    assert list(found) == [path]
    assert says in str(found[path])


def test_a_loop_of_routes_is_shown_at_each_of_them():
    rows = "{name: c, route: [c, b]}, {name: b, route: [x, a]}, {name: a, route: [x, c, a]}"

    found = problems(f"models: [{rows}]")

    assert {path: found[path].problem for path in found} == {
        "models[0].route": "leads back to itself: c → b → a → c",
        "models[1].route": "leads back to itself: b → a → c → b",
        "models[2].route": "leads back to itself: a → c → b → a",
    }


def test_routing_is_read():
    settings = parse(
        """
accounts:
  - {id: "openai:a", api_key: k, prefix: team.1, disabled: true}
models:
  - {name: gpt-*, route: [gpt-*, openai/gpt-*], strategy: spread}
  - {name: claude-opus-4-5, route: [claude-opus-4-5, gpt-5]}
routing:
  order: {claude: ["anthropic:b", "claude:a"], codex-cli: ["codex-cli:local"]}
  fallbacks: {claude-opus-*: [gpt-5]}
backends: {codex-cli: {command: y}}
""",
        {},
    )

    assert settings.routing.order["claude"] == ("anthropic:b", "claude:a")
    assert settings.routing.fallbacks == {"claude-opus-*": ("gpt-5",)}
    assert [row.strategy for row in settings.models] == ["spread", "in_order"]
    assert (settings.accounts[0].prefix, settings.accounts[0].disabled) == ("team.1", True)


def test_an_open_door_is_refused():
    found = problems("listen: {host: 0.0.0.0}")["listen.host"]

    assert "client_keys" in found.hint
    assert (
        parse("listen: {host: 0.0.0.0}\nclient_keys: [{name: a, key: k-77}]", {}).listen.host
        == "0.0.0.0"
    )


def test_an_address_from_the_command_line_is_judged_too():
    assert "listen.host" in problems("", host="192.168.1.2")
    assert parse("listen: {host: 0.0.0.0}", {}, host="::1", port=0).listen.port == 0


@pytest.mark.parametrize(
    ("host", "open_to_others"),
    [
        ("127.0.0.1", False),
        ("127.8.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("", True),
        ("::", True),
        ("10.0.0.1", True),
        ("box.lan", True),
    ],
)
def test_which_addresses_others_can_reach(host, open_to_others):
    assert bool(exposed(host, ())) == open_to_others


def test_backends_are_read_in_either_spelling():
    text = "backends: {x: {command: c, modelArg: --model, clearEnv: [A], env: {myVar: '1'}, reliability: {watchdog: {fresh: {noOutputTimeoutMs: 5}}}}}"

    (backend,) = parse(text, {}).backends.values()

    assert backend == {
        "command": "c",
        "model_arg": "--model",
        "clear_env": ["A"],
        "env": {"myVar": "1"},
        "reliability": {"watchdog": {"fresh": {"no_output_timeout_ms": 5}}},
    }


def test_an_account_and_everything_may_go_past_the_environments_proxy():
    settings = parse(
        "accounts: [{id: 'openai:a', api_key: k, proxy: direct}]\nnetwork: {proxy: environment}", {}
    )

    assert settings.accounts[0].proxy == "direct"
    assert settings.network.proxy == "environment"


def test_a_key_may_have_a_last_day():
    settings = parse("client_keys: [{name: a, key: k1, expires: '2026-12-31'}]", {})

    assert settings.client_keys[0].expires == "2026-12-31"


def test_a_printed_setting_gives_no_secret_away():
    settings = parse(
        "accounts: [{id: 'openai:a', api_key: sk-live, headers: {x-org: hush}}]\nadmin_key: adm-9",
        {},
    )

    assert "sk-live" not in repr(settings)
    assert "hush" not in repr(settings)
    assert "adm-9" not in repr(settings)


# ── what does nothing yet ────────────────────────────────────────────────────────────────────


def test_a_changed_setting_that_does_nothing_is_named(monkeypatch):
    monkeypatch.setattr(parsing, "NOT_YET", ("usage.retain_days", "strict"))

    sentences = without_effect(parse("usage: {retain_days: 7}", {}))

    assert sentences == ["usage.retain_days has no effect in this version"]
    assert without_effect(parse("", {})) == []


@pytest.mark.parametrize("path", NOT_YET)
def test_what_does_nothing_is_a_setting_that_exists(path):
    attrgetter(path)(Document())


# ── the repository's own file ────────────────────────────────────────────────────────────────


def test_the_repository_s_file_is_the_defaults_and_one_route():
    settings = parse((ROOT / "config.yaml").read_text("utf-8"), {})

    for name in Document.__struct_fields__:
        if name != "models":
            assert getattr(settings, name) == getattr(Document(), name)
    assert [(row.name, row.route) for row in settings.models] == [
        ("demo-failover", ("demo/fail-429", "demo/echo"))
    ]
    assert without_effect(settings) == []


def test_the_repository_s_file_shows_every_key_with_its_default():
    text = (ROOT / "config.yaml").read_text("utf-8")
    uncommented = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("##") else line
        for line in text.splitlines()
    )

    shown = yamlio.load(uncommented).value
    settings = parse(uncommented, {"LAPTOP_KEY": "k-1", "OPENAI_API_KEY": "k-2"})

    assert_shows_every_key(Document, shown)
    for name in (
        "listen",
        "routing",
        "timeouts",
        "streaming",
        "network",
        "media",
        "state",
        "vault",
        "logging",
        "strict",
        "admin_key",
    ):
        assert getattr(settings, name) == getattr(Document(), name)
    assert msgspec.structs.replace(settings.cooldowns, rules=()) == Document().cooldowns
    assert msgspec.structs.replace(settings.usage, plans=()) == Document().usage


def test_the_repository_s_file_names_every_built_in_provider():
    text = (ROOT / "config.yaml").read_text("utf-8")

    assert [name for name in parse("", {}).catalog if name not in text] == []


def assert_shows_every_key(kind, value):
    assert sorted(value) == sorted(kind.__struct_fields__)
    for field in msgspec.structs.fields(kind):
        core = field.type.__origin__
        inner = core.__args__[0] if get_origin(core) is tuple else core
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            below = value[field.name]
            assert_shows_every_key(inner, below[0] if isinstance(below, list) else below)
