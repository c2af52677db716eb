"""The pytest fixture; ``tests/conftest.py`` registers it."""

from collections.abc import AsyncIterator

import pytest

from tests.fault_server.server import FaultServer


@pytest.fixture
async def fault_server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server
