"""What is shipped: S7 (static analysis, known advisories) and S11 (the wheel, and its silence)."""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from tests.daemon.test_run import TELLTALE
from tests.figures import Figure
from tests.running import daemon

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxypal_core"
PATIENCE = 300.0

ADVISORIES: Mapping[str, tuple[str, str]] = {
    "aiohttp": ("3.14.3", "CVE-2026-69243: request smuggling through an upgrade"),
    "certifi": ("2024.7.4", "CVE-2024-39689: roots that are no longer trusted"),
    "cryptography": ("44.0.1", "CVE-2024-12797: OpenSSL in its wheels"),
    "idna": ("3.7", "CVE-2024-3651: quadratic time"),
    "orjson": ("3.9.15", "CVE-2024-27454: recursion without a limit"),
    "protobuf": ("6.31.1", "CVE-2025-4565: recursion without a limit"),
    "PyYAML": ("5.4", "CVE-2020-14343: code run by a document"),
    "requests": ("2.32.4", "CVE-2024-47081: .netrc's password to another host"),
    "urllib3": ("2.6.0", "CVE-2025-66418: decompression without a limit"),
}
"""Of what is installed with the program: the first version without a known fault, and the fault."""
KNOWN_BAD = "aiohttp==3.8.0"
"""An audit that has nothing against this one has no data, and proves nothing."""


async def _ran(*words, cwd=ROOT, **environment):
    """The exit code and the output of a program."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


# ── S7 ───────────────────────────────────────────────────────────────────────────────────────


async def measure_analysis(folder: Path = PACKAGE) -> list[Figure]:
    """What bandit says of *folder* that neither the line nor the project answers with a reason.

    The reasons are those that ruff is given: its rule S608 is bandit's B608.
    """
    words = ("-m", "bandit", "--quiet", "--recursive", "--ignore-nosec", "-ll", "--format", "json")
    _, out, err = await _ran(sys.executable, *words, folder)
    told = json.loads(out)
    lines = told["metrics"]["_totals"]["loc"]
    assert lines, err
    open_findings = [finding for finding in told["results"] if not _answered(finding)]
    shown = [f"{f['test_id']} {f['filename']}:{f['line_number']}" for f in open_findings]
    return [
        Figure(
            "S7",
            "bandit: findings of medium severity or higher without a reason",
            f"{len(shown)} of {len(told['results'])} in {lines:,} lines{_some(shown)}",
            "0",
            held=not shown,
        )
    ]


def _some(found, most=3):
    return "".join(f"; {one}" for one in found[:most])


def _answered(finding):
    rule = finding["test_id"].replace("B", "S", 1)
    if rule in _PROJECTS_OWN:
        return True
    lines = Path(finding["filename"]).read_text().splitlines()
    within = "\n".join(lines[number - 1] for number in finding["line_range"])
    return bool(re.search(rf"# noqa: [^—\n]*\b{rule}\b[^—\n]* — \S", within))


_PROJECTS_OWN = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["ignore"]
)


def installed_versions() -> dict[str, str]:
    found = {}
    for name in ADVISORIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


async def measure_floors(installed: Mapping[str, str] | None = None) -> list[Figure]:
    """What is installed, or may be, in a version that a known advisory is about."""
    installed = installed_versions() if installed is None else installed
    old = [
        f"{name} {installed[name]}: {fault}"
        for name, (floor, fault) in ADVISORIES.items()
        if name in installed and Version(installed[name]) < Version(floor)
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = []
    for text in project["dependencies"]:
        wanted = Requirement(text)
        floor, fault = ADVISORIES.get(wanted.name, ("0", ""))
        lowest = min(Version(s.version) for s in wanted.specifier if s.operator == ">=")
        if lowest < Version(floor):
            allowed.append(f"{text}: {fault}")
    assert len(installed) >= 4
    return [
        Figure(
            "S7",
            "dependencies installed or allowed in a version with a known advisory",
            f"{len(old) + len(allowed)} of {len(installed)} watched{_some(old + allowed)}",
            "0",
            held=not old + allowed,
        )
    ]


async def pip_audit(requirements: str) -> list[str] | None:
    """The advisories for *requirements*, one a line; None where pip-audit cannot be run."""
    if find_spec("pip_audit") is None:
        return None
    words = ("-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json", "-r")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        _, out, _ = await _ran(sys.executable, *words, file.name)
    if not out.strip():
        return None
    return [
        f"{package['name']} {advisory['id']}"
        for package in json.loads(out)["dependencies"]
        for advisory in package.get("vulns", ())
    ]


async def measure_audit(audit=pip_audit) -> list[Figure]:
    """What *audit* says of the tested versions; nothing, unless it knows a version that is bad."""

    def figure(measured, held):
        what = "pip-audit: advisories for the tested versions"
        return [Figure("S7", what, measured, f"0, and {KNOWN_BAD} is flagged", held)]

    known = await audit(KNOWN_BAD)
    if known is None:
        return figure("pip-audit cannot be run here", None)
    if not known:
        return figure(f"no advisory data: it has nothing against {KNOWN_BAD}", None)
    found = await audit((ROOT / "constraints.txt").read_text()) or []
    return figure(f"{len(found)}{_some(found)}", not found)


# ── S11 ──────────────────────────────────────────────────────────────────────────────────────


def strangers(wheel: Path) -> list[str]:
    """What is in *wheel* and should not be, or should be and is not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    info = next((n.partition("/")[0] for n in sorted(names) if ".dist-info/" in n), "")
    expected = {f"{info}/{name}" for name in _INFO} | {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = [f"{name} is missing" for name in sorted(expected - names)]
    return sorted(names - expected) + missing


_INFO = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
_SOURCES = ("proxypal_core", "pyproject.toml", "README.md", "LICENSE")


def _copy_sources(folder: Path) -> None:
    folder.mkdir()
    for name in _SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name)


