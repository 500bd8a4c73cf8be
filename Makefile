# Everything works from a fresh clone: train and test set up first. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# The environment of an IPU machine; POPLAR_SDK is the unpacked SDK's folder, if there is one.
PYTHON38 ?= python3.8
POPLAR_SDK ?=
POPTORCH := $(if $(POPLAR_SDK),$(wildcard $(POPLAR_SDK)/poptorch-*-cp38-*.whl))
IPU_VENV := .venv-ipu
IPU_STAMP := $(IPU_VENV)/.ready$(if $(POPLAR_SDK),-poptorch)
# The rooms an IPU run passes through, and the runs themselves.
IPU_TESTS := $(wildcard $(addprefix tests/,packing store batching datasets kernels objective models \
	training accelerators ipu_emulator run experiments tracking/test_progress.py test_rooms.py))

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint types bench bench-packers bench-gpu setup-ipu test-ipu-env clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with the pinned packages, QM9 included

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "gnnpack: make setup needs Python 3.10 or newer, and %s is %s. Name another: make setup PYTHON=python3.11" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[qm9,pyg,dev]'
	@# launcher=ray is composed in a test; Ray itself, which that does not need, takes 80 MB and more.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps hydra-ray-launcher
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

setup-ipu: $(IPU_STAMP) ## Make .venv-ipu, Python 3.8; POPLAR_SDK=FOLDER adds PopTorch
ifneq ($(POPTORCH),)
	@echo "gnnpack: $(IPU_VENV) has $(notdir $(POPTORCH)); source $(POPLAR_SDK)/enable before a run"
else
	@echo "gnnpack: no POPLAR_SDK was named: in $(IPU_VENV) only accelerator=ipu_emulator will run, unless PopTorch was installed there before"
endif

$(IPU_VENV)/.ready $(IPU_VENV)/.ready-poptorch: pyproject.toml constraints-ipu.txt
	@$(PYTHON38) -c '' || { echo "gnnpack: PYTHON38=$(PYTHON38) does not start. Name a Python 3.8: make setup-ipu PYTHON38=/path/to/python3.8" >&2; exit 1; }
	@$(PYTHON38) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 8) else "gnnpack: make setup-ipu needs Python 3.8, which the wheels of PopTorch 3.3 and 3.4 are for, and %s is %s. Name another: make setup-ipu PYTHON38=/path/to/python3.8" % (sys.executable, sys.version.split()[0]))'
ifneq ($(POPLAR_SDK),)
	@test -n "$(POPTORCH)" || { echo "gnnpack: there is no poptorch-*-cp38-*.whl in POPLAR_SDK=$(POPLAR_SDK). Name the folder of an unpacked Poplar SDK 3.3 or 3.4 for Ubuntu 20.04, the one with the file enable in it" >&2; exit 1; }
endif
	$(PYTHON38) -m venv $(IPU_VENV)
	$(IPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-ipu.txt --editable '.[ipu,qm9,pyg]' hypothesis pytest pytest-xdist $(POPTORCH)
	touch $(IPU_VENV)/.ready $@

test-ipu-env: $(IPU_VENV)/.ready ## The fast tests an IPU run passes through, in .venv-ipu
	$(IPU_VENV)/bin/python -m pytest -q -m "not slow" $(IPU_TESTS)

clean: ## Remove what setup and the tools made; data and outputs stay
	rm -rf $(VENV) $(IPU_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
