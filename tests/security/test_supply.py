"""What is shipped is what was written, and nothing known to be bad; and the gates can close."""

import zipfile

import pytest

from tests.security import supply

# A proxypal that asks somebody else first.
CURIOUS = supply.TELLTALE.replace(
    "from proxypal_core", 'import socket\nsocket.getaddrinfo("127.0.0.1", 1)\nfrom proxypal_core'
)


# ── analysis and advisories ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("subprocess.run(words, shell=True)  # nosec", False),
        ("subprocess.run(words, shell=True)  # noqa: S608 — of another rule", False),
        ("subprocess.run(words, shell=True)  # noqa: S602 — the words are ours", True),
    ],
)
async def test_a_finding_without_a_reason_closes_the_gate(tmp_path, line, held):
    (tmp_path / "module.py").write_text(f"import subprocess\nwords = input()\n{line}\n")

    (figure,) = await supply.measure_analysis(tmp_path)

    assert figure.held is held


async def test_nothing_is_installed_or_allowed_that_is_known_to_be_bad():
    (figure,) = await supply.measure_floors()

    assert figure.held, figure


async def test_a_version_below_its_floor_closes_the_gate():
    (figure,) = await supply.measure_floors({**supply.installed_versions(), "aiohttp": "3.14.2"})

    assert figure.held is False
    assert "CVE-2026-69243" in figure.measured


@pytest.mark.parametrize(
    ("known", "found", "held"),
    [
        (None, None, None),
        ([], [], None),
        (["aiohttp CVE-1"], [], True),
        (["aiohttp CVE-1"], ["orjson CVE-2"], False),
    ],
)
async def test_an_audit_counts_only_if_it_knows_what_is_bad(known, found, held):
    async def audit(requirements):
        return known if requirements == supply.KNOWN_BAD else found

    (figure,) = await supply.measure_audit(audit)

    assert figure.held is held


# ── the wheel ────────────────────────────────────────────────────────────────────────────────


def wheel(tmp_path, *more, without=()):
    path = tmp_path / "proxypal_core-0.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for source in supply.PACKAGE.rglob("*"):
            name = source.relative_to(supply.ROOT).as_posix()
            if source.is_file() and "__pycache__" not in name and name not in without:
                archive.writestr(name, "")
        for name in (*(f"proxypal_core-0.dist-info/{name}" for name in supply._INFO), *more):
            archive.writestr(name, "")
    return path


def test_a_wheel_of_all_the_sources_and_nothing_else_has_no_strangers(tmp_path):
    assert supply.strangers(wheel(tmp_path)) == []


@pytest.mark.parametrize(
    "name", ["proxypal_init.pth", "tests/proxy.py", "proxypal_core/__pycache__/x.pyc"]
)
def test_a_file_that_does_not_belong_is_seen(tmp_path, name):
    assert supply.strangers(wheel(tmp_path, name)) == [name]


def test_a_file_that_is_missing_is_seen(tmp_path):
    name = "proxypal_core/app/__init__.py"

    assert supply.strangers(wheel(tmp_path, without=[name])) == [f"{name} is missing"]


# ── silence ──────────────────────────────────────────────────────────────────────────────────


async def test_a_program_that_asks_somebody_first_is_seen():
    (figure,) = await supply.measure_silence(CURIOUS)

    assert figure.held is False
