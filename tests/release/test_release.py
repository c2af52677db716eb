"""What is released is whole: everything that is needed is in it, and the version is one."""

import re
import tomllib
from email import message_from_bytes

import pytest

import proxypal_core
from tests.gateway.owning import owned
from tests.release.building import ROOT, built, files_of, unpacked
from tests.running import ran

VERSION = proxypal_core.__version__
PACKAGE = ROOT / "proxypal_core"
IN_THE_SDIST = (
    "proxypal_core/py.typed",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Makefile",
    "config.yaml",
    "constraints.txt",
    "docs/pool.md",
    "docs/decisions/README.md",
    "contrib/install.sh",
    "contrib/docker/compose.yaml",
    "contrib/homebrew/proxypal.rb",
    "contrib/launchd",
    "contrib/systemd",
    "tests/conftest.py",
    "bench/__main__.py",
    "scripts/renew_prices.py",
)
NEVER = re.compile(
    r"__pycache__|\.pyc$|\.env$|\.vault|\.key$|\.db$|(^|/)\.(git|venv|ci|hypothesis)/"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """What is in the sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    return unpacked(built("sdist", folder), folder / "unpacked")


def metadata(wheel):
    (text,) = (data for name, data in files_of(wheel).items() if name.endswith("/METADATA"))
    return message_from_bytes(text)


# ── what is in them ──────────────────────────────────────────────────────────────────────────


def test_the_wheel_has_every_file_of_the_package_and_the_licence(wheel):
    files = {path for path in PACKAGE.rglob("*") if path.is_file()}
    wanted = {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}
    licence = f"proxypal_core-{VERSION}.dist-info/licenses/LICENSE"

    assert {*wanted, licence} <= set(files_of(wheel))
    assert {"proxypal_core/py.typed", "proxypal_core/gateway/dashboard/index.html"} <= wanted


def test_the_sdist_has_what_building_and_testing_take(sdist):
    missing = [name for name in IN_THE_SDIST if not (sdist / name).exists()]

    assert missing == []


def test_neither_has_what_a_working_copy_gathers(wheel, sdist):
    names = [*files_of(wheel), *(p.relative_to(sdist).as_posix() for p in sdist.rglob("*"))]

    assert [name for name in names if NEVER.search(name)] == []


def test_the_sdist_makes_the_same_wheel_as_the_sources(wheel, sdist, tmp_path):
    again = built("wheel", tmp_path, sdist)

    assert again.name == wheel.name
    assert files_of(again) == files_of(wheel)


# ── one version ──────────────────────────────────────────────────────────────────────────────


def test_the_archives_are_named_for_the_version_of_the_package(wheel, sdist):
    assert wheel.name == f"proxypal_core-{VERSION}-py3-none-any.whl"
    assert sdist.name == f"proxypal_core-{VERSION}"
    assert metadata(wheel)["Version"] == VERSION


async def test_the_program_says_the_version_of_the_package():
    process = await ran("--version")

    assert process.out == f"proxypal, version {VERSION}\n"


async def test_the_api_s_document_says_the_version_of_the_package(tmp_path):
    async with owned(tmp_path) as owner:
        _, document = await owner.call("GET", "/api/openapi.json")

    assert document["info"]["version"] == VERSION


def test_no_other_file_states_a_version_of_its_own():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    stated = re.compile(rf"\b{re.escape(VERSION)}\b")
    sources = (path for path in PACKAGE.rglob("*.py") if stated.search(path.read_text()))

    assert project["project"]["dynamic"] == ["version"]
    assert [path.name for path in sources] == ["__init__.py"]


# ── for whom ─────────────────────────────────────────────────────────────────────────────────


def test_the_metadata_names_the_pythons_that_the_classifiers_name(wheel):
    told = metadata(wheel)
    named = [line for line in told.get_all("Classifier") if re.search(r":: 3\.\d+$", line)]
    oldest = min(int(line.rpartition(".")[2]) for line in named)

    assert told["Requires-Python"] == f">=3.{oldest}"
    assert told["License-Expression"] == "MIT"
    assert told["Description-Content-Type"] == "text/markdown"
