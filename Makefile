# Needs Python >= 3.11 and make; everything else comes into .tools and .venv, with versions and hashes from uv.lock.
# Settings: PYTHON=python3.12 picks the interpreter; ARGS="-k money" goes to pytest, WORKERS=1 is how many run at once;
# DEMO="--payments 100" goes to the demo.

SHELL := /bin/sh
UV_VERSION := 0.13.8
UV := .tools/bin/uv
BIN := .venv/bin
READY := .venv/.ready
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
CODE := src tests
# Hundreds of processes are started here: none compiles what another has compiled before.
unexport PYTHONDONTWRITEBYTECODE
# One worker per processor, each with a PostgreSQL of its own; WORKERS=0 runs everything in one process.
WORKERS ?= logical
PYTEST = $(BIN)/python -m pytest --numprocesses=$(WORKERS) --maxprocesses=4 --dist=worksteal
DRILLS ?= standby partition restarts rolling overload disk feed clock keys

.PHONY: help setup demo test sim mutants check format lint types audit faults drills canaries
.DEFAULT_GOAL := help

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/' | expand -t 18

setup: $(READY) ## Make the environment: .venv/bin/scrooge

demo: $(READY) ## Start everything, make payments, say what happened, keep serving
	@exec $(BIN)/scrooge demo $(DEMO)

test: $(READY) ## Run the whole test suite
	@$(PYTEST) $(ARGS)

sim: $(READY) ## Simulated worlds: every crash point, operation, PSP and client (SIM="--seeds 5 --wild 10000")
	@$(BIN)/python -m tests.simulation $(or $(SIM),--seeds 1 --wild 5000)

mutants: $(READY) ## Deliberate bugs, one at a time, and which test notices each
	@$(BIN)/python -m tests.mutants $(MUTANTS)

check: $(READY) lint types ## Format, lint, types, architecture, tests
	@$(PYTEST) $(ARGS)

format: $(READY) ## Format the code
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: $(READY) ## Format, style, security, dependencies, migrations
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml -ll src
	@$(BIN)/deptry src
	@$(BIN)/squawk src/scrooge/storage/migrations/*.sql src/scrooge/vault/migrations/*.sql

types: $(READY) ## Check types
	@$(BIN)/pyrefly check --summary=none

faults: $(READY) ## Kill, freeze and cut everything everywhere; the money must be right (FAULTS="--minutes 20")
	@$(BIN)/python -m tests.faults $(FAULTS)

drills: $(READY) ## Lose databases, standbys, processes, room and time under load; ten minutes
	@failed=; for drill in $(DRILLS); do echo "$$drill:"; $(BIN)/python -m tests.drills.$$drill || failed="$$failed $$drill"; done; \
		test -z "$$failed" || { echo "failed:$$failed" >&2; exit 3; }

canaries: $(READY) ## Card numbers through every flow, fault and death; then everything is searched for them
	@$(BIN)/python -m tests.canaries $(CANARIES)

audit: $(READY) ## Known vulnerabilities in what we depend on (needs a network)
	@$(UV) export --locked --all-extras --all-groups --no-emit-project --quiet --output-file .tools/requirements.txt
	@$(BIN)/pip-audit --disable-pip --require-hashes --requirement .tools/requirements.txt

$(READY): pyproject.toml uv.lock | $(UV)
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --locked --all-extras --all-groups --quiet --compile-bytecode --python "$(PYTHON)"
	@touch $@

$(UV):
	@test -n "$(PYTHON)" || { echo "Scrooge needs Python 3.11 or newer with its venv and pip (on Debian: python3-venv): install it, or run" \
		"make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv .tools
	@echo '*' > .tools/.gitignore
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
