"""``proxypal dashboard``: the way into the dashboard."""

import webbrowser

import click

from proxypal_core.cli import daemon_api
from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.cli.login import has_browser
from proxypal_core.daemon.reach import reachable
from proxypal_core.wire import jsonio


@click.command()
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and open nothing.")
@config_option
def dashboard(no_browser: bool, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Print a link to the dashboard, and open it on a desktop.

    The link works once, within a minute; the browser stays signed in for twelve hours.
    """
    settings = settings_or_exit(config)
    found = daemon_api.call_or_exit(settings, "POST", "/api/session-links")
    at = reachable(settings.listen)
    if found is None:
        fail(f"No daemon answers at {at}. Start it first: proxypal serve")
    link = at + str(found["url"])
    if as_json:
        click.echo(jsonio.dumps_text({"url": link, "expires": found["expires"]}))
        return
    click.echo(link)
    if not no_browser and has_browser():
        webbrowser.open(link)
