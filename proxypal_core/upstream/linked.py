"""Logins that a vendor's own program keeps on this machine: read when needed, and only read.

Refreshing one here would take its refresh token from the program whose it is. So an expired login
is the program's to renew, and the message says how.
"""

import asyncio
import errno
import os
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxypal_core.accounts import oauth
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

LARGEST = 1 << 20
KEYCHAIN_SECONDS = 60.0
"""How long what the keychain said is believed: it has no time of change to look at."""
_ASKING_SECONDS = 5.0
_PLATFORM: str = sys.platform


class Unusable(Exception):
    """There is no login that could be used; the message says why and what helps."""


class Login(NamedTuple):
    """``expires`` is in Unix seconds, 0 when the program does not say."""

    access: str
    expires: float


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A program that keeps a login. ``folders`` are looked in from the home folder, after the one
    that the variable ``folder_variable`` names; ``renew`` is the command that logs in anew.
    """

    name: str
    program: str
    provider: str
    read: Callable[[JsonObject], Login]
    folders: tuple[str, ...]
    folder_variable: str = ""
    file: str
    renew: str
    keychain: str = ""
    notice: str = ""

    def paths(self, home: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
        named = environment.get(self.folder_variable) if self.folder_variable else ""
        own = (Path(named).expanduser() / self.file,) if named else ()
        return (*own, *(home / folder / self.file for folder in self.folders))


# ── what the programs write ──────────────────────────────────────────────────────────────────


def _claude(content: JsonObject) -> Login:
    login = jsonio.need(content, "claudeAiOauth", jsonio.obj)
    ends = jsonio.opt(login, "expiresAt", jsonio.number, "claudeAiOauth") or 0
    return Login(jsonio.need(login, "accessToken", jsonio.filled, "claudeAiOauth"), ends / 1000)


def _codex(content: JsonObject) -> Login:
    if content.get("OPENAI_API_KEY") and not content.get("tokens"):
        raise Unusable("it holds an API key, not a login: proxypal auth add-key openai")
    tokens = jsonio.need(content, "tokens", jsonio.obj)
    access = jsonio.need(tokens, "access_token", jsonio.filled, "tokens")
    ends = oauth.claims(access).get("exp")
    return Login(access, float(ends) if isinstance(ends, int) else 0.0)


def _google(content: JsonObject) -> Login:
    """As Google's library writes it, which Qwen Code took over."""
    ends = jsonio.opt(content, "expiry_date", jsonio.number) or 0
    return Login(jsonio.need(content, "access_token", jsonio.filled), ends / 1000)


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="anthropic",
            program="claude",
            provider="anthropic",
            read=_claude,
            folders=(".claude", ".config/claude"),
            folder_variable="CLAUDE_CONFIG_DIR",
            file=".credentials.json",
            renew="claude auth login",
            keychain="Claude Code-credentials",
            notice="Anthropic offers this login for Claude Code and its other own programs, and may"
            " refuse it elsewhere. The account is then set aside; an API key (proxypal auth"
            " add-key anthropic) or the claude-cli backend answers in its place.",
        ),
        Source(
            name="openai-codex",
            program="codex",
            provider="openai-codex",
            read=_codex,
            folders=(".codex",),
            folder_variable="CODEX_HOME",
            file="auth.json",
            renew="codex login",
        ),
        Source(
            name="gemini-cli",
            program="gemini",
            provider="gemini",
            read=_google,
            folders=(".gemini",),
            file="oauth_creds.json",
            renew="gemini",
            notice="Google made this login for Gemini CLI, and its public API may refuse it. The"
            " account is then set aside; an API key (proxypal auth add-key gemini) or the"
            " gemini-cli backend answers in its place.",
        ),
        Source(
            name="qwen",
            program="qwen",
            provider="qwen-portal",
            read=_google,
            folders=(".qwen",),
            file="oauth_creds.json",
            renew="qwen auth",
            notice="Qwen ended its free logins on 2026-04-15. If yours is refused, use an API key:"
            " proxypal auth add-key qwen.",
        ),
    )
}


# ── finding and reading them ─────────────────────────────────────────────────────────────────


def find(source: Source, home: Path, environment: Mapping[str, str]) -> Path:
    """The file in which *source* keeps its login.

    Raises:
        Unusable: there is none.
    """
    paths = source.paths(home, environment)
    for path in paths:
        if path.exists():
            return path
    looked = " nor ".join(str(path) for path in paths)
    raise Unusable(f"there is no login of {source.program} in {looked}: run {source.renew}")


def profile_of(
    source: Source, provider: str, home: Path, environment: Mapping[str, str]
) -> JsonObject:
    """A profile for the login that *source* keeps on this machine: in a file, or in the keychain.

    Raises:
        Unusable: there is none.
    """
    profile: JsonObject = {"type": "linked", "provider": provider, "source": source.name}
    try:
        return {**profile, "file": str(find(source, home, environment))}
    except Unusable:
        if _PLATFORM == "darwin" and source.keychain:
            return profile
        raise


