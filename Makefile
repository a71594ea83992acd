# The first python3 that is found makes the virtual environment; make PYTHON=python3.13 chooses another.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs matrix cow-story kernels clean

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(BIN)/airmem: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip  # older ones write a slower script
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m compileall -q airmem
	@touch $@

$(VENV)/.dev: $(BIN)/airmem
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

demo: $(BIN)/airmem ## start a small forking service, show ps and pss on it, end it
	@sh tests/demo.sh $(BIN)/airmem

test: $(VENV)/.dev ## run all tests
	$(BIN)/python -m compileall -q airmem
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, types and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

bench: $(VENV)/.dev ## measure the cost against cat and against peers
	$(BIN)/python -m compileall -q airmem
	$(BIN)/python tests/benchmarks/bench.py
	$(BIN)/python tests/benchmarks/contents.py
	$(BIN)/python tests/benchmarks/bench_hang.py
	$(BIN)/python tests/benchmarks/bench_cow.py
	$(BIN)/python tests/benchmarks/bench_imports.py

docs: $(VENV)/.docs ## make the examples anew from real runs and build the site
	$(BIN)/python docs/make_examples.py
	$(BIN)/mkdocs build --strict --quiet

matrix: $(VENV)/.dev ## run airmem cow with targets under every Python that can be had (downloads Debian's; needs root)
	$(BIN)/python -m tests.matrix.run $(MATRIX)

cow-story: $(VENV)/.dev ## measure how copy-on-write breaks in Python: the figures of docs/explanation/copy-on-write.md
	$(BIN)/python docs/cow_story.py

kernels: ## run airmem on other kernels under emulation (downloads Debian's)
	sh tests/kernels/run.sh

clean: ## remove what make has made
	rm -rf $(VENV) site dist build

.PHONY: e2e bundle memray-versions bench-analyze harm

memray-versions: $(VENV)/.dev ## trace and analyze with each memray that is supported (installs them)
	$(BIN)/python tests/memray_versions.py

bench-analyze: $(VENV)/.dev ## measure airmem analyze against the bare loop over memray's records
	$(BIN)/python -m compileall -q airmem
	$(BIN)/python tests/benchmarks/analyze.py

e2e: $(VENV)/.dev ## bring up a real Airflow, gunicorn and Celery, and check what airmem says of them
	AIRMEM_E2E=1 $(BIN)/python -m pytest tests/e2e

bundle: $(VENV)/.dev ## pack airmem for machines without a network: dist/airmem-VERSION-ARCH.tar.gz
	$(BIN)/python tools/bundle.py $(BUNDLE)

harm: $(VENV)/.dev ## interrupt airmem trace --attach in every way and at every moment, and look at the target
	AIRMEM_EVERY_ROUND=1 $(BIN)/python -m pytest tests/live/test_trace_attach.py
