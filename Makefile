# Every target makes .venv and installs what it needs; the only tools asked of the
# machine are make and a Python of at least 3.11.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

EVERYTHING := '.[jwst,romancal,dask,s3,server,docs,test]'

STATE ?= .prefect

.PHONY: calwebb up down test test-fast test-lowest lint docs bench clean

calwebb: $(INSTALLED)  ## calibrate the embedded sample program, raw exposures to combined image
	$(BIN)/python -m flows.calwebb

up: $(INSTALLED)  ## start server, worker and deployments here: make up PORT=4200 ARCHIVE=folder AUTH=off
	$(BIN)/python deployments/local.py up --state $(STATE) $(if $(PORT),--port $(PORT)) $(if $(ARCHIVE),--archive $(ARCHIVE)) $(if $(AUTH),--auth $(AUTH))

down: $(INSTALLED)  ## end what make up has started
	$(BIN)/python deployments/local.py down --state $(STATE)

test: $(INSTALLED)  ## run the tests, three files at a time: many wait for services
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: $(INSTALLED)  ## run the tests that need neither jwst nor a server
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not slow and not heavy"

test-lowest:  ## calibrate the sample and test the API with the oldest packages that pyproject.toml allows
	$(PYTHON) -m venv build/lowest
	build/lowest/bin/python -m pip install --quiet uv
	build/lowest/bin/uv pip install --quiet --python build/lowest/bin/python \
		--resolution lowest-direct --editable '.[jwst,dask,s3,server,test]'
	build/lowest/bin/python -m flows.calwebb --output-dir build/lowest/products
	build/lowest/bin/python -m pytest --override-ini=filterwarnings=default \
		tests/step tests/parameters tests/products tests/test_cli.py tests/test_hooks.py

lint: $(INSTALLED)  ## style, types, the direction of imports and that each is declared
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

docs: $(INSTALLED)  ## build the documentation into build/site; after make calwebb, with the report of the sample
	PATH="$(CURDIR)/$(BIN):$$PATH" COLUMNS=80 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	if [ -d calwebb_products ]; then \
		mkdir build/site/sample && cp calwebb_products/*.json calwebb_products/*.log build/site/sample && \
		$(BIN)/python -m flows.report build/site/sample --output build/site/sample-report.html; \
	fi

bench: $(INSTALLED)  ## measure time and memory against plain jwst: make bench BASELINE=file
	$(BIN)/python -m pytest tests/benchmarks --override-ini=addopts=--import-mode=importlib -s $(if $(BASELINE),--baseline $(BASELINE))
	STPIPE_PREFECT_KILLS=20 $(BIN)/python -m pytest tests/faults
	$(BIN)/python -m pytest -m slow

clean:  ## remove the environment and everything that was generated
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable $(EVERYTHING) \
		|| $(BIN)/python -m pip install --quiet --editable $(EVERYTHING)  # uv reads no pip.conf
	touch $@
