# `make run` and `make test` are the two commands; the others are for those who work on it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETTINGS := etc/hostedge.toml

.PHONY: run test test-apps lint types unit live deep fuzz clean

run: $(VENV)/installed
	@exec $(BIN)/hostedge demo --settings $(SETTINGS) etc/demo.yaml

test: $(VENV)/test-installed lint types unit live

lint: $(VENV)/test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/test-installed
	$(BIN)/mypy

unit: $(VENV)/test-installed
	$(BIN)/python tests/run.py unit

live: $(VENV)/test-installed
	$(BIN)/python tests/run.py live

test-apps: $(VENV)/test-installed
	$(BIN)/python tests/run.py apps

deep: $(VENV)/test-installed
	HYPOTHESIS_PROFILE=deep $(BIN)/python tests/run.py unit

# how many inputs each parser of what strangers send is given, beyond its corpus
RUNS := 100000

fuzz: $(VENV)/test-installed
	$(BIN)/pip install --quiet --editable '.[fuzz]' --config-settings editable_mode=compat
	for name in h1 h2 client_hello proxy_protocol; do \
		$(BIN)/python -m tests.fuzz $$name --runs $(RUNS) || exit 1; done
	$(BIN)/python -m tests.fuzz --lines

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# editable_mode=compat puts this folder on the path, where twistd finds the plug-in
$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable . --config-settings editable_mode=compat
	@touch $@

$(VENV)/test-installed: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]' --config-settings editable_mode=compat
	$(BIN)/python tests/install.py
	@touch $@

clean:
	rm -rf $(VENV) build var *.egg-info

-include benchmarks/bench.mk
