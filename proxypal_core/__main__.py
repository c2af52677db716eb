"""The program: ``proxypal``, and ``python -m proxypal_core``."""

import sys


def main() -> None:
    if sys.argv[1:] == ["statusline"]:
        # It is run every few seconds: it does not wait for what only the other commands need.
        from proxypal_core.cli.statusline import show  # noqa: PLC0415

        show()
        return
    from proxypal_core.cli.main import main as commands  # noqa: PLC0415 — see above

    commands()


if __name__ == "__main__":
    main()
