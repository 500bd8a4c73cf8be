# Everything works from a fresh clone: train and test set up first. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint types bench bench-packers bench-gpu clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with the pinned packages, QM9 included

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "gnnpack: make setup needs Python 3.10 or newer, and %s is %s. Name another: make setup PYTHON=python3.11" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[qm9,pyg,dev]'
	touch $(STAMP)

train: $(STAMP) ## Train SchNet on QM9 in packs: at most ten minutes on two cores
	$(BIN)/python train.py experiment=qm9_ten_minutes

test: $(STAMP) ## Fast tests: CPU, no network
	$(BIN)/python -m pytest -q -m "not slow"

test-all: $(STAMP) ## All tests, the slow ones and those on the whole of QM9 too
	$(BIN)/python -m pytest -q

lint: $(STAMP) ## Style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Types, strictly
	$(BIN)/mypy

bench: $(STAMP) ## Time everything up to whole training runs, beside PyG's; writes outputs/bench/
	$(BIN)/gnnpack bench

bench-packers: $(STAMP) ## Compare all packers: packs, bound, time, memory; writes outputs/bench/
	$(BIN)/gnnpack bench packers

bench-gpu: $(STAMP) ## Time a CUDA GPU in nine minutes, and go on where it stopped; writes outputs/bench/gpu/
	$(BIN)/gnnpack bench gpu

clean: ## Remove what setup and the tools made; data and outputs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
