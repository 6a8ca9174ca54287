# `make run` and `make test` do everything on a fresh machine. WHEELS=folder installs without a network.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8501
VENV := .venv
PY := $(VENV)/bin/python
PIP_SOURCE := $(if $(WHEELS),--no-index --find-links $(WHEELS),)

.PHONY: setup run test test-browser test-all check bench models-report

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or 3.12 is needed, found " + sys.version.split()[0]) if not (3, 11) <= sys.version_info[:2] <= (3, 12) else None'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet $(PIP_SOURCE) -r requirements-dev.txt
	@# opencv-python needs libGL and glib of the system; -headless is the same module without them.
	$(PY) -c 'import cv2' 2>/dev/null || { $(PY) -m pip uninstall --quiet --yes opencv-python && \
	  $(PY) -m pip install --quiet $(PIP_SOURCE) "opencv-python-headless==$$(sed -n 's/^opencv-python==//p' requirements.txt)"; }
	touch $@

run: setup
	$(PY) -m streamlit run app.py --server.address $(HOST) --server.port $(PORT)

# The tests that need neither a browser nor hours; those of ../shared run where the data sets are.
test: setup
	$(PY) -m pytest -q -n 2 -m "not browser"

# The journeys in headless Chromium (Debian package `chromium`).
test-browser: setup
	$(PY) -m pytest -q -m browser

test-all: setup
	$(PY) -m pytest -q -n 2 -m "not browser"
	$(PY) -m pytest -q -m browser

check: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -q -n 2 -m "not browser and not slow and not shared"

bench: setup
	$(PY) -m benchmarks

models-report: setup
	$(PY) -m medimg_core.workflows.models_report
