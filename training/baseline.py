"""What a model has to beat: `python -m training.baseline` scores the baselines on the test split."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from serving.artefact import write_json
from serving.stance import STANCES
from training.claims import claims_for
from training.data import DatasetError, Example, LabelledSentence, label_indices, read
from training.metrics import metrics
from training.paths import BASELINES, SPLITS


def baselines() -> dict[str, Pipeline]:
    """The untrained baselines, by name; each takes a list of texts and has fit and predict_proba."""
    return {
        "majority": make_pipeline(TfidfVectorizer(), DummyClassifier(strategy="most_frequent")),
        "tfidf_logistic_regression": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
        ),
    }


def texts(examples: Sequence[LabelledSentence]) -> list[str]:
    """Sentence and claim as one text."""
    claims = claims_for(examples, attacker_share=0.0)
    return [f"{example.sentence} | {claim}" for example, claim in zip(examples, claims, strict=True)]


def score_baselines(train: Sequence[LabelledSentence], test: Sequence[LabelledSentence]) -> dict[str, Any]:
    """Fit each baseline on `train` and score it on `test`."""
    scores: dict[str, Any] = {}
    for name, baseline in baselines().items():
        baseline.fit(texts(train), label_indices(train))
        scores[name] = metrics(label_indices(test), _all_classes(baseline, texts(test)))
        print(f"{name}: macro-F1 {scores[name]['macro_f1']}")
    return scores


def _all_classes(baseline: Pipeline, rows: list[str]) -> NDArray[np.float64]:
    """(n, 4) probabilities, also where the training rows lacked a label."""
    probabilities = np.zeros((len(rows), len(STANCES)))
    probabilities[:, baseline.classes_] = baseline.predict_proba(rows)
    return probabilities


def main() -> int:
    """Write build/baselines.json."""
    try:
        train = read(SPLITS / "train.jsonl", Example)
        test = read(SPLITS / "test.jsonl", Example)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    write_json(BASELINES, score_baselines(train, test))
    return 0


if __name__ == "__main__":
    sys.exit(main())
