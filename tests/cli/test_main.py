"""``proxypal``: what it says of itself, and how it ends when the settings are not right."""

import pytest
from click.testing import CliRunner

from proxypal_core import __version__
from proxypal_core.cli.main import main
from tests.running import ran


@pytest.fixture
def serve(tmp_path):
    """Runs ``serve`` with the settings *text*, as far as it comes without serving."""

    def invoke(text, *arguments):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return CliRunner().invoke(main, ["serve", "--config", str(file), *map(str, arguments)])

    return invoke


async def test_it_says_its_version():
    process = await ran("--version")

    assert process.process.returncode == 0
    assert process.out.strip() == f"proxypal, version {__version__}"
    assert process.err == ""


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_it_says_what_it_can_do(flag):
    result = CliRunner().invoke(main, [flag])

    assert result.exit_code == 0
    for command in ("serve", "watch", "config", "auth"):
        assert f"\n  {command}" in result.output


@pytest.mark.parametrize("command", list(main.commands))
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [command, "-h"])

    assert result.exit_code == 0
    assert main.commands[command].help.splitlines()[0].split(":")[0][:30] in result.output


async def test_bad_settings_end_it_with_78_and_each_problem_with_its_path(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("listen: {prot: 1}\ntimeouts: {idle: soon}\naccounts: [{id: nobody:x}]\n")

    process = await ran("serve", "--config", file)

    assert process.process.returncode == 78
    first, *problems = process.err.splitlines()
    assert first == f"The settings are not valid: {file}"
    assert all(line.startswith("  ") for line in problems)
    assert [line.strip().partition(": ")[0] for line in problems][:2] == [
        "listen.prot",
        "timeouts.idle",
    ]
    assert "Traceback" not in process.err


def test_problems_do_not_repeat_a_secret(serve):
    secret = "sk-canary-0123456789"
    result = serve(
        f"admin_key: [{secret}]\n"
        f"client_keys: [{{name: a, key: {{x: {secret}}}}}, {{name: b, key: {secret}, port: 1}}]\n"
        f"accounts: [{{id: 'openai:a', api_key: [{secret}]}}, {{id: 'x', api_key: {secret}}}]\n"
    )

    assert result.exit_code == 78
    assert "canary" not in result.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_beyond_loopback_client_keys_are_needed(serve, host):
    result = serve("", "--host", host)

    assert result.exit_code == 78
    assert "listen.host: " in result.output
    assert "client_keys" in result.output


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number_that_there_is(serve, port):
    result = serve("", "--port", port)

    assert result.exit_code == 2
    assert "--port" in result.output


def test_a_settings_file_that_is_not_there_is_said(tmp_path):
    result = CliRunner().invoke(main, ["serve", "--config", str(tmp_path / "none.yaml")])

    assert result.exit_code == 78
    assert "there is no file" in result.output


def test_a_log_that_cannot_be_written_is_said(serve, tmp_path):
    result = serve(f"logging: {{file: {tmp_path}/nowhere/p.log}}")

    assert result.exit_code == 78
    assert f"logging.file: cannot write {tmp_path}/nowhere/p.log: No such file" in result.output


def test_an_admin_key_that_cannot_be_kept_is_said(serve, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROXYPAL_STATE_DIR", str(tmp_path / "file" / "folder"))

    result = serve("")

    assert result.exit_code == 1
    assert "PROXYPAL_STATE_DIR" in result.output
    assert "Not a directory" in result.output
