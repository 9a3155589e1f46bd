"""Every figure by which a model is judged, computed from its probabilities and nothing else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from serving.stance import STANCES

ECE_BINS = 15
_CLASSES = tuple(range(len(STANCES)))


def metrics(
    y_true: NDArray[np.int64], y_proba: NDArray[np.float64], confident: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Scores of (n, 4) probabilities against (n,) indices of STANCES.

    macro_f1, accuracy, labels (precision, recall, f1, rows), ece (Naeini et al. 2015), brier (Brier 1950, summed over
    the classes), confusion (rows: true, columns: predicted), reliability; with `confident` also confident_share and
    confident_accuracy.
    """
    y_pred = y_proba.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(y_true, y_pred, labels=_CLASSES, zero_division=0)
    scores: dict[str, Any] = {
        "rows": len(y_true),
        "macro_f1": macro_f1(y_true, y_pred),
        "accuracy": _rounded(accuracy_score(y_true, y_pred)),
        "ece": expected_calibration_error(y_true, y_proba),
        "brier": _rounded(((y_proba - np.eye(len(STANCES))[y_true]) ** 2).sum(axis=1).mean()),
        "labels": {
            stance: {
                "precision": _rounded(precision[index]),
                "recall": _rounded(recall[index]),
                "f1": _rounded(f1[index]),
                "rows": int(support[index]),
            }
            for index, stance in enumerate(STANCES)
        },
        "confusion": confusion_matrix(y_true, y_pred, labels=_CLASSES).tolist(),
        "reliability": reliability(y_true, y_proba),
    }
    if confident is not None:
        right = y_pred == y_true
        scores["confident_share"] = _rounded(confident.mean())
        scores["confident_accuracy"] = _rounded(right[confident].mean()) if confident.any() else None
    return scores


def macro_f1(y_true: NDArray[np.int64], y_pred: NDArray[np.int64], classes: Sequence[int] = _CLASSES) -> float:
    """The mean of the F1 of `classes`, all four by default; one that occurs nowhere counts 0."""
    return _rounded(f1_score(y_true, y_pred, labels=classes, average="macro", zero_division=0))


def expected_calibration_error(y_true: NDArray[np.int64], y_proba: NDArray[np.float64]) -> float:
    """Mean distance of the best probability from the share of right answers, over ECE_BINS bins of equal width."""
    bins = reliability(y_true, y_proba)
    return _rounded(sum(row["rows"] * abs(row["confidence"] - row["accuracy"]) for row in bins) / len(y_true))


def reliability(y_true: NDArray[np.int64], y_proba: NDArray[np.float64]) -> list[dict[str, float]]:
    """For each bin of the best probability that is not empty: rows, mean confidence, accuracy."""
    confidence = y_proba.max(axis=1)
    right = y_proba.argmax(axis=1) == y_true
    bin_of = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        {
            "rows": int((bin_of == index).sum()),
            "confidence": _rounded(confidence[bin_of == index].mean()),
            "accuracy": _rounded(right[bin_of == index].mean()),
        }
        for index in np.unique(bin_of)
    ]


def _rounded(value: Any) -> float:  # noqa: ANN401
    """Four digits: more would be noise on test sets of this size."""
    return round(float(value), 4)
