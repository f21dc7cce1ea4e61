# `make demo` and `make test` are each complete on a machine that has Python 3.11+ and make.
# Stamp files in .venv keep what is installed from being installed again.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
OUT    := out
PEERS  := $(or $(GRIDTIDE_PEERS),$(HOME)/.cache/gridtide/peers)

# The one version of the tool that writes the locks; it lives apart from what it locks.
UV      := .cache/lock/bin/uv
UV_PIN  := 0.13.8
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
           --generate-hashes --no-header --no-annotate --no-strip-extras

EXTRAS := --extra kafka --extra kubernetes --extra modbus --extra mqtt --extra node --extra nvml --extra weather

MINIMUM_COVERAGE := 90

.DEFAULT_GOAL := help
.PHONY: help demo test test-peers check lint types imports bench bench-72h bench-rolling bench-forecasts \
    bench-clusters bench-streams bench-co-optimisation bench-field-event bench-gaia bench-single-job \
    peer-slurm peer-kubernetes peer-kueue peer-gridstatus lock clean

help:  ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: $(VENV)/.project  ## Plan, approve and carry out the example day; writes out/plan.html
	$(BIN)/gridtide demo --out $(OUT)

test: $(VENV)/.dev $(VENV)/.project  ## Run the whole test suite with coverage
	@.ci/system-packages
	$(BIN)/python -m pytest -n 3 --dist worksteal --durations=30 --cov \
	    --cov-report=term:skip-covered --cov-fail-under=$(MINIMUM_COVERAGE)

test-peers: peer-slurm peer-kubernetes peer-kueue peer-gridstatus test  ## Run it with every real server, built first

check: lint types imports test  ## Everything CI runs: style, types, imports, tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev $(VENV)/.project
	$(BIN)/mypy

imports: $(VENV)/.dev $(VENV)/.project
	$(BIN)/lint-imports

bench: $(VENV)/.bench $(VENV)/.project  ## Measure plans, bounds and rivals; writes benchmarks/RESULTS.md (an hour)
	$(BIN)/python -m benchmarks.scale --keep $(OUT)/scale-full

bench-72h: $(VENV)/.project  ## Plan 72 h of real data (11 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python benchmarks/philly_72h.py --out $(OUT)/philly_72h

bench-rolling: $(VENV)/.project  ## Replay half a year of real data under several policies (hours; goes on where it was)
	$(BIN)/python -m benchmarks.rolling_backtest --out $(OUT)/rolling_backtest --write

bench-forecasts: $(VENV)/.dev $(VENV)/.project  ## Score forecasts on half a year (10 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python -m benchmarks.forecast_scores --out $(OUT)/forecast_scores

bench-clusters: $(VENV)/.dev $(VENV)/.project  ## Real clusters: a day, a day of faults, a timed pass (25 minutes)
	$(BIN)/python -m benchmarks.clusters_day --out $(OUT)/clusters_day --seconds-per-hour 20
	$(BIN)/python -m benchmarks.chaos
	$(BIN)/python -m benchmarks.dispatch_pass

bench-streams: $(VENV)/.dev $(VENV)/.project  ## Streams: rate, delay, twenty kills of each way in (10 minutes)
	$(BIN)/python -m benchmarks.ingestion

bench-co-optimisation: $(VENV)/.dev $(VENV)/.project  ## Jobs and batteries planned alone, apart and as one (10 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python -m benchmarks.co_optimisation --write

bench-field-event: $(VENV)/.dev $(VENV)/.project  ## The field event of Phoenix planned (8 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python -m benchmarks.field_event --time-limit 200 --write

bench-gaia: $(VENV)/.project  ## GAIA's week: its policies reproduced, its assumptions dropped (12 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python -m benchmarks.gaia --write

bench-single-job: $(VENV)/.project  ## The published single-job table, replayed (3 minutes; needs GRIDTIDE_DATA)
	$(BIN)/python -m benchmarks.single_job --write

peer-slurm:  ## Install a current Slurm apart, for tests (with slurmdbd; root; a minute, 700 MB)
	deploy/peers/slurm/build.sh $(PEERS)/slurm-trixie

peer-kubernetes:  ## Build the Kubernetes that tests drive, if it is not there (10 minutes; needs Go)
	deploy/peers/kubernetes/build.sh

peer-kueue:  ## Build the Kueue that tests drive beside it, if it is not there (4 minutes; needs Go)
	deploy/peers/kueue/build.sh

peer-gridstatus:  ## Install the gridstatus that tests drive, in a Python of its own (a minute)
	PYTHON=$(PYTHON) deploy/peers/gridstatus/build.sh

lock: $(UV)  ## Write the lock files anew from pyproject.toml, keeping pins that still fit
	$(COMPILE) --group build $(EXTRAS) pyproject.toml --output-file requirements.lock
	$(COMPILE) --group build --extra dev --constraints requirements.lock pyproject.toml \
	    --output-file requirements-dev.lock
	$(COMPILE) --group build $(EXTRAS) --extra bench \
	    --constraints requirements-dev.lock pyproject.toml --output-file requirements-bench.lock
	$(COMPILE) deploy/peers/gridstatus/requirements.in \
	    --output-file deploy/peers/gridstatus/requirements.lock

clean:  ## Remove everything that was made, .venv included
	rm -rf $(VENV) $(OUT) .cache build dist .coverage .coverage.* htmlcov *.egg-info \
	    .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Gridtide needs Python 3.11 or newer; '$(PYTHON)' is" \
	         "$$($(PYTHON) --version 2>&1 | tail -n 1)." \
	         "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock $(VENV)/.created
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.created
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.runtime

# Beside what is there already: rivals the optimiser is measured against.
$(VENV)/.bench: requirements-bench.lock $(VENV)/.created
	$(PIP) --require-hashes -r requirements-bench.lock
	@touch $@ $(VENV)/.runtime

# Built with the setuptools of the lock, not with one fetched for the occasion.
$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(UV):
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_PIN)
