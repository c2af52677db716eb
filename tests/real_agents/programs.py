"""How each agent is asked something, and the files that its user has before."""

from typing import NamedTuple


class Program(NamedTuple):
    """``asked`` are the command's words by dialect, of which "{}" is the prompt; ``files`` what the
    user has in the home folder, with ``edit``, what the user changes later: file, before, after.
    """

    package: str
    asked: dict
    files: dict
    edit: tuple
    node: tuple = (20,)


_OPENCODE = ["run", "-m"]
_OPENCLAW = ["agent", "--local", "--agent", "main", "--message", "{}", "--model"]

PROGRAMS = {
    "claude-code": Program(
        "@anthropic-ai/claude-code",
        {"anthropic": ["-p", "{}"]},
        {".claude/settings.json": '{\n    "includeCoAuthoredBy": false,\n    "env": {"ANTHROPIC_API_KEY": "sk-of-the-user", "A": "1"}\n}'},
        (".claude/settings.json", '"A": "1"', '"A": "2"'),
    ),
    "codex": Program(
        "@openai/codex",
        {"responses": ["exec", "--skip-git-repo-check", "{}"]},
        {".codex/config.toml": '# mine\nmodel_reasoning_effort = "low"   # enough\n\n[history]\npersistence = "none"\n'},
        (".codex/config.toml", '"low"', '"medium"'),
    ),
    "opencode": Program(
        "opencode-ai",
        {
            "chat": [*_OPENCODE, "proxypal/demo/echo", "{}"],
            "anthropic": [*_OPENCODE, "proxypal-claude/demo/echo", "{}"],
            "responses": [*_OPENCODE, "proxypal-openai/demo/echo", "{}"],
            "gemini": [*_OPENCODE, "proxypal-gemini/demo/echo", "{}"],
        },
        {
            # It puts the schema in where there is none.
            ".config/opencode/opencode.jsonc": '{\n  "$schema": "https://opencode.ai/config.json",\n  // quiet\n'
            '  "share": "disabled",\n  "autoupdate": false, /* pinned */\n}\n'
        },
        (".config/opencode/opencode.jsonc", "// quiet", "// quieter"),
    ),
    "gemini": Program(
        "@google/gemini-cli",
        {"gemini": ["--skip-trust", "-p", "{}"]},
        {
            ".gemini/settings.json": '{\n  "general": {"disableAutoUpdate": true} // mine\n}\n',
            ".gemini/.env": "# variables\nMINE=1\n",
        },
        (".gemini/.env", "MINE=1", "MINE=2"),
    ),
    "qwen-code": Program(
        "@qwen-code/qwen-code",
        {
            "chat": ["-p", "{}"],
            "anthropic": ["--auth-type", "anthropic", "-p", "{}"],
            "gemini": ["--auth-type", "gemini", "-p", "{}"],
        },
        # It writes its files anew when it migrates them; this one is of its version.
        {".qwen/settings.json": '{\n  "$version": 4,\n  "general": {"enableAutoUpdate": false}\n}\n'},
        (".qwen/settings.json", '"enableAutoUpdate": false', '"enableAutoUpdate": true'),
    ),
    "openclaw": Program(
        "openclaw",
        {
            "anthropic": [*_OPENCLAW, "anthropic/demo/echo"],
            "chat": [*_OPENCLAW, "openai/demo/echo"],
            "gemini": [*_OPENCLAW, "google-antigravity/demo/echo"],
            "any other model": [*_OPENCLAW, "proxypal/demo/echo"],
        },
        {".openclaw/openclaw.json": "// mine\n{\n  agents: {\n    defaults: { thinkingDefault: 'off' },\n  },\n}\n"},
        (".openclaw/openclaw.json", "// mine", "// still mine"),
        (24, 16),
    ),
}  # fmt: skip
