# Two commands do everything: `make reproduce` runs the main job, `make test` passes the tests.
PYTHON ?= python3
PRESET ?= default
DEVICE ?= auto
DATA ?=
VENV := .venv
BIN := $(VENV)/bin
ADV := $(BIN)/advbounds
RECORDS := $(PRESET) $(if $(DATA),--data $(DATA))
LATEX_HINT := no latexmk here: `apt-get install latexmk texlive-latex-recommended texlive-fonts-recommended` (macOS: `brew install --cask mactex-no-gui`), then `make paper`

.PHONY: help reproduce test lint figures paper bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20
	@echo "  variables: PRESET=$(PRESET) DATA=$(DATA) DEVICE=$(DEVICE) PYTHON=$(PYTHON)"

$(VENV)/installed: pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "advbounds needs Python >= 3.11; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch -c .ci/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c .ci/constraints.txt
	@touch $@

reproduce: $(VENV)/installed ## run the preset, judge every claim, draw every figure, write report and paper
	@$(ADV) run $(RECORDS) --device $(DEVICE); ran=$$?; \
	[ $$ran -eq 0 ] || [ $$ran -eq 3 ] || exit $$ran; \
	$(ADV) check $(RECORDS) > build/verdicts.txt; judged=$$?; [ $$judged -le 1 ] || exit $$judged; \
	$(ADV) report $(RECORDS) > /dev/null; drawn=$$?; [ $$drawn -eq 0 ] || [ $$drawn -eq 3 ] || exit $$drawn; \
	if command -v latexmk > /dev/null; then $(MAKE) --no-print-directory latex || exit $$?; \
	else echo '$(LATEX_HINT)'; fi; \
	[ $$judged -eq 0 ] || exit $$judged; exit $$ran

test: lint ## lint, types, import contracts, tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q

lint: $(VENV)/installed ## lint, types, import contracts
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$report"; exit 1; }

figures: $(VENV)/installed ## draw every figure from the records, measured here or frozen
	@$(ADV) draw $(RECORDS)

paper: $(VENV)/installed ## build/paper/main.pdf from the figures; installs nothing
	@command -v latexmk > /dev/null || { echo '$(LATEX_HINT)' >&2; exit 2; }
	@$(ADV) draw $(RECORDS)
	@$(MAKE) --no-print-directory latex

.PHONY: latex
latex:
	@cd paper && latexmk -pdf -silent main.tex > /dev/null 2>&1 || { cat ../build/paper/main.log | tail -30; exit 2; }
	@echo build/paper/main.pdf

bench: $(VENV)/installed ## speed and strength against plain versions and peers, as ratios in one run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' -c .ci/constraints.txt
	$(BIN)/python tests/bench/bounds.py
	$(BIN)/python tests/bench/arrangement.py
	$(BIN)/python tests/bench/minimal_norm.py
	$(BIN)/python tests/bench/relu.py
	$(BIN)/python tests/bench/hamming_path.py
	$(BIN)/python tests/bench/hamming_exact.py
	$(BIN)/python tests/bench/hamming.py
	$(BIN)/python tests/bench/layer_norm.py
	$(BIN)/python tests/bench/semidefinite.py
	$(BIN)/python tests/bench/lipschitz_exact.py
	$(BIN)/python tests/bench/local.py
	$(BIN)/python tests/bench/distance.py
	$(BIN)/python tests/bench/sparse.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/radii.py
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchattacks
	$(BIN)/python -m tests.bench.strength

clean: ## remove everything that was made, records and checkpoints too
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
