"""A machine with a coding agent on it: a program that tells how it was started."""

import sys
from pathlib import Path

from proxypal_core.wire import jsonio
from tests.cli.home import Home
from tests.running import free_port, ran

_PROGRAM = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("agent 1.2.3 (test)")
    sys.exit()
files = {{}}
for word in sys.argv[1:] + list(os.environ.values()):
    if os.path.isfile(word) and "elsewhere" in word:
        files[word] = open(word).read()
print(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ), "files": files}}))
sys.exit(7)
"""


class AgentHome(Home):
    """Its home folder is ``user``; ``program`` is where the agent would be installed."""

    def __init__(self, root, *commands):
        super().__init__(root)
        self.user = root / "user"
        self.programs = root / "bin"
        for folder in (self.user, self.programs):
            folder.mkdir()
        for command in commands:
            program = self.programs / command
            program.write_text(_PROGRAM.format(python=sys.executable))
            program.chmod(0o755)
        self.environment |= {
            "HOME": str(self.user),
            "PATH": str(self.programs),
            **dict.fromkeys(
                ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "OPENCODE_CONFIG", "XDG_CONFIG_HOME"), None
            ),
        }
        self.port = free_port()
        self.configure(f"listen: {{port: {self.port}}}\n")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def put(self, path, text, mode=0o644):
        file = self.user / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        file.chmod(mode)
        return file

    def variables(self):
        return {name: value for name, value in self.environment.items() if value}

    async def ran(self, *arguments, **environment):
        return await ran(*arguments, **{**self.variables(), **environment})

    def keys(self):
        return [
            row["name"]
            for row in jsonio.loads(self.program("keys", "list", "--json").stdout)["keys"]
        ]

    def everything(self):
        """Every file in the home folder, and what it says."""
        return {
            str(path.relative_to(self.user)): path.read_bytes()
            for path in sorted(Path(self.user).rglob("*"))
            if path.is_file()
        }
