"""An installation of its own, and the program run in it."""

from click.testing import CliRunner

from proxypal_core.cli import accounts as module
from proxypal_core.cli.main import main
from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio

KEY = "sk-CANARY-0123456789-abcdefghijkl-WXYZ"


class Home:
    """An installation of its own, and the commands run in it."""

    def __init__(self, root):
        self.root = root
        self.data = root / "elsewhere" / "data"
        self.vault = self.data / "auth-profiles.vault"
        self.settings = root / "config.yaml"
        self.environment = {
            "PROXYPAL_CONFIG": str(self.settings),
            "PROXYPAL_DATA_DIR": str(self.data),
            "PROXYPAL_STATE_DIR": str(root / "elsewhere" / "state"),
            "PROXYPAL_VAULT_KEY": None,
            "CREDENTIALS_DIRECTORY": None,
        }
        self.configure("")

    def configure(self, text):
        nobody = "" if "listen:" in text else "listen: {port: 1}\n"  # no daemon of this machine
        self.settings.write_text(nobody + text)

    def run(self, *arguments, **options):
        """``proxypal auth`` with *arguments*."""
        return self.program("auth", *arguments, **options)

    def program(self, *arguments, stdin=None, **environment):
        """``proxypal`` with *arguments*, which says no secret of the suite whatever happens."""
        runner = CliRunner(env={**self.environment, **environment})
        result = runner.invoke(main, list(arguments), input=stdin)
        assert "CANARY" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def add(self, *arguments, key=KEY, **environment):
        return self.run("add-key", *arguments, stdin=key, **environment)

    def profiles(self):
        environment = {name: value for name, value in self.environment.items() if value}
        return module.vault_of(parse("", {}), environment).read().profiles

    def listed(self, **environment):
        result = self.run("list", "--json", **environment)
        assert result.exit_code == 0
        return {row["id"]: row for row in jsonio.loads(result.stdout)["accounts"]}
