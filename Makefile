# The door. `make` alone prints this help; every target sets up the virtual environment by itself.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
REQUIREMENTS := requirements-dev.txt
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types layers terraform up down simulate kill bench cost capacity scan package lock clean

help:  ## Print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Compiled on all cores, where pip would use one. What does not compile matters when it is imported.
$(READY): $(REQUIREMENTS) pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is needed: install Python 3.11, or name one with make PYTHON=..."; exit 1; }
	@echo "setting up $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --requirement $(REQUIREMENTS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

demo: $(READY)  ## A shop's fortnight through two journeys, in-process, judged against its log lines
	@$(BIN)/sojourn demo

test: $(READY)  ## All tests, a worker per core (WORKERS=0: none); without Google's emulators theirs are skipped, with the reason
	@$(BIN)/pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## What CI runs: lint, types, layers, Terraform checks, tests
	@$(MAKE) --no-print-directory --jobs 2 lint layers terraform types
	@$(MAKE) --no-print-directory test

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: $(READY)
	@$(BIN)/mypy shared/sojourn emulator functions bench infra
	@$(BIN)/mypy tests

layers: $(READY)
	@$(BIN)/lint-imports

up: $(READY)  ## The local cloud on Google's emulators; Ctrl-C ends it
	@$(BIN)/sojourn up

down: $(READY)  ## End the local cloud
	@$(BIN)/sojourn down

bench: $(READY)  ## Measure the engine on this machine
	@$(BIN)/python -m bench

simulate: $(READY)  ## Thousands of bad days in a simulated cloud: SEEDS=n days, or SEED=n one, with its trace
	@SEED=$(SEED) SEEDS=$(SEEDS) $(BIN)/python -m tests.simulation

kill: $(READY)  ## Kill functions 20 times among 3,000 members on Google's emulators: nobody stuck, lost or doubled
	@$(BIN)/python -m emulator.kill

cost: $(READY)  ## What a million members and an idle month cost, from counted operations and list prices
	@$(BIN)/python -m infra.cost

capacity: $(READY)  ## What a load takes: instances, shards, ramp, dollars; ten million members at nine o'clock
	@$(BIN)/python -m infra.capacity

terraform: package  ## Format, validity, tests and plans of the infrastructure, without Google Cloud
	@$(BIN)/python infra/terraform.py

scan: requirements-scan.txt  ## Checkov over the infrastructure, in a virtual environment of its own (100 packages)
	@[ $(VENV)-scan/ready -nt $< ] || { $(PYTHON) -m venv --clear $(VENV)-scan && \
		$(VENV)-scan/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< && touch $(VENV)-scan/ready; }
	@$(VENV)-scan/bin/checkov --directory infra --framework terraform --quiet --compact --skip-download

package: $(READY)  ## A deterministic archive for each function, in build/
	@$(BIN)/python infra/package.py

lock: $(READY)  ## Pin the newest versions that pyproject.toml allows
	@$(BIN)/python infra/lock.py

clean:  ## Remove what was made here
	@rm -rf $(VENV) $(VENV)-scan build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
