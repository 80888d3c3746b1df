# `make demo` and `make test` need python3 and make only: they make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench docs format clean

demo: $(READY)
	$(BIN)/python demo/run_demo.py

test: $(READY) check
	$(BIN)/python -m pytest

# What a reviewer would run by hand.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Quick forms of the benchmarks that need no data, under ten minutes on an idle machine of two cores.
# Each table is shown and kept in output/bench.
bench: $(READY)
	mkdir -p output/bench
	set -e; run() { table=output/bench/$$1.md; shift; $(BIN)/python "$$@" >$$table || exit; cat $$table; }; \
	run tracker benchmarks/tracker/tracker_core.py --frames 3; \
	run growth benchmarks/tracker/tracker_core.py --grow --frames 3; \
	run encoder benchmarks/encoder/encoder.py --fresh OSNet_x0_25 MobileNetV3_large_x1_0 --rounds 3; \
	run pipeline benchmarks/pipeline/pipeline.py --weights weights/resnet50vd --people 10 --frames 20 --rounds 2; \
	run memory benchmarks/tracker/memory.py --frames 10000

# The site, in output/site; a dead link is an error.
docs: $(VENV)/.docs-ready
	$(BIN)/mkdocs build --strict

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): setup.cfg pyproject.toml
	@echo "Making $(VENV): 1.8 GB on disk, a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[cpu,test]'
	@# norfair runs with numpy 2, though it says otherwise.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps 'norfair>=2.3'
	touch $(READY)

$(VENV)/.docs-ready: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

clean:
	rm -rf output build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
