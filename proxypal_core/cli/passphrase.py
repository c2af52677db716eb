"""The vault's passphrase, asked of the person at the terminal."""

import sys
from functools import cache

import click


@cache  # a command reads the vault more than once
def asked(what: str, *, new: bool) -> str:
    """The passphrase of the key *what*; empty where there is no terminal to ask on. A *new* one is
    asked for twice.
    """
    if not sys.stdin.isatty():
        return ""
    label = f"{'New passphrase' if new else 'Passphrase'} for {what}"
    return str(click.prompt(label, hide_input=True, confirmation_prompt=new, err=True))
