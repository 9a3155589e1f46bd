"""Score a model: `python -m training.evaluate [--model FOLDER] [--data FILE] [--output FOLDER]`.

Without --data: the test split, with the baselines beside it. Writes metrics.json, report.md, confusion.png and
reliability.png into the output folder.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artefact import METRICS, ArtefactError, file_sha256, write_json
from serving.classifier import StanceClassifier
from serving.engine import ENGINE_NAMES
from serving.stance import STANCES
from training.claims import claims_for, swapped
from training.data import DatasetError, LabelledSentence, Row, label_indices, read
from training.metrics import macro_f1, metrics
from training.paths import BASELINES, CALIBRATED, REPORT, SPLITS
from training.report import write_report

SWAP_SEED = 0


def evaluate(classifier: StanceClassifier, rows: Sequence[Row]) -> dict[str, Any]:
    """All scores of a model on labelled rows.

    `scores` name the attacker only where the label turns with it; `scores_with_attacker` wherever it is known.
    """
    y_true = label_indices(rows)
    y_proba = _predict(classifier, rows, attacker_share=0.0)
    result: dict[str, Any] = {"scores": metrics(y_true, y_proba, classifier.confident(y_proba))}
    if any(row.attacker for row in rows):
        named = _predict(classifier, rows, attacker_share=1.0)
        result["scores_with_attacker"] = metrics(y_true, named, classifier.confident(named))
    result["claim_swap"] = claim_swap(classifier, rows)
    result["by_register"] = _slices([row.register for row in rows], y_true, y_proba.argmax(axis=1))
    result["by_kind"] = _slices([row.kind for row in rows], y_true, y_proba.argmax(axis=1))
    return result


def claim_swap(classifier: StanceClassifier, rows: Sequence[Row]) -> dict[str, Any]:
    """Of the rows that name their place, asked about a place they don't name: the share that become comment."""
    others = swapped(rows, share=1.0, seed=SWAP_SEED)
    if not others:
        return {"rows": 0, "comment_share": None}
    y_pred = _predict(classifier, others, attacker_share=0.0).argmax(axis=1)
    share = float((y_pred == STANCES.index("comment")).mean())
    return {"rows": len(others), "comment_share": round(share, 4)}


def _predict(classifier: StanceClassifier, rows: Sequence[Row], *, attacker_share: float) -> NDArray[np.float64]:
    return classifier.predict_proba([row.sentence for row in rows], claims_for(rows, attacker_share))


def _slices(names: Sequence[str], y_true: NDArray[np.int64], y_pred: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Scores of each part of the rows that has a name, the largest first; macro-F1 over the labels it holds."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        if name:
            members[name].append(index)
    return {
        name: {
            "rows": len(part),
            "macro_f1": macro_f1(y_true[part], y_pred[part], np.unique(y_true[part]).tolist()),
            "accuracy": round(float((y_true[part] == y_pred[part]).mean()), 4),
        }
        for name, part in sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score a model on labelled sentences.")
    parser.add_argument("--model", type=Path, default=CALIBRATED, help="an artefact folder")
    parser.add_argument("--data", type=Path, help="JSONL with sentence, label, place (default: the test split)")
    parser.add_argument("--engine", choices=ENGINE_NAMES, help="what runs it (default: what would serve it here)")
    parser.add_argument("--output", type=Path, default=REPORT, help="the folder to write to")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate and report."""
    arguments = _arguments(argv)
    data = arguments.data or SPLITS / "test.jsonl"
    try:
        rows = read(data, LabelledSentence)
        classifier = StanceClassifier.load(arguments.model, engine=arguments.engine)
    except (DatasetError, ArtefactError) as error:
        print(error, file=sys.stderr)
        return 1
    result = {
        "model": classifier.artefact.version,
        "data": {"file": data.name, "sha256": file_sha256(data)},
        **evaluate(classifier, rows),
    }
    if arguments.data is None:
        result["baselines"] = json.loads(BASELINES.read_text(encoding="utf-8"))
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(write_report(arguments.output, result))
    write_json(arguments.output / METRICS, result)
    print(f"wrote {arguments.output}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
