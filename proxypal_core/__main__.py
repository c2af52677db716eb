"""The program: ``proxypal``, and ``python -m proxypal_core``."""

import gc
import sys

_SEARCHED = (10_000, 2, 2)
"""Objects made and not freed before they are searched for cycles, and how many such searches pass
before older ones are. Python's 700, 10 and 10 would have it done 150 times while modules are imported
and at each wave of requests, and hardly anything of ours is in a cycle; all are searched as often.
"""


def main() -> None:
    gc.set_threshold(*_SEARCHED)
    if sys.argv[1:] == ["statusline"]:
        # It is run every few seconds: it does not wait for what only the other commands need.
        from proxypal_core.cli.statusline import show  # noqa: PLC0415

        show()
        return
    from proxypal_core.cli.main import main as commands  # noqa: PLC0415 — see above

    commands()


if __name__ == "__main__":
    main()
