"""Fixtures for every test: nothing but loopback can be reached, and hypothesis is repeatable."""

import logging
import os
import re
import socket
import sys
from itertools import count

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.certificate import self_signed

# Hundreds of programs are started: without their bytecode each would compile the product anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = ["tests.fault_server.fixture", "tests.security.plugin"]

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_LOOPBACK = ("127.", "::1", "localhost")
_folders = count(1)


@pytest.fixture
def tmp_path(request, tmp_path_factory):
    """A folder of the test's own, made without a look at those of ten thousand others, which is how
    pytest's own fixture finds a name.
    """
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(_folders)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def _one_root(tmp_path_factory):
    """A list of one root that nobody uses: to read the system's takes 30 ms, and each client of an
    SDK and each program that is started would do so.
    """
    return self_signed(tmp_path_factory.mktemp("root"), name="nobody").cert


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch):
    """A test that would reach the network fails, whatever library tries."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path, _one_root):
    """No key, proxy or file of the person who runs the tests takes part in them."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_PROXY", "_proxy", "_BASE_URL", "_TOKEN")):
            monkeypatch.delenv(name)
    for name in (
        "PROXYPAL_CONFIG",
        "PROXYPAL_DATA_DIR",
        "PROXYPAL_STATE_DIR",
        "PROXYPAL_ADMIN_KEY",
        "PROXYPAL_VAULT_KEY",
        "PROXYPAL_VAULT_PASSPHRASE",
        "CREDENTIALS_DIRECTORY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", _one_root)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _own_log():
    """What a test did to the log of the process is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if root.handlers != handlers or structlog.is_configured():
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _private_files(tmp_path):
    """Whatever a test did, what was kept is its owner's alone (0600, folders 0700)."""
    yield
    kept = [path for name in ("data", "state") for path in (tmp_path / name).rglob("*")]
    assert [p for p in kept if not p.is_symlink() and p.lstat().st_mode & 0o077] == []
