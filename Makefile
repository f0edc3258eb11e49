# `make demo` and `make test` need nothing but Python 3.11 and make; the environment is built on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8

.PHONY: demo test ui lint format lock clients clean

# The stamp holds the environment until the lock file or the project file changes.
$(VENV)/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
# Byte-compile once: every dbt and Dagster process repays it (4.5 instead of 7.2 s of start-up).
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV)/.ready
	$(BIN)/attribution demo

ui: $(VENV)/.ready
	$(BIN)/attribution ui

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfmt --check --quiet dbt_attribution
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy --no-error-summary

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfmt --quiet dbt_attribution

# Resolve again after a change in pyproject.toml. Hashes, and no index address, go into the file.
lock: $(VENV)/.ready
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --quiet --output-file requirements.lock

# The vendors' own client libraries read the sandbox, each in an environment of its own under data/clients.
clients: $(VENV)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks.clients --install

clean:
	rm -rf data dbt_attribution/target
