# Every target works from a clean clone: the first one run creates .venv (scripts/bootstrap.sh).
#   make PYTHON=python3.12 …     another Python 3.10-3.13
#   make test PYTEST_ARGS="tests/unit -k retention"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?=
PYTEST_ARGS ?=
# Test processes side by side, each with servers of its own; a file stays with one process, and so does a tier that
# shares one Airflow. Three for two cores: they wait for servers a quarter of the time.
PYTEST_WORKERS ?= 3
# Of each fault at a random moment: how many, and what they are drawn from.
CHAOS_ROUNDS ?= 10
CHAOS_SEED ?= 6
BENCH_ARGS ?=
# For example: make lock LOCK_ARGS=--upgrade
LOCK_ARGS ?=
# For example: make audit AUDIT_ARGS="--vulnerability-service pypi"
AUDIT_ARGS ?=

VENV := .venv/bin
SOURCES := $(wildcard dags plugins include tests bench scripts)
SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.sh)

# DAGs, plugins, tests and the demo all import include.* from the project root.
export PYTHONPATH := $(CURDIR)
export PYTHON
export AUDIT_ARGS

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: bootstrap ## Back up a marketplace, destroy it, restore it: real Postgres, S3 server and Airflow, with a verdict
	@exec $(VENV)/python -m include.demo demo

.PHONY: up
up: bootstrap ## Start Airflow, a source Postgres and an S3 server on this machine (Ctrl-C stops them)
	@exec $(VENV)/python -m include.demo up

.PHONY: test
test: bootstrap ## Run the tests (PYTEST_ARGS="…" narrows them)
	@exec $(VENV)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: chaos
chaos: bootstrap ## Kill, break and damage at random moments, for hours; make test has the short form (CHAOS_ROUNDS, CHAOS_SEED)
	@exec $(VENV)/python -m pytest tests/distributed tests/chaos --verbose --capture=no \
		--chaos-rounds $(CHAOS_ROUNDS) --chaos-seed $(CHAOS_SEED) $(PYTEST_ARGS)

.PHONY: bench
bench: bootstrap ## Backups next to pg_dump, restores next to pg_restore, memory, Airflow's part; a table at the end (BENCH_ARGS=--quick)
	@exec $(VENV)/python -m bench $(BENCH_ARGS)

.PHONY: screenshots
screenshots: bootstrap ## Take the pictures of Backup History that the README shows
	@exec $(VENV)/python scripts/screenshots.py

.PHONY: check
check: bootstrap ## Check format, lint, types, layers, security, compose file and shell scripts; changes nothing
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/bandit --quiet --recursive --configfile pyproject.toml include dags plugins scripts
	$(VENV)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml
	for script in $(SHELL_SCRIPTS); do bash -n "$$script" || exit 1; done
	if command -v terraform >/dev/null; then terraform fmt -check -diff include/aws; fi

.PHONY: audit
audit: bootstrap ## Ask a public database about known vulnerabilities of every pin (needs a network)
	@exec sh scripts/audit.sh

.PHONY: fix
fix: bootstrap ## Apply the formatter and the linter's safe fixes
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

# --universal: one file for Python 3.10 to 3.13. The image's lock follows requirements.txt pin by pin and
# adds what only the image runs (Celery, FAB), so that what is tested is what is deployed.
COMPILE = $(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(LOCK_ARGS)

.PHONY: lock
lock: bootstrap ## Compile requirements*.in to pins with hashes (LOCK_ARGS=--upgrade for newer ones)
	$(COMPILE) --python-version 3.10 requirements.in -o requirements.txt
	$(COMPILE) --python-version 3.10 requirements-dev.in -o requirements-dev.txt
	$(COMPILE) --python-version 3.12 -c requirements.txt requirements-image.in -o requirements-image.txt

.PHONY: clean
clean: ## Remove .venv, caches and what demo and up left behind
	rm -rf .venv .venv.lock .demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: bootstrap
bootstrap:
	@sh scripts/bootstrap.sh