def read_file(source: Source, path: Path, home: Path) -> Login:
    """The login in the file of *source* at *path*.

    Raises:
        Unusable: it is not one, others can write it, or it is a link that leads out of its place.
    """
    try:
        content = _content(path, home)
    except OSError as error:
        raise Unusable(
            f"{path} cannot be used: {error.strerror or error}. {_again(source)}"
        ) from None
    return _login(source, content, str(path))


def _content(path: Path, home: Path) -> bytes:
    # A link inside the home is its owner's way of keeping dotfiles; one that leads out is not.
    place = home if path.is_relative_to(home) else path.parent
    real = path.resolve(strict=True)
    if not real.is_relative_to(place.resolve()):
        raise OSError(errno.EPERM, f"it is a link that leads out of {place}")
    handle = os.open(
        real, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if sys.platform != "win32":
            _check_owner(state)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1)
    finally:
        os.close(handle)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, f"it is longer than {LARGEST} bytes")
    return data


def _check_owner(state: os.stat_result) -> None:
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = f"{stat.S_IMODE(state.st_mode):03o}"
        raise OSError(errno.EPERM, f"other users can write it (mode {mode}); chmod 600 it")
    if state.st_uid not in (os.geteuid(), 0):
        raise OSError(errno.EPERM, f"it belongs to another user (uid {state.st_uid})")


def _login(source: Source, content: bytes, where: str) -> Login:
    try:
        return source.read(jsonio.load_object(content))
    except jsonio.Malformed as error:
        # Of the problem only its place is told: JSON that is cut may end in a token.
        place = f" ({error.path})" if error.path else ""
        raise Unusable(f"{where} holds no login{place}. {_again(source)}") from None
    except Unusable as error:
        raise Unusable(f"{where}: {error}") from None


def _again(source: Source) -> str:
    return f"To log in: {source.renew}"


# ── as they are used ─────────────────────────────────────────────────────────────────────────

Keychain = Callable[[str], Awaitable[bytes]]


class Links:
    """The linked logins, each as its file is now: a file is read again when it has changed."""

    def __init__(
        self,
        home: Path,
        clock: Callable[[], float],
        keychain: Keychain | None = None,
    ) -> None:
        self._home = home
        self._clock = clock
        self._keychain = keychain or ask_keychain
        self._files: dict[tuple[str, str], tuple[tuple[int, ...], Login]] = {}
        self._said: dict[str, tuple[float, Login | Unusable]] = {}

    async def login(self, profile: JsonObject, *, again: bool = False) -> Login:
        """The login that *profile*, of type ``linked``, leads to. *again*: what is known of the
        keychain is not believed.

        Raises:
            Unusable: there is none, or it has expired.
        """
        source = SOURCES.get(str(profile.get("source")))
        if source is None:
            raise Unusable(f"this version knows no linked login called {profile.get('source')!r}")
        file = profile.get("file")
        if isinstance(file, str) and file:
            login = self._of_file(source, Path(file))
        else:
            login = await self._of_keychain(source, again=again)
        if login.expires and login.expires <= self._clock():
            raise Unusable(
                f"the login of {source.program} has expired; it renews it when it runs:"
                f" {source.program}, or {source.renew}"
            )
        return login

    def _of_file(self, source: Source, path: Path) -> Login:
        try:
            state = path.stat()
        except OSError as error:
            raise Unusable(
                f"{path} cannot be read: {error.strerror or error}. {_again(source)}"
            ) from None
        signature = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size, state.st_mode)
        key = (source.name, str(path))
        known = self._files.get(key)
        if known is None or known[0] != signature:
            known = self._files[key] = (signature, read_file(source, path, self._home))
        return known[1]

    async def _of_keychain(self, source: Source, *, again: bool) -> Login:
        now = self._clock()
        known = self._said.get(source.keychain)
        if known is None or again or now - known[0] >= KEYCHAIN_SECONDS:
            known = self._said[source.keychain] = (now, await self._asked(source))
        if isinstance(known[1], Unusable):
            raise known[1]
        return known[1]

    async def _asked(self, source: Source) -> Login | Unusable:
        try:
            content = await self._keychain(source.keychain)
            return _login(source, content, f"the keychain's {source.keychain!r}")
        except Unusable as error:
            return error


async def ask_keychain(service: str) -> bytes:
    """What macOS's keychain holds for *service*.

    Raises:
        Unusable: nothing, or it did not answer: macOS may be asking the person.
    """
    if _PLATFORM != "darwin" or not service:
        raise Unusable("only macOS has the keychain that this login would be in")
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/security",
        "find-generic-password",
        "-s",
        service,
        "-w",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_ASKING_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unusable(
            f"the keychain did not answer within {_ASKING_SECONDS:g} seconds for {service!r};"
            " macOS may ask whether it may"
        ) from None
    if process.returncode != 0:
        raise Unusable(
            f"the keychain gives nothing called {service!r}; log in anew, and allow it when macOS asks"
        )
    return said.strip()
