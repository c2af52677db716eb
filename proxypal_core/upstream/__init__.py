"""The way out: calls to providers, over HTTP or inside the process."""
