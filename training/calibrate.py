"""Fit the temperature and the threshold of `confident`: `python -m training.calibrate`.

Reads build/finetuned/ and the calibration split, writes build/calibrated/, the same artefact with both in stance.json.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from serving.artefact import ArtefactError, copy_unsealed, seal, write_stance_config
from serving.classifier import StanceClassifier, softmax
from serving.stance import STANCES
from training.claims import claims_for
from training.data import DatasetError, Example, label_indices, read
from training.paths import CALIBRATED, FINETUNED, SPLITS

CONFIDENT_ACCURACY = 0.95
"""How often confident predictions must be right on the calibration split."""


def fit_temperature(logits: NDArray[np.float64], y_true: NDArray[np.int64]) -> float:
    """The temperature under which (n, 4) logits give (n,) labels the least negative log-likelihood."""

    def loss(temperature: float) -> float:
        return float(log_loss(y_true, softmax(logits, temperature), labels=range(len(STANCES))))

    return float(minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x)


def fit_threshold(y_proba: NDArray[np.float64], y_true: NDArray[np.int64], accuracy: float) -> float:
    """The lowest best probability from which up predictions are right with `accuracy`; 1.0 where none is."""
    order = np.argsort(-y_proba.max(axis=1), kind="stable")
    confidence = y_proba.max(axis=1)[order]
    right = (y_proba.argmax(axis=1) == y_true)[order]
    accuracies = right.cumsum() / np.arange(1, len(right) + 1)
    last_of_equals = np.append(confidence[:-1] != confidence[1:], True)
    reached = np.flatnonzero((accuracies >= accuracy) & last_of_equals)
    return float(confidence[reached[-1]]) if len(reached) else 1.0


def calibrate(classifier: StanceClassifier, examples: Sequence[Example]) -> tuple[float, float]:
    """(temperature, threshold) over every pair: rows asked without their attacker and, where it is known, with it."""
    pairs = {
        (example.sentence, claim): example
        for attacker_share in (0.0, 1.0)
        for example, claim in zip(examples, claims_for(examples, attacker_share), strict=True)
    }
    logits = classifier.logits([sentence for sentence, _ in pairs], [claim for _, claim in pairs])
    y_true = label_indices(list(pairs.values()))
    temperature = fit_temperature(logits, y_true)
    return temperature, fit_threshold(softmax(logits, temperature), y_true, CONFIDENT_ACCURACY)


def main() -> int:
    """Write build/calibrated/."""
    try:
        examples = read(SPLITS / "calibration.jsonl", Example)
        classifier = StanceClassifier.load(FINETUNED)
    except (DatasetError, ArtefactError) as error:
        print(error, file=sys.stderr)
        return 1
    temperature, threshold = calibrate(classifier, examples)
    copy_unsealed(FINETUNED, CALIBRATED)
    config = replace(classifier.artefact.config, temperature=temperature, threshold=threshold)
    write_stance_config(CALIBRATED, config)
    seal(CALIBRATED)
    print(f"temperature {temperature:.3f}, confident from {threshold:.3f}; wrote {CALIBRATED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
