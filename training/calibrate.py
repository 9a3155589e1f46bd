"""Fit the bias, the temperature and the threshold of `confident`: `python -m training.calibrate`.

Reads build/exported/ and the calibration split, writes build/calibrated/, the same artefact with them in stance.json.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from serving.artefact import ArtefactError, copy_unsealed, seal, write_stance_config
from serving.classifier import StanceClassifier, softmax
from serving.stance import STANCES
from training.claims import claims_for
from training.data import DatasetError, Example, label_indices, read
from training.paths import CALIBRATED, EXPORTED, SPLITS

CONFIDENT_ACCURACY = 0.95
"""How often confident predictions must be right on the rows they are fitted on."""

REAL_SHARES = np.array([0.34, 0.24, 0.05, 0.37])
"""Shares of STANCES among 342 sentences of real reporting that could be about the fall of a place."""

HARD_SHARE = 0.5
"""Share of the calibration split, the hardest kinds of sentence, that both are fitted on.

Real reporting is harder than sentences made like those the model learnt from. Fitted on all of them, it would be too
sure of itself on real ones.
"""


def prior_bias(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(4,): what turns logits learnt under these labels' shares into those under the shares of real reporting.

    Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori Probabilities".
    """
    shares = np.bincount(labels, minlength=len(STANCES)) / len(labels)
    result: NDArray[np.float64] = np.log(REAL_SHARES) - np.log(shares)
    return result


def real_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,): weights under which the labels have the shares of real reporting; a label that is not there has none."""
    counts = np.bincount(labels, minlength=len(STANCES))
    weights: NDArray[np.float64] = (REAL_SHARES / np.maximum(counts, 1))[labels]
    result: NDArray[np.float64] = weights / weights.mean()
    return result


def fit_temperature(logits: NDArray[np.float64], y_true: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """The temperature under which (n, 4) logits give (n,) labels the least weighted negative log-likelihood."""

    def loss(temperature: float) -> float:
        y_proba = softmax(logits, temperature)
        return float(log_loss(y_true, y_proba, sample_weight=weights, labels=range(len(STANCES))))

    return float(minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x)


def fit_threshold(
    y_proba: NDArray[np.float64], y_true: NDArray[np.int64], weights: NDArray[np.float64], accuracy: float
) -> float:
    """The lowest best probability from which up predictions are right with `accuracy`; 1.0 where none is."""
    order = np.argsort(-y_proba.max(axis=1), kind="stable")
    confidence, weight = y_proba.max(axis=1)[order], weights[order]
    right = (y_proba.argmax(axis=1) == y_true)[order]
    accuracies = (right * weight).cumsum() / weight.cumsum()
    last_of_equals = np.append(confidence[:-1] != confidence[1:], True)
    reached = np.flatnonzero((accuracies >= accuracy) & last_of_equals)
    return float(confidence[reached[-1]]) if len(reached) else 1.0


def hardest(kinds: Sequence[str], right: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """(n,): whether each row is of the kinds that are answered worst and together are `share` of all rows."""
    rows_by_kind: dict[str, list[int]] = defaultdict(list)
    for index, kind in enumerate(kinds):
        rows_by_kind[kind].append(index)
    chosen = np.zeros(len(kinds), dtype=np.bool_)
    for rows in sorted(rows_by_kind.values(), key=lambda rows: float(right[rows].mean())):
        if chosen.mean() >= share:
            break
        chosen[rows] = True
    return chosen


def calibrate(
    classifier: StanceClassifier, examples: Sequence[Example], train_labels: NDArray[np.int64]
) -> dict[str, Any]:
    """Bias, temperature and threshold of stance.json.

    The latter two over the hardest pairs, asked without their attacker and, where it is known, with it.
    """
    pairs = {
        (example.sentence, claim): example
        for attacker_share in (0.0, 1.0)
        for example, claim in zip(examples, claims_for(examples, attacker_share), strict=True)
    }
    bias = prior_bias(train_labels)
    logits = bias + classifier.logits([sentence for sentence, _ in pairs], [claim for _, claim in pairs])
    y_true = label_indices(list(pairs.values()))
    hard = hardest([example.kind for example in pairs.values()], logits.argmax(axis=1) == y_true, HARD_SHARE)
    logits, y_true = logits[hard], y_true[hard]
    weights = real_weights(y_true)
    temperature = fit_temperature(logits, y_true, weights)
    threshold = fit_threshold(softmax(logits, temperature), y_true, weights, CONFIDENT_ACCURACY)
    return {"bias": bias.round(4).tolist(), "temperature": temperature, "threshold": threshold}


def main() -> int:
    """Write build/calibrated/."""
    try:
        train, examples = (read(SPLITS / f"{name}.jsonl", Example) for name in ("train", "calibration"))
        classifier = StanceClassifier.load(EXPORTED)
    except (DatasetError, ArtefactError) as error:
        print(error, file=sys.stderr)
        return 1
    fitted = calibrate(classifier, examples, label_indices(train))
    copy_unsealed(EXPORTED, CALIBRATED)
    write_stance_config(CALIBRATED, replace(classifier.artefact.config, **fitted))
    seal(CALIBRATED)
    print(f"{fitted}; wrote {CALIBRATED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
