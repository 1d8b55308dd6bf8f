# make run    the app, on 127.0.0.1; makes .venv and installs requirements.txt first where that is not done yet
# make test   all tests, after the same set-up and Chromium for the browser tests
# make quick  tests of what needs neither a browser nor a training: under a minute
# make coverage   the tests without a browser, and the share of the code that they run; fails below what stands.
#                 all of them, servers counted too, in an hour of two cores: make coverage COVERED="'browser or not browser'"
# make pictures   takes the pictures of all pages anew, which the browser tests compare with
# make times  how long pages take to open and clicks to answer, beside what is wanted; of an idle machine
# make lint   format, lint, strict types, the order of the rooms
# make check  lint and test
# make wheel  dist/autobuild_studio-*.whl, the app in it
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: run test quick coverage lint format check pictures times wheel venv chromium clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PORT ?= 8501
WORKERS ?= 2
ARGS ?=
COVERED ?= "not browser"
QUICK := tests/test_habits.py tests/property tests/contracts/test_datasets_contract.py tests/contracts/test_spaces_contract.py \
	$(addprefix tests/unit/,test_errors.py test_registry.py architectures spaces store targets datasets figures)
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

run: $(VENV)/.stamp-requirements
	$(BIN)/streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT) $(ARGS)

test: $(VENV)/.stamp-requirements-dev chromium
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

quick: $(VENV)/.stamp-requirements-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not browser and not training and not slow" \
		$(QUICK) $(ARGS)

coverage: $(VENV)/.stamp-requirements-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m $(COVERED) --cov --cov-report term $(ARGS)

lint: $(VENV)/.stamp-requirements-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.stamp-requirements-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test

pictures: $(VENV)/.stamp-requirements-dev chromium
	AUTOBUILD_PICTURES=write $(BIN)/python -m pytest tests/browser/test_pictures.py $(ARGS)

times: $(VENV)/.stamp-requirements-dev chromium
	$(BIN)/python -m pytest -q -s tests/browser/times.py $(ARGS)

# Without what an earlier build left, which setuptools would pack too.
wheel: $(VENV)/.stamp-requirements-dev
	rm -rf build
	$(BIN)/python -m pip wheel . --no-deps --no-build-isolation --wheel-dir dist

venv: $(VENV)/.stamp-requirements-dev

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no python3 was found; install Python 3.11 or newer."; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"make: got Python {v[0]}.{v[1]}, expected 3.11 or newer.")'
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo "make: $(PYTHON) has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# A stamp is newer than its list, and the lists that it names, exactly when they are installed.
$(VENV)/.stamp-%: %.txt requirements.txt requirements-scale.txt | $(BIN)/python
	@echo "Installing $< into $(VENV); the first time takes minutes and about 2 GB."
	$(PIP) -r $<
	@touch $@

chromium:
	@if command -v chromium >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests."; \
		if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi; \
	fi; \
	printf '%s\n' '' '**************************************************************************' \
		'** Chromium is missing and could not be installed here:                 **' \
		'** THE BROWSER TESTS WILL NOT RUN. Install Chromium and run this again. **' \
		'**************************************************************************' ''

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
