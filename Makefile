# Orchard 果园. `make` alone lists the commands. Needs python3 (3.11+) with venv, and nothing else installed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never
# Progress at once, also into a file or a pipe.
export PYTHONUNBUFFERED := 1

# Where PostgreSQL and Valkey run while a command does; outside servers are left alone (docs/operations.md).
RUN := $(BIN)/python -m scrm.runtime run --
MANAGE := $(BIN)/python manage.py

ONCE ?=
SCALE ?= 1
FILE ?=
ARGS ?=

.PHONY: help
help:  ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

# The story asks for results at once, and does not wait out the time in which a push can be recalled.
DEMO_PACE := ORCHARD_POLL_SECONDS=1 ORCHARD_SEND_GRACE_SECONDS=1

.PHONY: demo
demo: install  ## the whole story on a fresh database: two brands, 20,000 contacts (ONCE=1: stop after the summary)
	@exec env $(DEMO_PACE) $(RUN) $(MANAGE) demo $(if $(ONCE),--once) $(ARGS)

.PHONY: up
up: install  ## start everything and go on where it stopped; Ctrl-C stops it
	@exec $(RUN) $(MANAGE) up $(ARGS)

.PHONY: test
test: install-dev browser  ## run the tests (ARGS="tests/points -k spend")
	@exec $(RUN) $(BIN)/pytest -rs -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

.PHONY: check
check: install-dev  ## ruff, mypy, import order, missing migrations, compiled messages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(RUN) $(BIN)/mypy .
	$(BIN)/lint-imports
	$(RUN) $(MANAGE) makemigrations --check --dry-run
	$(BIN)/python -m scrm.runtime.messages --check

.PHONY: bench
bench: install-dev  ## measure against what PostgreSQL can do (SCALE=0.1: a tenth of the rows)
	@exec $(RUN) $(BIN)/python -m bench --scale $(SCALE) $(ARGS)

.PHONY: backup
backup: install  ## save the database (FILE=where, else .orchard/backups/)
	@exec $(RUN) $(MANAGE) backup $(if $(FILE),--file "$(FILE)")

.PHONY: restore
restore: install  ## put a saved database in place of the present one (FILE=which)
	@exec $(RUN) $(MANAGE) restore --file "$(or $(FILE),$(error say which: make restore FILE=.orchard/backups/…))"

.PHONY: messages
messages: install  ## collect translatable strings (needs gettext) and compile them
	@if command -v xgettext >/dev/null; then \
	  for place in */locale; do (cd "$${place%/locale}" && ../$(BIN)/django-admin makemessages --all --no-location --no-obsolete); done; \
	else echo "gettext is not installed: strings are not collected anew, only compiled."; fi
	$(BIN)/python -m scrm.runtime.messages

.PHONY: lock
lock: $(BIN)/uv  ## bring requirements*.lock up to date with requirements*.in
	@for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" $$name.in -o $$name.lock; done

.PHONY: clean
clean:  ## stop the embedded servers and delete their data, logs and caches (the virtual environment stays)
	@if [ -d .orchard ]; then if [ -x $(BIN)/python ]; then $(BIN)/python -m scrm.runtime erase; \
	else echo "There is no $(VENV) to stop the servers with: run make install first." >&2; exit 1; fi; fi
	@rm -rf staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Setting up. A stamp named after the lock file's content makes the second time free; the development set
# contains the other, and whoever has it keeps it.
RUN_STAMP := $(VENV)/.installed-$(shell cat requirements.lock | sha256sum | cut -c1-16)
DEV_STAMP := $(VENV)/.installed-dev-$(shell cat requirements-dev.lock | sha256sum | cut -c1-16)

.PHONY: install
install: $(BIN)/uv
	@exec 9>$(VENV)/.orchard-lock; flock 9; \
	if ls $(VENV)/.installed-dev-* >/dev/null 2>&1; then exec 9>&-; exec $(MAKE) install-dev; fi; \
	if [ ! -e $(RUN_STAMP) ]; then \
	  $(call sync,requirements.lock); rm -f $(VENV)/.installed-*; touch $(RUN_STAMP); fi

.PHONY: install-dev
install-dev: $(BIN)/uv
	@exec 9>$(VENV)/.orchard-lock; flock 9; \
	if [ ! -e $(DEV_STAMP) ]; then \
	  $(call sync,requirements-dev.lock); rm -f $(VENV)/.installed-*; touch $(DEV_STAMP); fi

# uv is ten times as fast; behind a proxy with its own certificate it may need the system's, and pip's own
# configuration (another index, say) only pip knows.
define sync
echo "Installing the locked packages of $(1) into $(VENV)…"; \
$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes $(1) 2>$(VENV)/uv.log \
  || $(BIN)/uv pip sync -q --system-certs --python $(BIN)/python --require-hashes $(1) 2>>$(VENV)/uv.log \
  || { echo "uv could not (see $(VENV)/uv.log); trying pip."; \
       $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(1); }
endef

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Orchard needs Python 3.11 or newer as $(PYTHON); found: $$($(PYTHON) -V 2>&1 || true). Try make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments: install python3-venv." >&2; exit 1; }
	@echo "Making the virtual environment $(VENV)…"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

# Browser tests want Debian's Chromium and a Chinese font. Root on a machine with apt gets them; without them
# the tests that need them are skipped and named.
.PHONY: browser
browser:
	@if ! { command -v chromium >/dev/null && fc-list 2>/dev/null | grep -i cjk >/dev/null; } \
	    && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing chromium and fonts-noto-cjk for the browser tests…"; \
	  { DEBIAN_FRONTEND=noninteractive apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; } >/dev/null 2>&1 </dev/null \
	    || echo "apt could not install them: browser tests will be skipped."; fi
