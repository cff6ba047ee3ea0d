# condstore: `make` alone lists the verbs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS_STAMP := .tools/.installed
AIRFLOW := .venv-airflow
AIRFLOW_STAMP := $(AIRFLOW)/.installed
LOCKED := --disable-pip-version-check --quiet --no-input
# Tests run file by file, for the servers of a file start once; three at a time where there are two
# cores, for nearly half of a test's time it waits.
JOBS ?= $(shell echo $$(($$(nproc) * 3 / 2)))
SECONDS ?= 60
MINUTES ?= 120
SIZES ?= 10000 100000 1000000
PYTEST := pytest -q -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: help setup run demo test test-long fuzz soak test-airflow lint fmt bench bench-conditions bench-client bench-sizing bench-backup images-check docs lock clean distclean

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) $(TOOLS_STAMP) ## make .venv with the locked dependencies, and .tools with what no wheel brings

$(STAMP): lock/dev.txt pyproject.toml lock/ensure-python.sh
	@bash lock/ensure-python.sh $(PYTHON)
	@echo "setup: installing the locked dependencies into $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install $(LOCKED) --require-hashes -r lock/dev.txt
	@$(BIN)/pip install $(LOCKED) --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS_STAMP): lock/ensure-tools.sh
	@bash lock/ensure-tools.sh

run: setup ## start both tiers, stream real strain, freeze, resolve, fetch; serve until Ctrl-C
	@$(BIN)/condstore demo --serve

demo: setup ## the same, but stop at the end: exit 0 if every step held, 1 if not
	@$(BIN)/condstore demo

test: lint ## lint, types and every test, on all cores (JOBS=0: one after the other)
	@$(BIN)/$(PYTEST)

test-long: setup ## every test in its long form: more rounds, larger files, more random input
	@CONDSTORE_LONG=1 FUZZ_SECONDS=$(SECONDS) $(BIN)/$(PYTEST) --timeout 1800

fuzz: setup ## every parser under a coverage-guided fuzzer, SECONDS=60 each; inputs are kept in var/fuzz
	@FUZZ_SECONDS=$(SECONDS) FUZZ_CORPUS=$(CURDIR)/var/fuzz $(BIN)/$(PYTEST) --dist load tests/fuzz

soak: setup ## both tiers under everything at once for MINUTES=120; fails if anything grows
	@SOAK_MINUTES=$(MINUTES) $(BIN)/pytest -q -s tests/e2e/test_soak.py

test-airflow: $(AIRFLOW_STAMP) ## types and tests of the Airflow provider and DAGs, in an environment of their own
	@$(AIRFLOW)/bin/mypy $$(find client/condstore/airflow client/dags -name '*.py')
	@$(AIRFLOW)/bin/$(PYTEST) tests/airflow

$(AIRFLOW_STAMP): lock/airflow.txt pyproject.toml lock/ensure-python.sh
	@bash lock/ensure-python.sh $(PYTHON)
	@echo "setup: installing Airflow and the locked dependencies into $(AIRFLOW) (about a minute)"
	@test -x $(AIRFLOW)/bin/python || $(PYTHON) -m venv $(AIRFLOW)
	@$(AIRFLOW)/bin/pip install $(LOCKED) --require-hashes -r lock/airflow.txt
	@$(AIRFLOW)/bin/pip install $(LOCKED) --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup ## ruff, mypy and hadolint, nothing changed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile.*

fmt: setup ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## measure against the machine's own floor; prints the table for docs/benchmarks.md
	@$(BIN)/python -m benchmarks

bench-conditions: setup ## the conditions database under the field's own scenarios, about fifteen minutes
	@$(BIN)/python -m benchmarks conditions

bench-client: setup ## the library and the command: producer, cache, bundles, start time, about three minutes
	@$(BIN)/python -m benchmarks client

bench-backup: setup ## backup, verify, restore beside tar; ARGS="--types 20 --iovs 1000 --blobs 2000" for a small store
	@$(BIN)/python -m benchmarks.backup $(ARGS) --markdown

bench-sizing: setup ## disk, memory and start times for SIZES IOVs, the tables of docs/operations.md
	@$(BIN)/python -m benchmarks.sizing $(SIZES) --markdown

images-check: setup ## build the images and run them for real, without a registry or an engine (root, a few minutes)
	@PYTHON=$(BIN)/python bash images/check.sh

docs: setup ## check that the documentation says what is there: links, tests it names, variables, tables
	@$(BIN)/pytest -q tests/unit/test_documentation.py tests/unit/test_configuration.py

lock: ## resolve the dependencies anew (needs uv), one consistent set for make and the images
	@bash lock/relock.sh

clean: ## remove caches and build output; keeps .venv and var/
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist site
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './$(AIRFLOW)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv, .venv-airflow and .tools (the data under var/ stays)
	rm -rf $(VENV) $(AIRFLOW) .tools
