# Every target works from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test vault-kills orphans manners real-agents real-cli token-storm fuzz screenshots lint type arch docs check format clean

run: $(VENV)/run.stamp  ## start the daemon on 127.0.0.1:8317
	$(BIN)/proxypal serve --config config.yaml

test: $(VENV)/dev.stamp  ## every test
	$(BIN)/pytest -n 2

fuzz: $(VENV)/dev.stamp  ## a million damaged inputs (about half an hour)
	$(BIN)/python -m tests.fuzz

vault-kills: $(VENV)/dev.stamp  ## a thousand writers of the vault killed (a minute or two)
	$(BIN)/python -m tests.vault_kills

orphans: $(VENV)/dev.stamp  ## a hundred daemons killed while a program runs (about three minutes)
	$(BIN)/python -m tests.orphans

manners: $(VENV)/dev.stamp  ## daemons started, reloaded and stopped, hundreds of times (ten minutes)
	$(BIN)/python -m tests.daemon

real-agents: $(VENV)/dev.stamp  ## coding agents from npm, run and set up on the demo provider (ten minutes)
	$(BIN)/python -m tests.real_agents

systemd: $(VENV)/dev.stamp  ## the service under a real systemd in a namespace (root, a minute)
	$(BIN)/python -m tests.contrib

real-cli: $(VENV)/dev.stamp  ## the vendors' own programs from npm, as backends on the demo provider
	$(BIN)/python -m tests.real_cli

token-storm: $(VENV)/dev.stamp  ## four processes, one login, two hundred expiries (half a minute)
	$(BIN)/python -m tests.identity_provider.storm

screenshots: $(VENV)/dev.stamp  ## those in docs/screenshots; needs Chromium
	$(BIN)/python -m tests.dashboard

lint: $(VENV)/dev.stamp  ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type: $(VENV)/dev.stamp  ## mypy, strict
	$(BIN)/mypy

arch: $(VENV)/dev.stamp  ## who may import whom
	$(BIN)/lint-imports --no-cache

check: lint type arch test  ## all of the above

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing (Debian: apt install python3-venv)."; exit 1; }
	@echo "Installing into $(VENV) (once) ..."
	@$(PIP) install --upgrade "pip>=25.1"

# The constraints pin what was tested; pyproject.toml says what is needed.
$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@$(PIP) install --editable . --constraint constraints.txt
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@$(PIP) install --editable . --group dev --constraint constraints.txt
	@touch $@ $(VENV)/run.stamp
