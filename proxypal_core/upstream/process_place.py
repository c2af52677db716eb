"""Where a program runs: its environment, its working directory, and the files of one run."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from proxypal_core.dialects import media
from proxypal_core.dialects.command.prompt import image_bytes
from proxypal_core.hub.messages import Base64
from proxypal_core.providers.backend import Backend

# What a program needs to find its files, its user and its way out; keys of any provider are not
# among them.
_PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR"),
    *("XDG_*", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "DBUS_SESSION_BUS_ADDRESS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP", "PROGRAMFILES"),
    *("USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
)
# Where installers put programs, for daemons whose PATH is the system's bare one.
_USUAL = (
    *("~/.local/bin", "~/.npm-global/bin", "~/.bun/bin", "~/.cargo/bin", "~/.volta/bin"),
    *("~/.opencode/bin", "/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin"),
)
_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
}
_OWN = 0o700
_RUN = "run-"


def environment(backend: Backend, ours: Mapping[str, str]) -> dict[str, str]:
    """The variables that *backend* gets, where *ours* are this process's own."""
    passed = {
        name: value
        for name, value in ours.items()
        if any(fnmatchcase(name, pattern) for pattern in (*_PASSED, *backend.pass_env))
        and name not in backend.clear_env
    }
    return {**passed, "PATH": search_path(ours), **backend.env}


def search_path(ours: Mapping[str, str]) -> str:
    """PATH with the places where programs usually are behind it."""
    home = ours.get("HOME", "")
    usual = [place.replace("~", home) for place in _USUAL if home or place[0] != "~"]
    usual += map(str, sorted(Path(home).glob(".nvm/versions/node/*/bin"), reverse=True))
    given = ours.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(place for place in (*given, *usual) if place))


def program(backend: Backend, ours: Mapping[str, str]) -> str:
    """The path of *backend*'s program; empty where there is none."""
    home, slash, below = backend.command.partition("/")
    command = ours.get("HOME", home) + slash + below if home == "~" else backend.command
    return shutil.which(command, path=search_path(ours)) or ""


class Home:
    """The folder *path*, in which each backend has a working directory of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sweep(self) -> None:
        """Delete what runs have left that were killed together with their guard; another worker's
        of the same daemon may go on.
        """
        for folder in self._path.glob(f"*/{_RUN}*"):
            if not _is_anothers(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def workspace(self, backend: Backend) -> Path:
        """Where *backend* runs, always the same, since programs keep their sessions by it."""
        folder = self._folder(backend.name)
        for name, text in backend.files.items():
            _lay(folder / name, text.encode())
        return folder

    def files(self, backend: Backend, system: str, images: Sequence[Base64]) -> "Files":
        """The files of one run, in a new folder for their owner alone."""
        within = self.workspace(backend)
        if backend.image_path_scope == "temp":
            within = self._folder(".runs")
        return Files(Path(tempfile.mkdtemp(prefix=_ours(), dir=within)), system, images)

    def _folder(self, name: str) -> Path:
        folder = self._path / name
        for path in (self._path, folder):
            path.mkdir(mode=_OWN, parents=True, exist_ok=True)
        return folder


def _ours() -> str:
    return f"{_RUN}{os.getpid()}-"


def _is_anothers(folder: Path) -> bool:
    """Whether *folder* is of a run that another process may be at. Several have a folder in common
    on Linux alone.
    """
    maker = folder.name.removeprefix(_RUN).partition("-")[0]
    return maker.isdecimal() and int(maker) != os.getpid() and Path("/proc", maker).exists()


class Files:
    """``system`` is the path of the instructions, ``images`` are those of the images."""

    def __init__(self, folder: Path, system: str, images: Sequence[Base64]) -> None:
        self.folder = folder
        self.system = ""
        try:
            if system:
                self.system = str(_written(folder / "instructions.md", system.encode()))
            self.images = [str(path) for path in _images(folder, images)]
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _images(folder: Path, images: Sequence[Base64]) -> Iterator[Path]:
    for number, image in enumerate(images, 1):
        extension = _EXTENSIONS.get(media.true_mime(image), ".bin")
        yield _written(folder / f"image-{number}{extension}", image_bytes(image))


def _lay(path: Path, data: bytes) -> None:
    """Have *data* at *path* all at once, for another run may be reading it."""
    if path.exists() and path.read_bytes() == data:
        return
    handle, made = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(made).replace(path)


def _written(path: Path, data: bytes) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return path
