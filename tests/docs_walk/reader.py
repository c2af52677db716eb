"""A person who follows a page in a shell: a clone, a home, a terminal for the daemon and one more."""

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import aiohttp

from tests.docs_walk.page import ROOT, missing
from tests.running import PATIENCE, Running, free_port

ADMIN_KEY = "admin-CANARY-key-of-the-walk"
PORT = "8317"
STARTS = ("make run", "proxypal serve")
BREATH = 0.2
"""Seconds between the requests that a command waits for; how many it needs nobody knows."""
WATCHES = "proxypal watch"
ONLY_LOOKED_AT = {"make test": "make -n test"}
KEY = "key-CANARY-{}-0123456789"
"""What is typed where a command asks for an account's key; counted from 1."""

_PLACEHOLDER = re.compile(r"^[^#'\"\n]*\bproxypal [a-z -]+ [A-Z]+\b")
"""As in ``auth login PROVIDER``: such a command shows which there is, and cannot be typed so."""

_COMMENT = re.compile(r"\s+# .*$")

_PROXYPAL = '#!/bin/sh\nPYTHONPATH="{root}" exec "{python}" -m proxypal_core "$@"\n'
_AGENT = """#!{python}
# Claude Code, as far as the walk needs it: asks the address in its settings, and prints the text.
import json, os, sys, urllib.request
if sys.argv[1:] == ["--version"]:
    sys.exit(print("2.1.197 (Claude Code)"))
settings = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))["env"]
body = {{"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [{{"role": "user", "content": sys.argv[-1]}}]}}
request = urllib.request.Request(
    settings["ANTHROPIC_BASE_URL"] + "/v1/messages",
    json.dumps(body).encode(),
    {{"authorization": "Bearer " + settings["ANTHROPIC_AUTH_TOKEN"], "content-type": "application/json"}},
)
print(json.load(urllib.request.urlopen(request))["content"][0]["text"])
"""


