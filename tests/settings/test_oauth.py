"""An OAuth client of one's own, as the settings name it."""

import pytest

from proxypal_core.providers.provider import OAuth
from proxypal_core.settings.describe import shown
from proxypal_core.settings.parse import SettingsError, parse
from proxypal_core.wire import jsonio

GOOGLE = {
    "client_id": "1234.apps.googleusercontent.com",
    "client_secret": "${GOOGLE_SECRET}",
    "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
    "token_url": "https://oauth2.googleapis.com/token",
    "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "extra": {"access_type": "offline"},
}


def text(**changed):
    row = {name: value for name, value in {**GOOGLE, **changed}.items() if value is not None}
    return jsonio.dumps_text({"providers": [{"name": "gemini", "oauth": row}]})


def test_a_client_of_ones_own_is_added_to_a_built_in_provider():
    settings = parse(text(), {"GOOGLE_SECRET": "hush"})

    found = settings.catalog["gemini"].oauth
    assert isinstance(found, OAuth)
    assert found.client_secret == "hush"
    assert found.scopes == tuple(GOOGLE["scopes"])
    assert settings.catalog["gemini"].endpoints
    assert "hush" not in jsonio.dumps_text(shown(settings))
    assert "hush" not in repr(settings)


def test_a_row_without_one_leaves_the_built_in_one():
    settings = parse("providers: [{name: openrouter, models: [a/b]}]", {})

    assert settings.catalog["openrouter"].oauth.gives == "key"


@pytest.mark.parametrize(
    ("changed", "path", "problem"),
    [
        ({"client_id": None}, "client_id", "required"),
        ({"token_url": None}, "token_url", "required"),
        ({"authorize_url": None}, "authorize_url", "or device_url"),
        ({"token_url": "http://id.example/token"}, "token_url", "https://"),
        ({"authorize_url": "ftp://id.example"}, "authorize_url", "not an address"),
        ({"device_url": "http://10.0.0.1/device"}, "device_url", "https://"),
        ({"redirect_port": 70000}, "redirect_port", "at most"),
        ({"scope": "a"}, "scope", "unknown key"),
    ],
)
def test_what_is_wrong_with_one_is_told_by_its_path(changed, path, problem):
    with pytest.raises(SettingsError) as error:
        parse(text(**changed), {"GOOGLE_SECRET": "hush"})

    assert [p.path for p in error.value.problems] == [f"providers[0].oauth.{path}"]
    assert problem in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_within_this_machine_no_tls_is_needed(host):
    url = f"http://{host}:8080/token"

    assert (
        parse(text(token_url=url), {"GOOGLE_SECRET": "s"}).catalog["gemini"].oauth.token_url == url
    )
