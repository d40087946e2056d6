# make demo   set everything up and run the main command
# make test   set everything up, then lint, type-check and test
# Both work on a bare machine with Python 3.11+ (PYTHON=... chooses another interpreter).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: setup demo test lint docs linkcheck clean

setup: $(VENV)/.dev

demo: $(VENV)/.base
	$(BIN)/pwoct-cost --alpha 0.25 --beta 2 --paths HL,LH,LL

# One process per core with one thread each; a file stays in one process, which builds once what its tests share.
test: $(VENV)/.dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

# Asks every site that the documentation links to; `make test` asks nothing of the network.
linkcheck: $(VENV)/.dev
	$(BIN)/sphinx-build -W -b linkcheck docs docs/_build/linkcheck

clean:
	rm -rf $(VENV) build dist docs/_build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pwoct-cost needs Python 3.11 or newer, got: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.base
