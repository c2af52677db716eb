"""A command imports what it needs: its start is as slow as its imports."""

import pytest

from proxypal_core.cli import auth
from proxypal_core.cli.auth import auth as auth_group
from proxypal_core.cli.main import COMMANDS, main
from tests.running import daemon, ran

SLOW = ("aiohttp", "cryptography", "opentelemetry", "tomlkit", "proxypal_core.gateway")
SLOW_TO_RUN = (*SLOW, "asyncio", "ssl", "sqlite3", "structlog", "proxypal_core.dialects")
UNNEEDED = {
    ("--version",): (*SLOW_TO_RUN, "yaml", "msgspec", "proxypal_core.settings"),
    ("--help",): (*SLOW_TO_RUN, "yaml", "msgspec", "proxypal_core.settings"),
    ("statusline",): (*SLOW_TO_RUN, "click", "http"),
    ("config", "check"): SLOW_TO_RUN,
    ("vault", "status"): SLOW_TO_RUN,
    ("auth", "list"): ("aiohttp", "cryptography", "tomlkit", "proxypal_core.cli.login"),
    ("usage",): ("aiohttp", "cryptography", "tomlkit"),
    ("models", "status"): ("aiohttp", "cryptography", "tomlkit", "proxypal_core.app.serving"),
}
"""What each command has no use for on a machine without a vault and without TLS."""
UNNEEDED_TO_SERVE = (
    "cryptography",
    "opentelemetry",
    "tomlkit",
    "aiohttp_sse_client",
    "proxypal_core.cli.agents",
    "proxypal_core.cli.login",
)


PROGRAM = """
import atexit, sys
atexit.register(lambda: print("imported:", *sys.modules))
from proxypal_core.__main__ import main
main()
"""


def imported(process):
    """The modules that *process*, which ran PROGRAM, had at its end."""
    return process.out.rpartition("imported:")[2].split()


def among(modules, names):
    """Which of *names* are in *modules*, or have a part there."""
    return [name for name in names if any(f"{one}.".startswith(f"{name}.") for one in modules)]


@pytest.mark.parametrize("words", UNNEEDED, ids=" ".join)
async def test_a_command_does_not_import_what_it_has_no_use_for(words):
    process = await ran(*words, program=("-c", PROGRAM))
    modules = imported(process)

    assert process.process.returncode == 0
    assert "proxypal_core.cli" in modules
    assert among(modules, UNNEEDED[words]) == []


async def test_the_daemon_imports_no_other_command_and_no_cryptography_without_a_vault():
    async with daemon(program=("-c", PROGRAM)) as started:
        started.process.terminate()
        await started.ended()
    modules = imported(started)

    assert {"aiohttp", "proxypal_core.app.serving"} <= set(modules)
    assert among(modules, UNNEEDED_TO_SERVE) == []


@pytest.mark.parametrize("width", [30, 62, 1000])
@pytest.mark.parametrize(
    ("group", "name"),
    [(main, name) for name in COMMANDS] + [(auth_group, name) for name in auth.ELSEWHERE],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_a_listing_says_of_a_command_what_the_command_says_of_itself(group, name, width):
    row = group.commands[name]

    assert row.get_short_help_str(width) == row.loaded.get_short_help_str(width)
    assert row.loaded.name == name


async def test_an_import_too_many_is_seen():
    process = await ran("--version", program=("-c", f"import sqlite3\n{PROGRAM}"))

    assert among(imported(process), UNNEEDED["--version",]) == ["sqlite3"]
