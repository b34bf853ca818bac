# Needs make and Python >= 3.11, nothing else. `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.exc-installed
# Absolute, and whole where the path to the checkout holds a space.
BIN_PATH = $$(cd "$(BIN)" && pwd)
# Tests train tiny models in several processes at once; more threads than this only get in each other's way.
TEST_ENV = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} TOKENIZERS_PARALLELISM=false

.DEFAULT_GOAL := help
# Each target uses both cores or the one environment: never two at once, whatever -j says.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help install quickstart check test test-ci test-slurm ci golden bench docs

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

install: $(STAMP)  ## make .venv and install exc into it; again only when its requirements changed

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"exc needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Choose one with: make PYTHON=python3.11")'
	@"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch "$(STAMP)"

quickstart: $(STAMP)  ## compile, run and report the smallest real experiment
	@bin="$(BIN_PATH)" && cd examples/quickstart && PATH="$$bin:$$PATH" && export PATH \
	  && exc compile && exc submit && exc report
	@test -s examples/quickstart/report/index.html
	@printf '\nThe report: %s\n' "$(CURDIR)/examples/quickstart/report/index.html"

check: $(STAMP)  ## lint, format and types, as CI has them
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/pyright" --pythonpath "$(BIN)/python"

test: $(STAMP)  ## every test but the minutes-long ones
	$(TEST_ENV) "$(BIN)/python" -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-ci: $(STAMP)  ## the minutes-long tests: the quickstart in full, kills, faults, an editor
	$(TEST_ENV) "$(BIN)/python" -m pytest -m "ci and not slurm" -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-slurm: $(STAMP)  ## the tests on a real SLURM, which they start on this machine; needs root, and Debian or the packages
	$(TEST_ENV) "$(BIN)/python" -m pytest -m slurm tests/slurm $(PYTEST_ARGS)

ci: check test test-ci test-slurm  ## all of the above

golden: $(STAMP)  ## rewrite the golden files; read the difference before committing it
	EXC_UPDATE_GOLDEN=1 $(TEST_ENV) "$(BIN)/python" -m pytest -m "not slow and not ci and not slurm" $(PYTEST_ARGS)
	@git --no-pager diff --stat -- tests

bench: $(STAMP)  ## measure what the documentation claims
	"$(BIN)/python" benchmarks/run.py

docs: $(STAMP)  ## build the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict
	@printf 'The site: %s\n' "$(CURDIR)/build/site/index.html"
