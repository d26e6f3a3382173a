# Two commands matter: `make demo` and `make test`. Both make the environment they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick check bench soak clean

demo: $(VENV)/installed
	$(BIN)/minimr demo

test: $(VENV)/installed-test check
	$(BIN)/python -m pytest -n auto --dist loadscope

quick: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto --dist loadscope -m "not slow"

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The long versions: a hundred times as many simulated seeds, and many more real kills.
soak: $(VENV)/installed-test
	MINIMR_SOAK=100 $(BIN)/python -m pytest tests/simulator tests/fuzz tests/cluster/test_many_kills.py

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
