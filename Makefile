# Two commands matter: `make demo` and `make test`. Both make the environment they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A module stays in one process, with its fixtures; tests/conftest.py puts the long modules first.
PARALLEL := -n auto --dist loadscope --no-loadscope-reorder
# The tests start hundreds of processes: none of them should compile what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick check bench soak clean

demo: $(VENV)/installed
	$(BIN)/minimr demo

test: $(VENV)/installed-test check
	$(BIN)/python -m pytest $(PARALLEL)

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything, in the long version: the tests that are marked `soak`, and a hundred times as many
# simulated seeds, damaged inputs and real kills.
soak: $(VENV)/installed-test
	MINIMR_SOAK=100 $(BIN)/python -m pytest

# `make bench CASE=cold` runs one case; MINIMR_BENCH_PEERS names a Python that has the peers.
bench: $(VENV)/installed-test
	$(BIN)/python -m tests.bench $(CASE)

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
