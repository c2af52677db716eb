"""The real agents, from npm, run and set up against this daemon's own demo provider.

``make real-agents`` installs them into a folder (``REAL_AGENTS_DIR`` keeps one), each with a home of
its own, so that no login is needed and nobody's files are touched. For each: an answer by ``run`` and
after ``setup``, through every dialect that it speaks; ``unsetup`` leaves the files byte for byte as
they were, and an edit of the user's in place; the usage is told apart.
"""
