"""What an account is asked for, and how its secret is kept."""

import pytest

from proxypal_core.accounts.account import Account, Secret, model_for
from proxypal_core.providers.provider import Provider


def account(**fields):
    return Account(id="p:a", provider="p", **fields)


def test_two_secrets_of_one_text_are_one():
    assert len({Secret("k"), Secret("k"), Secret("l")}) == 2
    assert Secret("k") != "k"


@pytest.mark.parametrize(
    ("own", "excluded", "model"),
    [
        (("mine",), (), "mine"),
        (("gpt-*",), (), "gpt-5"),
        ((), ("claude-*",), "gpt-5"),
        ((), ("*",), ""),
        (("llama-*",), (), ""),
    ],
)
def test_an_account_is_asked_for_a_model_that_it_serves(own, excluded, model):
    known = {"p": Provider(name="p", models=("claude-opus", "gpt-5"))}
    asked = account(models=own, excluded_models=excluded)

    assert model_for(asked, known) == model


def test_of_an_unknown_providers_account_only_its_own_models_are_known():
    assert model_for(account(), {}) == ""
    assert model_for(account(models=("mine",)), {}) == "mine"
