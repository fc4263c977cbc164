# The commands that contributors type; CONTRIBUTING.md explains them.
BIN := .venv/bin
JOBS ?= 2

.PHONY: help setup run lint fast test pythons coverage mutation

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	python3 -m venv .venv

setup:  ## install what development needs, and the pre-commit hooks
	bash .ci/environment
	$(BIN)/pre-commit install

run: $(BIN)/python  ## serve the demo data on http://127.0.0.1:8000/admin/
	DEBUG=1 $(BIN)/python manage.py quickstart

lint:  ## check style, types, import layers and migrations
	bash .ci/lint

fast:  ## run the tests on SQLite, without a browser, a broker or PostgreSQL
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal

test: fast  ## run all tests, on SQLite and on PostgreSQL
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal --postgres

pythons:  ## run the fast tests on each other Python, and on the next Django
	bash .ci/pythons

coverage:  ## measure which lines the tests run, on both databases
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal --cov --cov-report=
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal --postgres --cov --cov-append --cov-report=term:skip-covered

mutation:  ## change the product line by line and see which tests notice (hours)
	bash tests/mutation/run record
	bash tests/mutation/run mutate
	bash tests/mutation/run score
