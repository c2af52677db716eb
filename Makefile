# Every target works from a fresh clone: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
comma := ,
space := $() $()
PURE := $(subst $(space),$(comma),$(patsubst %,proxypal_core/%/*,hub wire dialects providers accounts agents settings routing metering))

.PHONY: run test faults reliability replicas vault-kills orphans manners real-agents real-cli token-storm fuzz security screenshots bench bench-check lint type arch reference docs docs-check coverage dist sbom check format clean

run: $(VENV)/run.stamp  ## start the daemon on 127.0.0.1:8317
	$(BIN)/proxypal serve --config config.yaml

test: $(VENV)/dev.stamp  ## every test
	$(BIN)/pytest -n 2 --dist worksteal

fuzz: $(VENV)/dev.stamp  ## a million damaged inputs (about half an hour)
	$(BIN)/python -m tests.fuzz

faults: $(VENV)/dev.stamp  ## every fault of a provider, seen by clients of all dialects (a few minutes)
	$(BIN)/python -m tests.faults

reliability: $(VENV)/dev.stamp  ## R1 to R18: what fails, and how little it does (half an hour)
	$(BIN)/python -m tests.reliability

replicas: $(VENV)/dev.stamp  ## daemons that share a Redis, and what befalls both (two minutes; needs redis-server)
	$(BIN)/python -m tests.replicas

vault-kills: $(VENV)/dev.stamp  ## a thousand writers of the vault killed (a minute or two)
	$(BIN)/python -m tests.vault_kills

orphans: $(VENV)/dev.stamp  ## a hundred daemons killed while a program runs (about three minutes)
	$(BIN)/python -m tests.orphans

manners: $(VENV)/dev.stamp  ## daemons started, reloaded and stopped, hundreds of times (ten minutes)
	$(BIN)/python -m tests.daemon

security: $(VENV)/dev.stamp  ## S1 to S11: who gets in, and what gets out (a quarter of an hour)
	$(BIN)/python -m tests.security

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

bench: $(VENV)/bench.stamp  ## how fast it is, beside bare relays (a quarter of an hour; needs gcc)
	$(VENV)/bench/bin/python -m bench $(ARGS)

bench-check: $(VENV)/dev.stamp  ## whether it has become slower, in instructions (gcc and Valgrind)
	$(BIN)/python -m bench check

lint: $(VENV)/dev.stamp  ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type: $(VENV)/dev.stamp  ## mypy, strict
	$(BIN)/mypy

arch: $(VENV)/dev.stamp  ## who may import whom
	$(BIN)/lint-imports --no-cache

reference: $(VENV)/dev.stamp  ## write what the code says into the pages of the reference
	$(BIN)/python -m scripts.reference

docs: $(VENV)/dev.stamp  ## the site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-check: docs  ## whether what the pages say is so
	$(BIN)/python -m scripts.reference --check
	$(BIN)/pytest -q tests/docs

coverage: $(VENV)/dev.stamp  ## the whole of the pure rooms and nine tenths of the others, by branches (half an hour)
	$(BIN)/pytest -n 2 --dist worksteal --timeout 300 --cov --cov-report=
	$(BIN)/coverage report --include '$(PURE)' --fail-under 100
	$(BIN)/coverage report --omit '$(PURE)' --fail-under 90

dist: $(VENV)/release.stamp  ## the wheel and the sdist, in dist/
	rm -rf dist
	$(VENV)/release/bin/python -m hatchling build -d dist

sbom: dist  ## what an installation of the wheel consists of (CycloneDX), in dist/
	rm -rf $(VENV)/shipped
	$(BIN)/python -m venv --without-pip $(VENV)/shipped
	$(PIP) --python $(VENV)/shipped/bin/python install dist/*.whl --constraint constraints.txt
	$(VENV)/release/bin/cyclonedx-py environment --output-reproducible \
	  -o dist/sbom.cdx.json $(VENV)/shipped/bin/python

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

$(VENV)/release.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/release
	@$(VENV)/release/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(VENV)/release/bin/python -m pip --disable-pip-version-check --quiet install --group release --constraint constraints.txt
	@touch $@

# Of its own: with uvloop beside it the daemon would run on that in the tests, too.
$(VENV)/bench.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip --disable-pip-version-check --quiet install --upgrade "pip>=25.1"
	@$(VENV)/bench/bin/python -m pip --disable-pip-version-check --quiet install --editable . --group bench --constraint constraints.txt
	@touch $@
