"""Coding agents: how each is found, started on the proxy, set up for it and put back, as data.

A row of ``agents.yaml`` is an agent. What a row changes in the agent's own files is done on their
text by one module a file format, so that comments and order stay; no file is touched here.
"""
