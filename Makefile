# Two commands set up everything on a fresh machine with Python 3.11 or newer, git and make:
#   make demo    runs a whole campaign on a small made scene
#   make test    lint, types and all tests
# And `make stack` runs a deployment's parts on this machine: docs/how-to/local-stack.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
STACK := $(VENV)/.stack-installed

.PHONY: demo test bench stack stack-stop lint types tests browser clean

demo: $(RUN)
	$(BIN)/earthscribe demo

test: $(DEV) browser lint types tests

bench: $(DEV)
	$(BIN)/python -m tests.benchmarks

# Lines of comments and `export` lines: eval "$$(make --silent stack)" sets a shell up.
stack: $(STACK)
	@$(BIN)/python -m infra.stack start

stack-stop: $(STACK)
	@$(BIN)/python -m infra.stack stop

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell

types: $(DEV)
	$(BIN)/mypy

tests: $(DEV)
	$(BIN)/python -m pytest

# A browser for the tests of pages. One that is there is used; with CI=true it is installed (root on Debian or Ubuntu);
# otherwise its tests are skipped and say so.
browser:
ifeq ($(CI),true)
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core; }
endif

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	@touch $@ $(RUN) $(STACK)

$(STACK): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[stack]'
	@touch $@ $(RUN)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
