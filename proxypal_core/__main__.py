"""``python -m proxypal_core``."""

from proxypal_core.cli.main import main

main()
