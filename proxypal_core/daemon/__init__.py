"""The running program: where its files are, how it starts and stops."""
