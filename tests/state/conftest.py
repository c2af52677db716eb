"""A Redis for the tests of this folder, one for each process that runs them."""

import pytest

from tests.redis_server import MISSING, PROGRAM, redis_server


@pytest.fixture(scope="session")
def redis_at():
    if PROGRAM is None:
        pytest.skip(MISSING)
    with redis_server() as server:
        yield server
