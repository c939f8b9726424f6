# Every target installs what it needs; `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=
STUDY := $(or $(lastword $(patsubst experiments=%,%,$(filter experiments=%,$(ARGS)))),demo)
CORPUS := $(or $(patsubst corpus=%,%,$(filter corpus=%,$(ARGS))),$(if $(filter paper,$(STUDY)),casme3,synthetic))
RUN ?= runs/$(STUDY)/$(CORPUS)
SETUP := .venv/.done
BIN := .venv/bin

help:     ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## Install merec and its tools into .venv
$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "merec needs Python 3.11 to 3.13, set PYTHON=…"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]' --constraint constraints.txt
# So that later steps run offline; where they cannot be had, make test skips what needs them.
	$(BIN)/python -m merec.assets || true
	touch $@

# Compiled modules are kept even where the environment forbids it: compiling all of them takes each process 13 seconds.
test test-all: export PYTHONDONTWRITEBYTECODE :=
test: $(SETUP)     ## Run the tests that take less than five minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-all: $(SETUP) ## Run all tests, the slow ones too
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'slow or not slow' $(ARGS)

lint: $(SETUP)     ## Check format, style, types and that imports point one way
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python checks/language.py benchmarks checks docs merec tests
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(SETUP)     ## Build the documentation into build/site, without a network; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

reference: $(SETUP) ## Write the pages of verbs and config keys again
	$(BIN)/python docs/reference/generate.py

pictures: $(SETUP) ## Draw the pictures of README and documentation again, after make sweep
	$(BIN)/python docs/pictures/draw.py

# Of the demo: its controls on the same folds, and how good a depth camera must be.
BESIDE := $(if $(filter demo,$(STUDY)),demo_controls demo_random_encoder demo_emotion demo_depth)

# What a sweep of the demo left, and whether code or choices changed since; of your own data only merec can tell.
SWEPT := runs/demo/.swept
STATE := { cksum runs/report/report.html; find runs/demo runs/demo_emotion -name metrics.json | wc -l; }
CHANGED := find merec conf experiments $(SETUP) -newer $(SWEPT) -type f ! -name '*.pyc'

sweep: $(SETUP)    ## Faces, features, both networks on rgb, depth and fused over all subjects, the report (demo scale)
	@if $(if $(ARGS),false,[ -f $(SWEPT) ]) && [ "$$($(STATE) 2>&1)" = "$$(cat $(SWEPT))" ] && [ -z "$$($(CHANGED))" ]; then \
		echo "complete, and nothing changed since: runs/report/report.html (rm $(SWEPT) looks at every run again)"; \
	else \
		$(MAKE) --no-print-directory sweep-all; \
	fi

sweep-all: $(SETUP)
	$(BIN)/merec doctor experiments=$(STUDY) $(filter corpus%,$(ARGS))
	$(BIN)/merec prepare experiments=$(STUDY) $(filter corpus% features%,$(ARGS))
	$(BIN)/merec train -m experiments=$(STUDY) $(ARGS)
	$(foreach each,$(BESIDE),$(BIN)/merec train -m experiments=$(each) $(filter corpus% features% seed=% task.groups=% task.min_subjects=%,$(ARGS)) && ) true
	$(if $(BESIDE),$(BIN)/merec report runs/demo_emotion/$(CORPUS))
	$(BIN)/merec report $(RUN)
	@$(if $(ARGS),rm -f $(SWEPT),$(STATE) > $(SWEPT))

leaderboard: $(SETUP) ## Networks and estimators on the MEGC2019 maps, three seeds, one table (goes on if interrupted)
	$(BIN)/merec train -m experiments=megc2019_baselines hydra.sweep.dir=runs/leaderboard $(ARGS)
	$(BIN)/merec train -m experiments=megc2019_committee hydra.sweep.dir=runs/leaderboard $(ARGS)
	$(BIN)/merec train -m experiments=megc2019_leaderboard hydra.sweep.dir=runs/leaderboard $(ARGS)
	$(BIN)/merec report runs/leaderboard

report: $(SETUP)   ## Pool finished runs again: make report RUN=runs/...
	$(BIN)/merec report $(RUN)

bench: $(SETUP)    ## Measure, as ratios within one run
	$(BIN)/python -m benchmarks $(ARGS)

clean:    ## Remove caches and the environment; runs and data stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup test test-all lint docs reference pictures sweep sweep-all leaderboard report bench clean
