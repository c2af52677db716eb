"""Files are where the flag, the variable or the platform says, in this order."""

from pathlib import Path

import pytest

from proxypal_core.daemon import files
from proxypal_core.settings.parse import SettingsError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home where nothing is, whatever the platform."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_the_flag_goes_before_the_variable_and_that_before_the_platform(home):
    environment = {"PROXYPAL_CONFIG": "~/mine.yaml"}

    assert files.config_path("f.yaml", environment) == Path("f.yaml")
    assert files.config_path(None, environment) == Path("~/mine.yaml").expanduser()
    assert files.config_path(None, {}).parts[-2:] == ("proxypal", "config.yaml")


def test_the_folders_can_be_named(home):
    environment = {"PROXYPAL_DATA_DIR": "/d", "PROXYPAL_STATE_DIR": "/s"}

    assert files.data_dir(environment) == Path("/d")
    assert files.state_dir(environment) == Path("/s")
    assert files.data_dir({}) != files.state_dir({})


def test_the_usual_file_need_not_exist(home):
    assert files.load_settings(None, {}).listen.port == 8317
    assert files.load_settings(files.config_path(None, {}), {}).listen.port == 8317


def test_the_usual_file_is_read_when_it_is_there(home):
    file = files.default_config_path()
    file.parent.mkdir(parents=True)
    file.write_text("listen: {port: 9}")

    assert files.load_settings(None, {}).listen.port == 9


def test_the_command_line_s_address_wins(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("listen: {host: 127.0.0.2, port: 9}")

    listen = files.load_settings(file, {}, listen=files.Listen(port=0)).listen

    assert (listen.host, listen.port) == ("127.0.0.2", 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no file"),
        (b"\xff\xfe", "UTF-8"),
        ("folder", "cannot read"),
        (b"x" * (5 << 20), "longer"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, content, says):
    file = tmp_path / "c.yaml"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=says):
        files.load_settings(file, {})


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_bytes(b"\xef\xbb\xbflisten: {port: 9}")

    assert files.load_settings(file, {}).listen.port == 9
