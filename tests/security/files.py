"""What lies on the disk: S5 (a vault that was changed) and S8 (modes, and planted links)."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import product
from pathlib import Path

import aiohttp

from proxypal_core.store.vault_format import Snapshot, VaultError, decode, encode
from proxypal_core.wire import jsonio
from tests import fake_cli
from tests.figures import Figure
from tests.gateway.asking import DIALECTS, ask
from tests.running import daemon
from tests.store.test_vault import HERE, KEY, STORE, profile

SIZE = 4096
"""Bytes, at least, of the vault that is changed."""
BACKEND = {"output": "jsonl", "jsonl_dialect": "claude-stream-json", "image_arg": "--image"}
# A daemon under the most careless umask: its modes are its own doing.
CARELESS = """
import os
os.umask(0)
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""
ADMIN_KEY = "admin-CANARY-of-these-files"
PLANTED = (
    "data/auth-profiles.vault",
    "data/auth-profiles.vault.1",
    "data/auth-profiles.vault.lock",
    "data/daemon.lock",
    "data/state.db",
    "data/bodies.db",
    "state/daemon.log",
    "state/vault.key",
    "config.yaml.bak",
)
VICTIM = b"what belongs to somebody else\n"


# ── S5 ───────────────────────────────────────────────────────────────────────────────────────


def a_vault(size: int = SIZE) -> bytes:
    """The bytes of a vault that is *size* long, or a little longer."""
    profiles = {}
    while len(data := encode(Snapshot(profiles, 7, STORE), KEY)) < size:
        profiles[f"openai:{len(profiles)}"] = profile(f"sk-CANARY-{len(profiles)}")
    return data


async def measure_damage(size: int = SIZE, opened: Callable = decode) -> list[Figure]:
    """Every bit of a vault turned, and every beginning of it: how many *opened* takes."""
    data = a_vault(size)

    def taken(changed: bytes) -> bool:
        try:
            opened(changed, KEY, HERE)
        except VaultError:
            return False
        return True

    assert taken(data)
    bits = len(data) * 8
    turned = sum(taken(_with_bit_turned(data, at)) for at in range(bits))
    cut = sum(taken(data[:length]) for length in range(len(data)))
    return [
        Figure(
            "S5", "vaults with one bit turned that open", f"{turned} of {bits:,}", "0", not turned
        ),
        Figure("S5", "vaults cut short that open", f"{cut} of {len(data):,}", "0", not cut),
    ]


def _with_bit_turned(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


# ── S8 ───────────────────────────────────────────────────────────────────────────────────────


def open_to_others(folder: Path) -> list[str]:
    """What below *folder* others than the owner may read, write or enter."""
    return [
        f"{path.relative_to(folder)} is {path.lstat().st_mode & 0o777:o}"
        for path in folder.rglob("*")
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]


async def measure_modes(program: str = CARELESS) -> list[Figure]:
    """What a daemon with everything on leaves for others to read, under a umask of 0."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with _used(folder, program):
            found = _kept(folder)
        found += _kept(folder)
        count = len([path for kind in ("data", "state") for path in (folder / kind).rglob("*")])
    return [
        Figure(
            "S8",
            "files and folders of the daemon that others may use",
            f"{len(found)} of {count}" + "".join(f"; {one}" for one in found[:3]),
            "0",
            held=bool(count) and not found,
        )
    ]


def _kept(folder):
    backup = folder / "config.yaml.bak"
    found = [one for kind in ("data", "state", "tmp") for one in open_to_others(folder / kind)]
    return found + [
        f"{backup.name}" for _ in "x" if backup.exists() and backup.stat().st_mode & 0o77
    ]


async def measure_links(
    planted: Sequence[tuple[str, bool]] = tuple(product(PLANTED, (True, False))),
    program: str = CARELESS,
) -> list[Figure]:
    """A link in place of a file, to a file or to nothing: how often a daemon wrote behind it."""
    harmed = [
        f"{at} to {'a file' if there else 'nothing'}"
        for at, there in planted
        if await _harmed(at, program, there=there)
    ]
    return [
        Figure(
            "S8",
            "planted links that were written through",
            f"{len(harmed)} of {len(planted)}" + "".join(f"; {one}" for one in harmed),
            "0",
            held=not harmed,
        )
    ]


async def _harmed(at: str, program: str, *, there: bool) -> bool:
    """Whether the victim, which is *there* or not, is another after a link at *at* led to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        victim = folder / "victim"
        if there:
            victim.write_bytes(VICTIM)
            victim.chmod(0o600)
        link = folder / at
        link.parent.mkdir(mode=0o700, exist_ok=True)
        link.symlink_to(victim)
        with suppress(AssertionError):  # it does not start: that is an answer too
            async with _used(folder, program):
                pass
        if there:
            return victim.read_bytes() != VICTIM or victim.stat().st_mode & 0o777 != 0o600
        return victim.exists()


@asynccontextmanager
async def _used(folder, program):
    """A daemon in *folder* that has written all that it ever writes."""
    config = folder / "config.yaml"
    text = jsonio.dumps_text(_settings(folder))
    config.write_text(text)
    config.chmod(0o600)
    for name in ("tmp", "state"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    places = {"HOME": str(folder), "TMPDIR": str(folder / "tmp")}
    places |= {f"PROXYPAL_{kind.upper()}_DIR": str(folder / kind) for kind in ("data", "state")}
    async with (
        daemon("--config", config, program=("-c", program), **places) as started,
        aiohttp.ClientSession(headers={"authorization": f"Bearer {ADMIN_KEY}"}) as session,
    ):
        for dialect in DIALECTS:
            await ask(started, dialect, "demo/echo", headers={"x-api-key": ADMIN_KEY})
        await ask(started, "openai-chat", "fake/m", headers={"x-api-key": ADMIN_KEY})
        for path, body in (
            ("/api/accounts", {"provider": "openai", "name": "a", "key": "sk-CANARY-added"}),
            ("/api/keys", {"name": "one"}),
            ("/api/keys", {"name": "two"}),
        ):
            async with session.post(started.url + path, json=body) as answer:
                await answer.read()
        async with session.get(f"{started.url}/api/settings") as answer:
            shown = await answer.json()
        changed = {"yaml": shown["yaml"].replace("debug", "info")}
        async with session.put(f"{started.url}/api/settings", json=changed) as answer:
            await answer.read()
        yield started
        started.process.terminate()
        await started.ended()


def _settings(folder):
    return {
        "listen": {"port": 0},
        "admin_key": ADMIN_KEY,
        "backends": {"fake": fake_cli.row("claude", folder / "dump", **BACKEND)},
        "usage": {"capture_bodies": "all"},
        "vault": {"key_source": "file"},
        "logging": {
            "level": "debug",
            "file": str(folder / "state" / "daemon.log"),
            "max_bytes": 2000,
        },
    }