async def _wheel(folder: Path) -> Path | None:
    """A wheel of a copy of the sources in *folder*; None where it cannot be built."""
    _copy_sources(folder)
    words = ("-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", folder / "made", folder)
    code, _, err = await _ran(sys.executable, *words, SOURCE_DATE_EPOCH="1577836800")
    if code:
        print(err, file=sys.stderr)
        return None
    return next((folder / "made").glob("*.whl"))


async def measure_wheel() -> list[Figure]:
    """The wheel: what is in it, whether two are the same, and whether it works where nothing is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, two = await _wheel(folder / "one"), await _wheel(folder / "another-place")
        if one is None or two is None:
            return [Figure("S11", "the wheel", "hatchling cannot be fetched", "built", None)]
        strange = strangers(one)
        same = one.read_bytes() == two.read_bytes()
        said = await _fresh(folder / "venv", one)
    right = f"proxypal, version {_version()}"
    return [
        Figure(
            "S11",
            "files in the wheel that do not belong, such as a .pth, or that are missing",
            f"{len(strange)}{_some(strange)}",
            "0",
            held=not strange,
        ),
        Figure("S11", "two builds", "alike" if same else "different", "byte for byte alike", same),
        Figure("S11", "installed in an empty environment", said, right, said == right),
    ]


def _version():
    return re.search(r'__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text())[1]


async def _fresh(folder: Path, wheel: Path) -> str:
    """What ``proxypal --version`` says once *wheel* alone is installed in an environment."""
    await _ran(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    code, _, err = await _ran(python, "-m", "pip", "-q", "install", wheel, "-c", constraints)
    if code:
        return err.strip().splitlines()[-1]
    _, out, err = await _ran(folder / "bin" / "proxypal", "--version", cwd=folder)
    return (out or err).strip()


async def measure_silence(program: str = TELLTALE) -> list[Figure]:
    """What *program*, a daemon that tells of it, looks up or connects to before it is asked."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {"HOME": name}
        places |= {f"PROXYPAL_{kind.upper()}_DIR": str(folder / kind) for kind in ("data", "state")}
        async with daemon(program=("-c", program), **places) as started:
            reached = [line for line in started.err.splitlines() if line.startswith("NETWORK")]
    return [
        Figure(
            "S11",
            "names looked up and connections made by import and start",
            f"{len(reached)}{_some(reached)}",
            "0",
            held=not reached,
        )
    ]


async def measure_without_network() -> list[Figure]:
    """Whether a daemon starts in a network namespace that has nothing but loopback."""
    what, bound = "started where there is no network", "it listens"
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip")):
        return [Figure("S11", what, "only root on Linux can make such a place", bound, None)]
    with tempfile.TemporaryDirectory() as name:
        shell = f"ip link set lo up && timeout 20 {sys.executable} -m proxypal_core serve --port 0"
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--net", "sh", "-c", shell),
            cwd=ROOT,
            env={**os.environ, "HOME": name, "PROXYPAL_DATA_DIR": name, "PROXYPAL_STATE_DIR": name},
            stderr=asyncio.subprocess.PIPE,
        )
        said = b""
        while b"listens on" not in said and (line := await process.stderr.readline()):
            said += line
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    listens = b"listens on" in said
    measured = bound if listens else said.decode()[-200:]
    return [Figure("S11", what, measured, bound, held=listens)]
