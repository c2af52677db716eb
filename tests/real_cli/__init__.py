"""The vendors' own command lines, run as backends against this daemon's own demo provider.

``make real-cli`` installs them from npm into a folder (``REAL_CLI_DIR`` keeps one), so that no login
is needed: each is told that its provider is at the daemon's address. For each: an answer, a second
turn in the same session, and an image.
"""
