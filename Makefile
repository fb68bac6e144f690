# Quartermaster: `make` lists the commands. Everything works in .venv, made from hash-pinned lock files.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
export QM_TEST_POSTGRES_URL ?=

.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench lock clean

help: ## List the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(RUNTIME) ## Load a real shop's sales, plan, and talk to the agent
	@$(BIN)/quartermaster demo

test: $(DEV) ## Run all tests (on PostgreSQL too when QM_TEST_POSTGRES_URL names a server)
	@$(BIN)/pytest -q -rfE -n 2 --dist loadfile --no-loadscope-reorder

soak: $(DEV) ## Kill, race and load for an hour: the full fault loops and the half-hour soak
	@QM_TEST_SOAK=1 QM_TEST_FUZZ_EXAMPLES=300 $(BIN)/pytest -q -rfE -m '' tests/fault tests/e2e/test_rest_fuzz.py
	@$(BIN)/python -m tests.fault.soak --minutes $(or $(MINUTES),30)

check: $(DEV) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(DEV) ## Measure, print the table, write build/bench.json
	@$(BIN)/python -m bench

lock: $(DEV) ## Compile the lock files anew
	@$(PIP) install --target build/uv uv
	@for set in "requirements.lock --group build" "requirements-dev.lock --group build --group dev"; do \
	  build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-header --upgrade pyproject.toml -o $$set || exit 1; done

clean: ## Remove what the commands made
	@rm -rf $(VENV) build .quartermaster

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Quartermaster needs Python 3.11 or newer, found " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Quartermaster into $(VENV) (once, about a minute) ..." >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Quartermaster and its test tools into $(VENV) (once) ..." >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(RUNTIME)
