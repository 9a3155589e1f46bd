"""The model in memory: pairs of (sentence, claim) in, calibrated probabilities out. Training judges with this class."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from serving.artefact import Artefact, load_artefact
from serving.encoding import encode, pad
from serving.stance import STANCES

BATCH_TOKENS = 4096
"""Padded tokens a batch may hold: large enough to fill the cores, small enough to stay in their caches."""


def softmax(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(n, k) logits to (n, k) probabilities that sum to 1 in each row."""
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


class ModelInputs:
    """Encoded pairs as the tensors that a model takes: the one way, in training and in serving."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Read what `model` takes; not every encoder knows token types."""
        self._pad_id = model.config.pad_token_id or 0
        self._names = inspect.signature(model.forward).parameters.keys()

    def __call__(self, encodings: Sequence[Encoding]) -> dict[str, torch.Tensor]:
        """Tensors of shape (len(encodings), longest encoding)."""
        arrays = pad(encodings, self._pad_id)
        return {name: torch.from_numpy(array) for name, array in arrays.items() if name in self._names}


class StanceClassifier:
    """A fine-tuned pair classifier with its tokeniser and calibration."""

    def __init__(self, artefact: Artefact, model: PreTrainedModel) -> None:
        """Use `load`."""
        self.artefact = artefact
        self._model = model
        self._inputs = ModelInputs(model)

    @classmethod
    def load(cls, artefact: Artefact | Path) -> Self:
        """Load a verified artefact, or verify a folder and load it. Raises ArtefactError."""
        if isinstance(artefact, Path):
            artefact = load_artefact(artefact)
        model = AutoModelForSequenceClassification.from_pretrained(
            artefact.path, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(artefact, model)

    def predict_proba(self, sentences: Sequence[str], claims: Sequence[str]) -> NDArray[np.float64]:
        """(n, 4) calibrated probabilities of STANCES, row k for sentence k towards claim k; any n, also 0."""
        return softmax(self.logits(sentences, claims), self.artefact.config.temperature)

    def confident(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,): whether each row's best probability reaches the threshold set on held-out data."""
        result: NDArray[np.bool_] = probabilities.max(axis=1) >= self.artefact.config.threshold
        return result

    def logits(self, sentences: Sequence[str], claims: Sequence[str]) -> NDArray[np.float64]:
        """(n, 4) uncalibrated logits; those of a sentence that spans several windows are their mean."""
        windows = encode(self.artefact.tokenizer, sentences, claims)
        window_logits = np.zeros((len(windows.encodings), len(STANCES)))
        for batch in _batches(windows.encodings):
            window_logits[batch] = self._forward([windows.encodings[index] for index in batch])
        total = np.zeros((len(sentences), len(STANCES)))
        np.add.at(total, windows.pair, window_logits)
        count = np.bincount(windows.pair, minlength=len(sentences))
        result: NDArray[np.float64] = total / count[:, np.newaxis]
        return result

    @torch.inference_mode()
    def _forward(self, encodings: list[Encoding]) -> NDArray[np.float64]:
        inputs = {name: tensor.to(self._model.device) for name, tensor in self._inputs(encodings).items()}
        result: NDArray[np.float64] = self._model(**inputs).logits.double().cpu().numpy()
        return result


def _batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Indices of windows of like length, at most BATCH_TOKENS padded tokens at a time: little is spent on padding."""
    batch: list[int] = []
    for index in sorted(range(len(encodings)), key=lambda index: len(encodings[index])):
        if batch and (len(batch) + 1) * len(encodings[index]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
