# `make help` lists what there is. Every target prepares .venv first; a second time that costs nothing.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test test-faults check audit lint types imports bench bench-peers bench-scaling endurance lock clean dev

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## start everything
	$(PYTHON) run

dev: ## .venv with what development needs
	@$(PYTHON) run --prepare --dev

test: dev ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-faults: dev ## kills, stops, slows and cuts the real processes; prints what came of it
	$(BIN)/python -m pytest -m faults tests/faults

check: lint types imports ## what CI checks beside the tests

audit: dev ## known vulnerabilities of what is installed; where the advisories cannot be reached it says so
	$(BIN)/uvx --quiet pip-audit@2.10.1 -r requirements.txt --disable-pip --no-deps --progress-spinner off

lint: dev ## style
	$(BIN)/ruff check . run
	$(BIN)/ruff format --check . run

types: dev ## mypy --strict
	$(BIN)/mypy

imports: dev ## who may import whom
	$(BIN)/lint-imports

bench: dev ## figures, as shares of a bare ASGI hello in the same run
	$(BIN)/python -m bench

bench-peers: dev ## the same requests through LiteLLM, Llama Stack and Portkey (installs them under var/peers)
	$(BIN)/python -m bench.peers

bench-scaling: dev ## two web processes beside one
	$(BIN)/python -m bench.scaling

endurance: dev ## ten minutes of mixed traffic, then 2,000 streams at once
	$(BIN)/python -m bench.endurance

lock: dev ## requirements*.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-header --generate-hashes --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --no-header --generate-hashes --no-annotate pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean: ## caches; the data under var/ stays
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
