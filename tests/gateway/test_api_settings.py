"""The settings file through the management API."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.gateway.owning import owned

CONFIG = """\
# What I always forget.
client_keys:
  - {name: laptop, key: sk-CANARY-laptop}  # mine
accounts:
  - id: "openai:work"
    api_key: 'sk-CANARY-work'
    headers: {x-extra: "7"}
routing: {strategy: fill_first}
"""


async def shown(owner):
    status, answer = await owner.call("GET", "/api/settings")
    assert status == 200
    return answer["yaml"]


async def test_the_file_is_shown_but_for_its_secrets(tmp_path):
    async with owned(tmp_path, CONFIG) as owner:
        status, answer = await owner.call("GET", "/api/settings")

    text = answer["yaml"]
    assert status == 200
    assert answer["path"] == str(tmp_path / "config.yaml")
    assert "# What I always forget." in text
    assert "strategy: fill_first" in text
    assert "CANARY" not in text
    assert text.count("<secret:") == 3


async def test_what_was_shown_can_be_written_back(tmp_path):
    async with owned(tmp_path, CONFIG) as owner:
        text = await shown(owner)
        status, answer = await owner.call("PUT", "/api/settings", {"yaml": text})

    assert (status, answer["diff"]) == (200, "")
    assert (tmp_path / "config.yaml").read_text() == CONFIG


async def test_a_change_keeps_comments_and_secrets_and_is_in_force(tmp_path):
    async with owned(tmp_path, CONFIG) as owner:
        text = (await shown(owner)).replace("fill_first", "round_robin").replace("laptop", "desk")
        checked, told = await owner.call("POST", "/api/settings/check", {"yaml": text})
        untouched = (tmp_path / "config.yaml").read_text()
        status, answer = await owner.call("PUT", "/api/settings", {"yaml": text})
        _, keys = await owner.call("GET", "/api/keys")
        served, _ = await owner.call("GET", "/v1/models", headers={"x-api-key": "sk-CANARY-laptop"})

    assert (checked, told["ok"], untouched) == (200, True, CONFIG)
    assert status == 200
    assert told["diff"] == answer["diff"]
    assert "-routing: {strategy: fill_first}" in answer["diff"]
    assert "CANARY" not in answer["diff"]
    assert (tmp_path / "config.yaml").read_text() == CONFIG.replace(
        "fill_first", "round_robin"
    ).replace("name: laptop", "name: desk")
    assert (tmp_path / "config.yaml.bak").read_text() == CONFIG
    assert [row["name"] for row in keys["keys"]] == ["desk"]
    assert served == 200


@pytest.mark.parametrize(
    "text",
    ["routing: {strategy: hope}\n", "nobody: 1\n", "a: [\n", "- x\n", "client_keys: <secret:00>\n"],
)
async def test_what_is_not_valid_is_not_written(tmp_path, text):
    async with owned(tmp_path, CONFIG) as owner:
        checked, told = await owner.call("POST", "/api/settings/check", {"yaml": text})
        status, answer = await owner.call("PUT", "/api/settings", {"yaml": text})

    assert (checked, told["ok"], status) == (200, False, 400)
    assert told["problems"]
    assert told["problems"][0] in answer["error"]["message"]
    assert (tmp_path / "config.yaml").read_text() == CONFIG
    assert not (tmp_path / "config.yaml.bak").exists()


async def test_a_secret_that_is_typed_is_not_repeated(tmp_path):
    async with owned(tmp_path, CONFIG) as owner:
        text = (await shown(owner)) + 'admin_key: "sk-CANARY-new"\n'
        _, told = await owner.call("POST", "/api/settings/check", {"yaml": text})

    assert told["ok"]
    assert "+admin_key" in told["diff"]
    assert "CANARY" not in told["diff"]


@pytest.mark.parametrize("spelling", ['"\\x73k-CANARY-key"', '"sk-CANARY-\\\n    key"'])
async def test_a_secret_in_escapes_hides_the_whole_file(tmp_path, spelling):
    config = f"client_keys: [{{name: a, key: {spelling}}}]\n"
    async with owned(tmp_path, config) as owner:
        status, _, text = await owner.raw("GET", "/api/settings")

    assert status == 409
    assert "CANARY" not in text


async def test_a_broken_file_is_not_shown(tmp_path):
    async with owned(tmp_path, CONFIG) as owner:
        (tmp_path / "config.yaml").write_text(CONFIG + "nobody: sk-CANARY-there\n")
        status, _, text = await owner.raw("GET", "/api/settings")

    assert status == 409
    assert "nobody" in text
    assert "CANARY" not in text


async def test_without_a_file_one_is_made(tmp_path):
    async with owned(tmp_path) as owner:
        (tmp_path / "config.yaml").unlink()
        text = await shown(owner)
        status, _ = await owner.call("PUT", "/api/settings", {"yaml": "strict: true\n"})

    assert (text, status) == ("", 200)
    assert (tmp_path / "config.yaml").read_text() == "strict: true\n"


secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=24).filter(
    lambda text: text[0].isalpha()
)


@given(key=secrets, other=secrets)
@example(key="name", other="key")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_secrets_are_they_come_back_and_are_not_shown(tmp_path, key, other):
    config = f'client_keys: [{{name: Q1, key: "{key}"}}, {{name: Q2, key: "{other}-2"}}]\n'
    async with owned(tmp_path, config) as owner:
        status, answer = await owner.call("GET", "/api/settings")
        if status == 200:
            written, told = await owner.call("PUT", "/api/settings", {"yaml": answer["yaml"]})

    assert status in (200, 409)
    if status == 200:
        assert f'"{key}"' not in answer["yaml"]
        assert f'"{other}-2"' not in answer["yaml"]
        assert (written, told["diff"]) == (200, "")
        assert (tmp_path / "config.yaml").read_text() == config


@pytest.mark.parametrize(
    "text",
    [
        "backends: {claude-cli: {command: /bin/sh}}\n",
        "backends: {claude-cli: {env: {LD_PRELOAD: /tmp/x.so}}}\n",
        "backends: {claude-cli: {}, mine: {command: /bin/sh}}\n",
        "",
    ],
)
async def test_no_command_of_this_machine_is_changed_through_it(tmp_path, text):
    config = "backends: {claude-cli: {}}\n"
    async with owned(tmp_path, config) as owner:
        _, told = await owner.call("POST", "/api/settings/check", {"yaml": text})
        status, answer = await owner.call("PUT", "/api/settings", {"yaml": text})
        other, _ = await owner.call("PUT", "/api/settings", {"yaml": config + "strict: true\n"})

    assert not told["ok"]
    assert status == 400
    assert "edit the settings file itself" in answer["error"]["message"]
    assert other == 200
