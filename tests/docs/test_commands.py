"""Every command of ours that a document shows exists, with its options and arguments."""

import re
from itertools import product

import click
import pytest

from proxypal_core.cli.deferred import Deferred
from proxypal_core.cli.main import main
from tests.docs.pages import DOCUMENTS, ROOT, commands, every_document, inline

_MORE = {"…", "..."}
# What a status line says, and a text that a key is derived with.
_NO_COMMANDS = {"proxypal off", "proxypal vault key id"}


def is_ours(words):
    return words[0].rpartition("/")[2] == "proxypal"


def spoken(text):
    """The commands of ours in *text*'s prose, with each of those in ``auth import|export``."""
    for code in inline(text):
        if re.match(r"proxypal [a-z]", code) and code not in _NO_COMMANDS:
            yield from product(*(word.split("|") for word in code.split()))


def wrong(words, *, whole=True):
    """What is wrong with the command *words*, or None. *whole*: it is shown as it is typed, not
    named in a sentence, where arguments may be missing.
    """
    context = click.Context(main, info_name="proxypal", **main.context_settings)
    words = [word for word in words[1:] if word not in _MORE]
    while isinstance(context.command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = context.command.commands.get(name)
        if found is None:
            return f"{context.command_path} has no command {name}"
        found = found.loaded if isinstance(found, Deferred) else found
        context = click.Context(found, context, info_name=name, **found.context_settings)
    try:
        return _wrong_arguments(context, words, whole=whole)
    except click.UsageError as error:
        return f"{context.command_path}: {error.format_message()}"


def _wrong_arguments(context, words, *, whole):
    command = context.command
    given, left, _ = command.make_parser(context).parse_args([word.strip("[]") for word in words])
    if left and not isinstance(command, click.Group):
        return f"{context.command_path} does not take {' '.join(left)}"
    for param in command.params:
        value = given.get(param.name)
        is_given = isinstance(value, (str, tuple, list)) and value
        if whole and param.required and not is_given:
            return f"{context.command_path} needs {param.name}"
        if isinstance(param.type, click.Choice) and isinstance(value, str) and not value.isupper():
            param.type.convert(value, param, context)
    return None


@every_document
def test_every_command_that_is_shown_can_be_typed(document):
    text = document.read_text("utf-8")
    shown = [words for words in commands(text) if is_ours(words)]

    assert [problem for words in shown if (problem := wrong(words))] == []


@every_document
def test_every_command_that_is_named_exists(document):
    named = list(spoken(document.read_text("utf-8")))

    assert [problem for words in named if (problem := wrong(words, whole=False))] == []


def test_the_settings_file_names_commands_that_exist():
    text = (ROOT / "config.yaml").read_text("utf-8")
    named = [found.split() for found in re.findall(r"`(proxypal [^`\n]+)`", text)]
    named += [
        found.split()
        for found in re.findall(r"^## +(proxypal [a-z-]+ [a-z-]+)", text, re.MULTILINE)
    ]

    assert len(named) > 3
    assert [problem for words in named if (problem := wrong(words, whole=False))] == []


def test_the_documents_show_commands_at_all():
    texts = [document.read_text("utf-8") for document in DOCUMENTS]

    assert len([words for text in texts for words in commands(text) if is_ours(words)]) > 50
    assert len([words for text in texts for words in spoken(text)]) > 50


@pytest.mark.parametrize(
    "line",
    [
        "proxypal sreve",
        "proxypal auth ad-key openai",
        "proxypal auth add-key",
        "proxypal auth add-key openai sk-1234",
        "proxypal serve --prot 1",
        "proxypal serve --port",
        "proxypal usage --by colour",
        "echo x | proxypal auth add-kye openai",
    ],
)
def test_a_command_that_cannot_be_typed_is_found(line):
    (words,) = filter(is_ours, commands(f"```sh\n{line}\n```\n"))

    assert wrong(words) is not None


@pytest.mark.parametrize(
    "line",
    [
        "proxypal",
        "proxypal --version",
        "A=b .venv/bin/proxypal serve --port 1 > log 2>&1 &  # the agent's",
        "proxypal run codex -- exec --json 'Say hello'",
        "proxypal auth add-key openai < key.txt",
        "curl -d '{\n}' http://x && proxypal usage --by model --json | less",
    ],
)
def test_a_command_that_can_be_typed_is_not(line):
    (words,) = filter(is_ours, commands(f"```sh\n{line}\n```\n"))

    assert wrong(words) is None
