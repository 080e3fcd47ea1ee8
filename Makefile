# make plan       install into .venv and plan a real run
# make test       linters, types, layers, then the tests
# make lint       the checks without the tests
# make bench      the figures of speed, printed
# make calibrate  refit the constants and intervals from the evidence, rewrite the pages (minutes)
# make pages      rewrite the pages and tables that are generated
# make largest    the ten largest modules: a file is a topic, not a length
# make clean      remove what the build made

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq  # errors only

.PHONY: plan test lint bench calibrate pages largest clean
.DEFAULT_GOAL := plan

plan: $(VENV)/.installed
	@$(BIN)/isocost plan --model examples/models/llama-3.1-70b/config.json --tokens "15 T" --deadline "60 d" \
	  --on h100-sxm5-80gb,h200-sxm-141gb,b200-sxm-180gb

# The linters run first, so that the summary of pytest is the last line.
test: lint
	@$(BIN)/python -m pytest -q -n 2

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy --no-error-summary src
	@$(BIN)/lint-imports --no-logo > $(VENV)/layers.log 2>&1 || { cat $(VENV)/layers.log; exit 1; }

bench: $(VENV)/.installed-dev
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

# One thread, so that sums are taken in one order: the same evidence and code give the same bytes.
calibrate: $(VENV)/.installed-dev
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m isocost.calibration evidence/training_runs.csv -o src/isocost/data
	@$(MAKE) --no-print-directory pages

pages: $(VENV)/.installed-dev
	@set -e; for page in accuracy constants readme_answer glossary keys doctor answers goodput money prices; do PYTHONPATH=scripts $(BIN)/python -m pages.write_$$page; done
	@$(BIN)/python scripts/golden_explanations.py

largest:
	@wc -l $$(git ls-files 'src/*.py') | sort -rn | sed -n 2,11p

$(BIN)/python:
	@python=; for candidate in python3.11 python3 python3.13 python3.12; do \
	  if command -v $$candidate > /dev/null && \
	     $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "isocost needs Python 3.11 or later; found $$(python3 --version 2>&1)" >&2; exit 1; fi; \
	$$python -m venv $(VENV)

# The stamps make a second run quick; the install is editable, so only pyproject.toml can outdate it.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@$(PIP) -e '.[dev,fit]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