class Terminal(Running):
    """The daemon's, and everything that it started."""

    async def until(self, condition):
        """Wait until *condition* holds; it is tried whenever something is printed."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._printed.clear()
                await self._printed.wait()

    async def interrupted(self):
        """Its exit code after Ctrl-C, which everything in a terminal gets."""
        os.killpg(self.process.pid, signal.SIGINT)
        return await self.ended()

    async def closed(self):
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.ended()


class Reader:
    """Types commands; the daemon among them runs in a terminal of its own until the next is started.

    Two things differ from what a person has: the port is a free one, and ``anthropic`` is a server
    of the tests. Both stand at the end of the settings files.
    """

    def __init__(self, root, vendor, stack):
        self.clone = root / "clone"
        self.home = root / "home"
        self._own = self.home / ".config/proxypal/config.yaml"
        self.programs = root / "programs"
        self.port = free_port()
        self.daemon = None
        self._vendor = vendor
        self._stack = stack
        self._keys = 0
        self._variables = root / "variables"
        self._prepare()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _prepare(self):
        for folder in (self._own.parent, self.programs, self.clone / ".venv/bin"):
            folder.mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "config.yaml"):
            shutil.copy(ROOT / name, self.clone)
        self._program(
            self.clone / ".venv/bin/proxypal", _PROXYPAL.format(root=ROOT, python=sys.executable)
        )
        self._program(self.programs / "claude", _AGENT.format(python=sys.executable))
        # Installed already: make finds nothing to do but to start the daemon.
        for name in ("bin/python", "run.stamp", "dev.stamp"):
            (self.clone / ".venv" / name).touch()
        # On a person's terminal there is no meter; here, where there is none, it would stand in an answer.
        (self.home / ".curlrc").write_text("no-progress-meter\n")
        self._variables.write_text("")
        self._own.write_text("")
        for settings in (self._own, self.clone / "config.yaml"):
            self._here(settings)

    @staticmethod
    def _program(path, text):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def _here(self, settings):
        """Adds to the file *settings* what differs here."""
        text = settings.read_text()
        if "\nlisten:" not in text:
            settings.write_text(
                f"{text}\nlisten: {{port: {self.port}}}\nproviders:\n"
                f"  - {{name: anthropic, dialect: anthropic, base_url: '{self._vendor.origin}'}}\n"
            )

    async def follows(self, steps):
        """Types every command; gives what the last one printed."""
        printed = ""
        for step in steps:
            printed = await self.types(step.command)
            lacking = missing(step.shown, printed)
            assert lacking is None, f"{step.command}\nprints no line {lacking!r}, but:\n{printed}"
        return printed

    def writes(self, settings):
        """The person's settings file, from now on."""
        self._own.write_text(settings)
        self._here(self._own)

    async def asks(self, model, text):
        """The answer to a chat completion that shows no key."""
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/v1/chat/completions", json=body) as answer,
        ):
            await answer.read()
            return answer

    async def types(self, command):
        """What *command* prints, in the words of the page; it must succeed."""
        if command.startswith(STARTS):
            return await self._starts(command)
        command = ONLY_LOOKED_AT.get(_COMMENT.sub("", command), command)
        if command.startswith(WATCHES) and "--count" not in command:
            command = f"{WATCHES} --count 1"
        if _PLACEHOLDER.search(command):
            command = _COMMENT.sub("", command) + " --help"
        reloads = self._reloads()
        typed = ""
        if "auth add-key" in command:
            self._keys += 1
            typed = KEY.format(self._keys)
        asking = self._asking if command.startswith(WATCHES) else nullcontext
        async with asking():
            status, printed = await self._shell(self.there(command), typed)
        assert status == 0, f"{command}\nended with {status}:\n{printed}"
        self._here(self._own)
        if typed and self.daemon is not None:
            await self.daemon.until(lambda: self._reloads() > reloads)
        return printed

    async def _starts(self, command):
        if self.daemon is not None:
            await self.daemon.interrupted()
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f'. "{self._variables}"\nexec {command}',
            cwd=self.clone,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.daemon = Terminal(process)
        self._stack.push_async_callback(self.daemon.closed)
        await self.daemon.says("listens on")
        return self._plain(self.daemon.out + self.daemon.err)

    @asynccontextmanager
    async def _asking(self):
        """A request now and then, for a command that waits for some."""

        async def ask():
            while True:
                await self.asks("demo", "Hello!")
                await asyncio.sleep(BREATH)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(ask())
            yield
            task.cancel()

    def _reloads(self):
        return self.daemon.err.count("settings reloaded") if self.daemon else 0

    async def _shell(self, command, typed):
        """The exit code and everything printed; the shell's variables stay for the next command."""
        line = f'. "{self._variables}"\n{command}\nstatus=$?\nexport -p > "{self._variables}"\nexit $status'
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            line,
            cwd=self.clone,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                printed, _ = await shell.communicate(typed.encode())
        except BaseException:
            os.killpg(shell.pid, signal.SIGKILL)
            raise
        return shell.returncode, self._plain(printed.decode())

    def _environment(self):
        kept = {
            name: os.environ[name]
            for name in ("LANG", "LC_ALL", "SSL_CERT_FILE")
            if name in os.environ
        }
        return kept | {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
        }

    def there(self, text):
        """*text* of a page with the port of this daemon."""
        return text.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{self.port}")

    def _plain(self, text):
        """*text* as a person sees it on a machine of theirs."""
        text = text.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{PORT}")
        return re.sub(r"\r\n", "\n", text).replace(str(self.home), "~")

    async def api(self, path):
        """What the management API answers."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(self.url + path) as answer,
        ):
            return await answer.json()


@asynccontextmanager
async def reader(root, vendor):
    async with AsyncExitStack() as stack:
        yield Reader(root, vendor, stack)
