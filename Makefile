# Two commands matter: `make demo` renders a music video of a song that Motes composes, `make test` passes the tests.
# Another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Files that mark an environment as ready: for Motes and its service, and for tests and linters, too.
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev

# Images often set this; every process would then compile all modules that it imports, which takes longer than all else.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev demo serve test campaigns nightly prove mutate check check-lint check-format \
	check-types check-layers format docs gallery filter-banks textures typefaces dashboards \
	bench lock upgrade clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(READY)  ## create the environment in .venv and compile the kernels

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Motes needs Python 3.11 or newer: none was found on PATH" >&2; exit 1; }
	@$(PYTHON) deploy/environment.py $(VENV) requirements.lock
	@touch $(READY)

setup-dev: $(DEV)  ## the same, with everything that tests and linters need

$(DEV): $(READY) requirements-dev.lock
	@$(BIN)/python deploy/environment.py $(VENV) requirements-dev.lock
	@touch $(DEV)

demo: $(READY)  ## render 20 s of a demo song at 1080p through the REST API, into out/
	$(BIN)/python -m services.cli.demo out

serve: $(READY)  ## run the service: the REST API and workers
	$(BIN)/motes serve

PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20

test: $(DEV)  ## run the tests, except campaigns
	$(PYTEST) -m 'not campaign and not nightly'

campaigns: $(DEV)  ## run the long tests: faults, load, full disks, fresh environments, fuzzing, no compiler
	$(PYTEST) -m campaign

nightly: $(DEV)  ## run the tests that take hours: hundreds of faults, long soaks, thousands of generated requests
	$(BIN)/python -m pytest -s --durations 0 -m nightly

mutate: $(DEV)  ## mutate the code in chosen places and list the mutants that no test kills
	$(BIN)/python -m tests.mutate

prove: $(DEV)  ## run the tests three times beside four busy processes, then once niced to 19
	$(BIN)/python -m tests.prove

check: $(DEV)  ## check lint, format, types and layers
	$(MAKE) --jobs --output-sync --keep-going --no-print-directory check-lint check-format check-types check-layers

check-lint:
	$(BIN)/ruff check .

check-format:
	$(BIN)/ruff format --check .

check-types:
	$(BIN)/mypy

check-layers:
	$(BIN)/lint-imports

format: $(DEV)  ## fix lint and format automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV)  ## build the documentation site into out/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

gallery: $(DEV)  ## render the pictures of the docs: all types and presets
	$(BIN)/python docs/gallery.py

filter-banks: $(DEV)  ## write the filter banks of the analysis with librosa
	$(BIN)/python -m ecs_core.audio.make_filter_banks

textures: $(DEV)  ## draw the pictures that particles can have
	$(BIN)/python -m ecs_core.raster.make_textures

typefaces: $(DEV)  ## make the fonts that Motes comes with from packages of PyPI
	$(BIN)/python -m ecs_core.text.make_typefaces
	$(BIN)/python docs/typefaces.py

dashboards: $(DEV)  ## write the Grafana dashboards as JSON
	$(BIN)/python -m deploy.grafana

# Benchmarks say at the top how to run them; the other modules in bench/ are parts of them.
bench: $(DEV)  ## run every benchmark, one after the other, and list those that missed a goal (two hours)
	@for script in $$(grep -l '^ *python bench/' bench/*.py); do \
		echo "== $$script"; $(BIN)/python $$script || missed="$$missed $$script"; done; \
		test -z "$$missed" || { echo "failed, or missed a goal:$$missed" >&2; exit 1; }

# One lock fits all Pythons, by markers. setuptools is pinned because pip needs it to install this folder.
COMPILE = echo 'setuptools>=77' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 $(UPGRADE) \
	--custom-compile-command 'make lock' --output-file

lock: $(DEV)  ## update the locks from pyproject.toml; versions that still fit stay
	$(COMPILE) requirements.lock --extra service pyproject.toml -
	$(COMPILE) requirements-dev.lock --all-extras --constraint requirements.lock pyproject.toml -

upgrade:  ## update the locks to the newest versions that fit pyproject.toml
	$(MAKE) lock UPGRADE=--upgrade

clean:  ## delete the environment and everything rendered
	rm -rf $(VENV) out build dist *.egg-info
