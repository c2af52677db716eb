"""The archives of a release, built from the sources as they are here, without the network."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CAREFULLY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since 3.11.4


def built(target, folder, sources=ROOT):
    """The archive of *target*, ``wheel`` or ``sdist``, in *folder*."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "-d", str(folder)]
    subprocess.run(command, cwd=sources, check=True, capture_output=True)  # noqa: S603 — our own words
    (archive,) = Path(folder).glob("*.whl" if target == "wheel" else "*.tar.gz")
    return archive


def unpacked(sdist, folder):
    """The one folder that *sdist* holds."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **_CAREFULLY)  # noqa: S202 — we have made it
    (inside,) = Path(folder).iterdir()
    return inside


def files_of(wheel):
    """The bytes of every file in *wheel*, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
