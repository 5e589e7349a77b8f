# Everything a developer types. Bare `make` lists the targets.
# `make setup` builds .venv once; it is repeated only when pyproject.toml or constraints.txt change.

VENV   := .venv
PYTHON := $(VENV)/bin/python
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format reference web bench campaign clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## build .venv with the project, its tools and its test tools
	@echo "setup: $(VENV) is ready"

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@sh scripts/setup.sh $(VENV)
	@touch $@

demo: $(READY) ## audit this repository (or REPO=path), kill -9 it midway, resume it, show what was reused
	@$(PYTHON) scripts/demo.py $(if $(REPO),--repo "$(REPO)")

test: ## every stage of the tests with its time (or ONLY=unit, ONLY=crash, ...)
	@started=$$(date +%s) && $(MAKE) --no-print-directory setup && \
	  $(PYTHON) scripts/stages.py --setup-started $$started $(ONLY)

check: $(READY) ## lint, format and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

format: $(READY) ## rewrite the code in the project's format
	@$(PYTHON) -m ruff check --fix-only --quiet .
	@$(PYTHON) -m ruff format .

reference: $(READY) ## write docs/reference from the code
	@$(PYTHON) scripts/generate_reference.py

web: $(READY) ## build the command center for the server (needs Node.js; its tests: make test ONLY=web)
	@$(PYTHON) scripts/web.py build

bench: $(VENV)/.bench-ready ## the tables of bench/README.md (ratios within one run; ONLY=appends, QUICK=1)
	@$(PYTHON) -m bench $(if $(QUICK),--quick) $(ONLY)

$(VENV)/.bench-ready: $(READY)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

campaign: $(READY) ## the long tests: 500 kills, a minute of contention, planted defects (some hours)
	@HYPOTHESIS_PROFILE=campaign $(PYTHON) -m pytest --timeout 3600 tests/campaign tests/property

clean: ## remove .venv, caches and build products
	@rm -rf $(VENV) build dist web/dist web/node_modules web/src/runtime/dist src/runstone/server/static .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
