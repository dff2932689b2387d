# Every target sets up what it needs by itself, once. Nothing but Python 3.11+ and a package index is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SETUP  := $(VENV)/.ready
SEEDS  := $(or $(RAG_SEEDS_DIR),seeds)
BUILT  := $(or $(RAG_INDEX_DIR),index)/CURRENT
export Q
# The CPU build of torch: found through local wheels where the machine names some, else by uv's own switch.
ifneq ($(strip $(PIP_FIND_LINKS)),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
else
export UV_TORCH_BACKEND ?= cpu
endif
export UV_LINK_MODE ?= copy

# What `rag ask` imports: compiled once here, so that the first question does not wait for it.
COLD := numpy safetensors faiss tokenizers onnxruntime

.DEFAULT_GOAL := help
.PHONY: help setup ask serve index eval bench fmt check test clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import importlib.util as u,sys; sys.exit(u.find_spec("uv") is None)' || $(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9 >&2
	@echo "Installing the pinned packages (once; about half a minute) ..." >&2
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -c constraints.txt -e '.[dev,train]' >&2
	@cd $(VENV)/lib/python3*/site-packages && ../../../bin/python -m compileall -q -j 0 $(COLD) $(CURDIR)/rag
	@touch $@

# The index is brought up to date when there is none, or when a letter or the program that reads it is newer. The shell looks, and
# not make, which takes a blank in the name of a file for the end of it. One letter that cannot be read is told of and stops nothing.
.PHONY: built
built: $(SETUP)
	@test -f "$(BUILT)" && test -z "$$(find "$(SEEDS)" rag/*.py rag/models/embedder -newer "$(BUILT)" | head -n 1)" || \
	  { $(BIN)/rag index && touch -c "$(BUILT)"; } || true

setup: $(SETUP)  ## Install everything into .venv/

ask: built  ## Ask a question: make ask Q="零工驿站建了多少家?"
	@$(BIN)/rag ask "$$Q"

serve: built  ## Start the HTTP service on http://127.0.0.1:8000
	@$(BIN)/rag serve

index: $(SETUP)  ## Bring the index up to date with the letters in seeds/
	@$(BIN)/rag index

eval: $(SETUP)  ## Slow quality run, compared with the committed baseline
	@$(BIN)/python bench/quality.py

bench: $(SETUP)  ## Measure speed on this machine, then beside LangChain, LlamaIndex, Haystack and txtai (10 minutes)
	@$(BIN)/python bench/speed.py
	@$(BIN)/python bench/peers/run.py

fmt: $(SETUP)  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: $(SETUP)  ## Lint, types, import contract
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

test: check  ## Everything .ci/run runs: check, then the tests
	@$(BIN)/pytest -n 2

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find index -mindepth 1 ! -name README.md -delete
