# Every target sets up what it needs by itself, once. Nothing but Python 3.11+ and a package index is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SETUP  := $(VENV)/.ready
# The CPU build of torch: found through local wheels where the machine names some, else by uv's own switch.
ifneq ($(strip $(PIP_FIND_LINKS)),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
else
export UV_TORCH_BACKEND ?= cpu
endif
export UV_LINK_MODE ?= copy

.DEFAULT_GOAL := help
.PHONY: help setup ask serve index eval bench fmt check test clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import importlib.util as u,sys; sys.exit(u.find_spec("uv") is None)' || $(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9 >&2
	@echo "Installing the pinned packages (once; about half a minute) ..." >&2
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -e '.[dev,train]' >&2
	@touch $@

setup: $(SETUP)  ## Install everything into .venv/

ask: $(SETUP)  ## Ask a question: make ask Q="零工驿站建了多少家?"
	@$(BIN)/rag ask "$(Q)"

serve: $(SETUP)  ## Start the HTTP service on http://127.0.0.1:8000
	@$(BIN)/rag serve

index: $(SETUP)  ## Bring the index up to date with seeds/
	@$(BIN)/rag index

eval: $(SETUP)  ## Slow quality run, compared with the committed baseline
	@$(BIN)/python bench/quality.py

bench: $(SETUP)  ## Measure cold start, warm latency and memory on this machine
	@$(BIN)/python bench/speed.py

fmt: $(SETUP)  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: $(SETUP)  ## Lint, types, import contract
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

test: check  ## Everything .ci/run runs: check, then the tests
	@$(BIN)/pytest -n 2

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find index -mindepth 1 ! -name README.md -delete
