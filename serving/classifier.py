"""The model in memory: pairs of (sentence, claim) in, calibrated probabilities out. Training judges with this class."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from serving.artefact import Artefact, load_artefact
from serving.encoding import Windows, encode
from serving.engine import Engine, EngineName, load_engine
from serving.stance import STANCES

BATCH_TOKENS = 1024
"""Padded tokens a batch may hold: enough to fill the cores, few enough to stay in their caches."""

WARM_UP_BATCHES = 3


def softmax(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(n, k) logits to (n, k) probabilities that sum to 1 in each row."""
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


class StanceClassifier:
    """A fine-tuned pair classifier with its tokeniser and calibration."""

    def __init__(self, artefact: Artefact, engine: Engine) -> None:
        """Use `load`."""
        self.artefact = artefact
        self.engine = engine

    @classmethod
    def load(cls, artefact: Artefact | Path, *, engine: EngineName | None = None, threads: int | None = None) -> Self:
        """Load a verified artefact, or verify a folder and load it. Raises ArtefactError."""
        if isinstance(artefact, Path):
            artefact = load_artefact(artefact)
        return cls(artefact, load_engine(artefact, engine, threads))

    def predict_proba(self, sentences: Sequence[str], claims: Sequence[str]) -> NDArray[np.float64]:
        """(n, 4) calibrated probabilities of STANCES, row k for sentence k towards claim k; any n, also 0."""
        return self.probabilities(self.logits(sentences, claims))

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 4) logits, as `logits` gives them, to calibrated probabilities."""
        return softmax(logits + self.artefact.config.bias, self.artefact.config.temperature)

    def confident(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,): whether each row's best probability reaches the threshold set on held-out data."""
        result: NDArray[np.bool_] = probabilities.max(axis=1) >= self.artefact.config.threshold
        return result

    def logits(self, sentences: Sequence[str], claims: Sequence[str]) -> NDArray[np.float64]:
        """(n, 4) uncalibrated logits; those of a sentence that spans several windows are their mean."""
        windows = self.encode(sentences, claims)
        logits = np.zeros((len(windows.encodings), len(STANCES)))
        for batch in batches(windows.encodings):
            logits[batch] = self.engine([windows.encodings[index] for index in batch])
        return windows.mean(logits)

    def warm_up(self) -> float:
        """Compute full batches until the model is ready; returns the tokens it computes a second."""
        sentence = "The town has been taken. " * (BATCH_TOKENS // 32)
        encodings = self.encode([sentence], ["The town has fallen"]).encodings[:1]
        batch = encodings * max(1, BATCH_TOKENS // len(encodings[0]))
        best = math.inf
        for _ in range(WARM_UP_BATCHES):
            begun = time.perf_counter()
            self.engine(batch)
            best = min(best, time.perf_counter() - begun)
        return len(batch) * len(encodings[0]) / best

    def encode(self, sentences: Sequence[str], claims: Sequence[str]) -> Windows:
        """The tokens of sentence k with claim k."""
        return encode(self.artefact.tokenizer, sentences, claims)


def batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Indices of windows of like length, at most BATCH_TOKENS padded tokens at a time: little is spent on padding."""
    batch: list[int] = []
    for index in sorted(range(len(encodings)), key=lambda index: len(encodings[index])):
        if batch and (len(batch) + 1) * len(encodings[index]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
