"""Measurements, run by hand: `make bench`, `make bench-check`, `python -m bench.usage`."""
