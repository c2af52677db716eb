"""``proxypal config`` tells people and scripts what the settings are and what is wrong."""

import pytest
import yaml
from click.testing import CliRunner

from proxypal_core.cli.main import main
from proxypal_core.providers.catalog import builtin_rows
from proxypal_core.wire import jsonio


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs ``config`` in an environment without keys; the file is ``config.yaml`` there."""
    for row in builtin_rows():
        for name in row.env:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROXYPAL_CONFIG", str(tmp_path / "config.yaml"))

    def invoke(text, *arguments):
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
        return CliRunner().invoke(main, ["config", *arguments])

    return invoke


def test_a_good_file_is_fine(run):
    result = run("listen: {port: 9}", "check")

    assert result.exit_code == 0
    assert result.output.strip().endswith("config.yaml: fine")


def test_each_problem_has_its_line_path_and_hint(run):
    result = run("listen:\n  prot: 9\ntimeouts: {idle: soon}\n", "check")

    assert result.exit_code == 78
    first, second = result.output.splitlines()
    assert first.endswith("config.yaml:2: listen.prot: unknown key (did you mean port?)")
    assert ":3: timeouts.idle: must be a duration" in second


def test_problems_as_json(run):
    result = run("listen: {prot: 9}", "check", "--json")

    answer = jsonio.loads(result.output)
    assert result.exit_code == 78
    assert answer["ok"] is False
    assert answer["problems"] == [
        {"path": "listen.prot", "problem": "unknown key", "hint": "did you mean port?", "line": 1}
    ]


def test_what_is_left_out_is_a_note_and_no_error(run):
    result = run("accounts: [{id: 'openai:a', api_key: '${NOT_SET_ANYWHERE}'}]", "check")

    assert result.exit_code == 0
    assert "note: accounts[0] (openai:a) is left out" in result.output


def test_a_named_file_that_is_missing_is_an_error(run):
    result = run(None, "check")

    assert result.exit_code == 78
    assert "there is no file" in result.output


def test_the_effective_settings_have_defaults_and_no_secrets(run):
    result = run("accounts: [{id: 'openai:a', api_key: sk-live}]", "show", "--json")

    answer = jsonio.loads(result.output)
    assert result.exit_code == 0
    assert answer["listen"]["port"] == 8317
    assert answer["accounts"][0]["api_key"] == "***"
    assert "sk-live" not in result.output


def test_what_is_shown_can_be_read_again(run):
    shown = run("routing: {strategy: weighted}", "show").output

    assert yaml.safe_load(shown)["routing"]["strategy"] == "weighted"
    assert run(shown, "check").exit_code == 0


def test_settings_that_are_wrong_are_not_shown(run):
    result = run("nonsense: 1", "show")

    assert result.exit_code == 78
    assert "nonsense: unknown key" in result.output


def test_the_path_is_the_file_that_would_be_read(run, tmp_path):
    assert run(None, "path").output.strip() == str(tmp_path / "config.yaml")
    assert run(None, "path", "--config", "other.yaml").output.strip() == "other.yaml"


def test_the_schema_is_json(run):
    assert jsonio.loads(run(None, "schema").output)["type"] == "object"
