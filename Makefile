# make demo | test | check - the two first set up everything by themselves.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-matrix test-long bench bench-cost bench-fleet soak soak-healthy lint types docs docs-check wheel-test check clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "pgvigil needs Python >= 3.11 with the venv module (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,test]'
	@touch $@

setup: $(BIN)/.ready ## virtual environment with everything

demo: setup ## PostgreSQL + workload + trouble + alerts, on this machine (ARGS="--seconds 60")
	@$(BIN)/pgvigil demo $(ARGS)

# A file at a time to a worker, each with servers of its own; four on two cores, because scenes often wait. The order is ours
# (tests/conftest.py): scenes first.
PYTEST := $(BIN)/python -m pytest
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder

test: setup ## all tests that need only this machine
	$(PYTEST) $(PARALLEL) -m "not containers and not long" $(ARGS)

test-unit: setup ## the tests that need no server
	$(PYTEST) $(PARALLEL) tests/unit tests/house $(ARGS)

test-matrix: setup ## real servers of every version, 13 to 18 (downloads them; Linux x86_64)
	PGVIGIL_TEST_BINDIRS="$$($(BIN)/python -m tests.support.matrix)" \
	  $(PYTEST) $(PARALLEL) -m "not containers and not long" tests/pg tests/scenes $(ARGS)

test-long: test-matrix ## every version, a server in a container (needs a container engine), long faults, the soak
	$(PYTEST) -m containers tests/pg $(ARGS)
	$(PYTEST) $(PARALLEL) -m long tests/scenes $(ARGS)
	$(MAKE) soak
	$(MAKE) soak-healthy

soak: setup ## two hours and more, and their faults, in 25 minutes: nothing grows, nothing is missed
	$(BIN)/python -m tests.long.soak

soak-healthy: setup ## healthy servers, PostgreSQL 15 and 18, 40 minutes: nothing above info is told
	$(BIN)/python -m tests.long.healthy --write

bench: setup ## the promises in figures: promise, figure, holds yes or no
	$(BIN)/python -m tests.bench $(ARGS)

bench-fleet: setup ## the same with 200 targets, some of them in trouble (15 minutes)
	$(BIN)/python -m tests.bench fleet

bench-cost: setup ## what each collector costs servers of every version; writes docs/reference/cost.md (15 minutes)
	PGVIGIL_TEST_BINDIRS="$$($(BIN)/python -m tests.support.matrix)" $(BIN)/python -m tests.bench.bench_cost

lint: setup ## ruff, check and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

docs: setup ## write what is generated: config.example.toml, docs/reference
	$(BIN)/python -m daemon.settings.generate

docs-check: setup ## the generated files are current
	$(BIN)/python -m daemon.settings.generate --check

wheel-test: setup ## build the wheel, install it elsewhere, use it
	PYTHON="$(BIN)/python" bash .ci/wheel-test

check: ## what CI runs
	bash .ci/run

clean: ## remove what make made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
