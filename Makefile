# Two commands on a fresh machine: `make quickstart` and `make test`. PYTHON picks the interpreter, PIP_FLAGS reaches pip
# (for CPU-only torch wheels: PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu").
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS ?=
INSTALL := $(BIN)/pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt

.PHONY: quickstart test lib clean readme docs bench lab

quickstart: $(VENV)/.offline
	$(BIN)/senticompare quickstart --reports reports

test: $(VENV)/.dev
	$(BIN)/python tools/check.py

lib: $(VENV)/.dev  ## notebooks -> senticompare/
	$(BIN)/python tools/export.py

readme: $(VENV)/.dev  ## nbs/index.ipynb -> README.md, without Quarto
	$(BIN)/python tools/readme.py

docs: $(VENV)/.dev  ## the site, in _docs/ (needs the quarto command)
	$(BIN)/python -c "from pathlib import Path; from senticompare.report.figures import write_plotly_js; write_plotly_js(Path('reports/published'))"
	rm -rf nbs/reports && cp -r reports/published nbs/reports
	$(BIN)/nbdev-docs; status=$$?; rm -rf nbs/reports; exit $$status

bench: $(VENV)/.dev  ## side-by-side measurements; minutes
	$(BIN)/python benchmarks/embed.py && $(BIN)/python benchmarks/parts.py && $(BIN)/python benchmarks/crosscheck.py && $(BIN)/python benchmarks/train.py && $(BIN)/python benchmarks/dropout.py && $(BIN)/python benchmarks/summary.py

lab: $(VENV)/.dev
	$(INSTALL) -e ".[offline,lab]" && $(BIN)/jupyter lab nbs

clean:
	rm -rf build dist *.egg-info _docs _proc .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.offline: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e ".[offline]"
	touch $@

$(VENV)/.dev: $(VENV)/.offline
	$(INSTALL) -e ".[offline,quant,onnx,dev]"
	touch $@
