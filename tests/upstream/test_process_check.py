import os
import sys

import pytest

from proxypal_core.providers.backend import Backend
from proxypal_core.upstream import child, process_check
from proxypal_core.upstream.process_check import Found, examine, examine_all

OURS = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
SAYS = ("-c", "print('tool 1.2.3\\nand more')")


def program(*login, version=SAYS):
    return Backend(name="x", command=sys.executable, version_args=version, login_args=login)


@pytest.mark.parametrize(
    ("login", "logged_in"), [((), None), (("-c", ""), True), (("-c", "exit(1)"), False)]
)
async def test_a_program_that_is_here_is_shown_with_its_version_and_login(login, logged_in):
    found = await examine(program(*login), OURS)

    assert found == Found("x", sys.executable, "tool 1.2.3", logged_in)


async def test_a_program_that_is_not_here_is_shown_as_missing():
    missing = Backend(name="y", command="no-such-program")

    found = await examine_all([missing, program()], OURS)

    assert found == [Found("y", ""), Found("x", sys.executable, "tool 1.2.3")]


async def test_a_program_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(process_check, "PATIENCE", 0.5)
    monkeypatch.setattr(child, "GRACE", 0.1)
    hanging = ("-c", "import time; time.sleep(600)")

    found = await examine(program(*hanging, version=hanging), OURS)

    assert found == Found("x", sys.executable, "", None)
