"""How each program is installed and pointed at an address; ``docs`` of each say so."""

from typing import NamedTuple

from proxypal_core.providers.backend import builtin_rows
from proxypal_core.wire import jsonio

KEY = "local-key-of-nobody"


class Program(NamedTuple):
    """``row`` are the settings of its backend, ``home`` the files it wants in its home folder;
    ``sees`` is whether it gives an image to a model that it does not know.
    """

    package: str
    row: dict
    home: dict = {}  # noqa: RUF012 — a NamedTuple's default, never changed
    model: str = "demo/echo"
    sees: bool = True


def programs(url):
    """Each program as a backend whose provider is at *url*."""
    codex = (
        f'model_providers.local={{name="local",base_url="{url}/v1",wire_api="responses",'
        'env_key="LOCAL_KEY"}'
    )
    opencode = {
        "provider": {
            "local": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "local",
                "options": {"baseURL": f"{url}/v1", "apiKey": KEY},
                "models": {
                    "demo/echo": {
                        "name": "echo",
                        "attachment": True,
                        "modalities": {"input": ["text", "image"], "output": ["text"]},
                    }
                },
            }
        },
        "tools": {"*": False},
        "share": "disabled",
        "autoupdate": False,
    }
    gemini = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    return {
        "claude-cli": Program(
            "@anthropic-ai/claude-code",
            {"env": {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}},
        ),
        "codex-cli": Program(
            "@openai/codex",
            {
                "env": {"LOCAL_KEY": KEY},
                **_with("codex-cli", "-c", "model_provider=local", "-c", codex),
            },
        ),
        "gemini-cli": Program(
            "@google/gemini-cli",
            {"env": {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": KEY}},
            {".gemini/settings.json": jsonio.dumps_text(gemini)},
        ),
        "qwen-cli": Program(
            "@qwen-code/qwen-code",
            {
                "env": {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": KEY},
                **_with("qwen-cli", "--auth-type", "openai"),
            },
            sees=False,
        ),
        "copilot-cli": Program(
            "@github/copilot",
            {
                "env": {
                    "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
                    "COPILOT_PROVIDER_API_KEY": KEY,
                    "COPILOT_MODEL": "demo/echo",
                    "COPILOT_OFFLINE": "true",
                }
            },
        ),
        "opencode-cli": Program(
            "opencode-ai",
            {"env": {"OPENCODE_CONFIG_CONTENT": jsonio.dumps_text(opencode)}},
            model="local/demo/echo",
        ),
    }


def _with(name, *words):
    """The built-in arguments of the backend *name* with *words* behind them."""
    row = builtin_rows()[name]
    return {key: [*row[key], *words] for key in ("args", "resume_args")}
