"""Where each step reads and writes; the Makefile names the same files."""

from pathlib import Path

SENTENCES = Path("datasets/sentences.jsonl")
SECOND_LABELS = Path("datasets/second-labels.jsonl")
TEACHER = Path("datasets/teacher.jsonl")
DATASET_CARD = Path("datasets/README.md")
SPLITS = Path("build/splits")
BASELINES = Path("build/baselines.json")
BASE_MODELS = Path("build/base-models")
CHECKPOINTS = Path("build/checkpoints")
FINETUNED = Path("build/finetuned")
EXPORTED = Path("build/exported")
CALIBRATED = Path("build/calibrated")
REPORT = Path("build/report")
ARTEFACT = Path("build/artefact")
