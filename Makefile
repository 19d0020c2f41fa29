# Needs Python 3.11 or newer and make; everything else is made here.
PYTHON ?= python3
VENV ?= .venv
BUILD ?= build
PORT ?= 8000
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP) ## Make the virtual environment, from hash-locked requirements

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=… names one)."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP) ## Serve http://127.0.0.1:8000 with the demo, on a PostgreSQL of its own
	@exec $(BIN)/complex-stories serve --demo --port $(PORT)

test: $(STAMP) ## Run every test
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: $(STAMP) audit bill ## Format, lint, types, architecture, known weaknesses of dependencies, bill of materials
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(STAMP) ## Look up known weaknesses of what the service runs on
	$(BIN)/python -m tests.supply.audit

bill: $(STAMP) ## Write the bill of materials (CycloneDX) to build/bom.json, checked against its schema
	@mkdir -p $(BUILD)
	$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --validate --output-file $(BUILD)/bom.json requirements.txt

format: $(STAMP) ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## Write docs/permissions.md from the code
	$(BIN)/python -m tests.walk.table

bench: $(STAMP) ## Measure the hot paths against a bare program, the naive style and Directus, in one interleaved run, then exports
	@$(BIN)/python -m benchmarks --check --out docs/benchmarks; status=$$?; $(BIN)/python -m benchmarks.export --check --out docs/benchmarks && exit $$status

setup-directus: ## Install Directus with npm into .directus (1 GB), so that make bench compares with it as well
	@mkdir -p .directus
	cp benchmarks/directus.json .directus/package.json
	npm install --prefix .directus --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel error

bench-compare: $(STAMP) ## Compare two measurements: make bench-compare BEFORE=… AFTER=…
	@$(BIN)/python -m benchmarks.compare $(BEFORE) $(AFTER)

bench-before: $(STAMP) ## Measure the hot paths beside those of an earlier revision, in turns: make bench-before BEFORE=…
	$(BIN)/python -m benchmarks.before $(BEFORE)

bench-growth: $(STAMP) ## Measure the hot paths by how much is stored, a second worker, memory and start
	$(BIN)/python -m benchmarks.growth --out docs/benchmarks

bench-export: $(STAMP) ## Measure exports of 1 000 000 resources against a plain COPY
	$(BIN)/python -m benchmarks.export --check --out docs/benchmarks

bench-import: $(STAMP) ## Import a million rows over HTTP, page and search through them
	$(BIN)/python -m benchmarks.imports --check

bench-agreement: $(STAMP) ## Measure the agreement of 100 000 annotations, and what others notice meanwhile
	$(BIN)/python -m benchmarks.annotators --check

bench-results: $(STAMP) ## Read published results, and release them, at 1 000 000 responses, beside the service as it was before
	$(BIN)/python -m benchmarks.results --check

fuzz: $(STAMP) ## 10 000 generated requests from both OpenAPI documents, in four roles
	$(BIN)/python -m tests.fuzz --requests 10000

drill: $(STAMP) ## Every fault five times under load, then look for all that was acknowledged (10 minutes at most)
	timeout 600 $(BIN)/python -m tests.drills.faults

drill-overload: $(STAMP) ## Ask five times what the service can answer, for 30 s
	$(BIN)/python -m tests.drills.overload

drill-disconnects: $(STAMP) ## 10 000 clients that leave at any byte; count what is held before and after
	$(BIN)/python -m tests.drills.disconnects

soak: $(STAMP) ## 20 minutes under load with a fault a minute; the memory and all that was acknowledged
	$(BIN)/python -m tests.drills.soak --minutes 20

drill-survey: $(STAMP) ## Kill the service 50 times under load; check every acknowledged answer
	$(BIN)/python -m tests.drills.survey

drill-export: $(STAMP) ## 100 000 responses in four formats, compared cell by cell
	$(BIN)/python -m tests.drills.export --responses 100000

drill-queue: $(STAMP) ## 20 annotators draw from one queue of 2 000 resources; nobody is given anything twice
	$(BIN)/python -m tests.drills.queue --annotators 20 --resources 2000

drill-limits: $(STAMP) ## Flood two workers that count in Redis, and hold Redis still
	$(BIN)/python -m tests.drills.limits

drill-tokens: $(STAMP) ## More than 3 000 forged tokens: each 401, none over 50 ms
	$(BIN)/python -m tests.drills.tokens

drill-access: $(STAMP) ## 1 000 rounds each of races for access, and the time of a failed sign-in
	$(BIN)/python -m tests.drills.access --rounds 1000

drill-abuse: $(STAMP) ## Attacks of who invents, guesses and floods, against two workers with a real Valkey: what each got
	$(BIN)/python -m tests.drills.abuse

drill-files: $(STAMP) ## Kill the service 30 times during uploads; 200 hostile names, types, ranges and bodies
	$(BIN)/python -m tests.drills.files

drill-failover: $(STAMP) ## Kill a primary under load, promote its replica: two instances behind HAProxy (needs haproxy)
	$(BIN)/python -m tests.drills.failover

secrets: ## Write .env for docker-compose.yml: a random word for each name
	@sh deploy/secrets.sh

lock: $(STAMP) ## Write the requirements anew from pyproject.toml (needs the package index)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## Remove the virtual environment, Directus and caches; never the data in ./var
	rm -rf $(VENV) $(BUILD) .directus .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
