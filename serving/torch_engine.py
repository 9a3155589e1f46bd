"""The full weights, run by torch: on a CUDA GPU, and wherever training judges a model before its export."""

import inspect
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from serving.artefact import Artefact
from serving.encoding import INPUT_NAMES, pad
from serving.engine import EngineName


def input_names(model: PreTrainedModel) -> list[str]:
    """What of the inputs the model takes; not every encoder knows token types."""
    known = inspect.signature(model.forward).parameters
    return [name for name in INPUT_NAMES if name in known]


class ModelInputs:
    """Encoded pairs as the tensors that a model takes: the one way, in training and in serving."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Read what `model` takes."""
        self._pad_id = model.config.pad_token_id or 0
        self._names = input_names(model)

    def __call__(self, encodings: Sequence[Encoding]) -> dict[str, torch.Tensor]:
        """Tensors of shape (len(encodings), longest encoding)."""
        arrays = pad(encodings, self._pad_id)
        return {name: torch.from_numpy(arrays[name]) for name in self._names}


class TorchEngine:
    """The full weights in single precision."""

    name: EngineName = "torch"

    def __init__(self, artefact: Artefact, threads: int | None = None) -> None:
        """Load the weights, to the GPU where there is one; `threads` of None leaves torch's own choice."""
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = AutoModelForSequenceClassification.from_pretrained(
            artefact.path, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        self.model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self._inputs = ModelInputs(self.model)

    @torch.inference_mode()
    def __call__(self, encodings: Sequence[Encoding]) -> NDArray[np.float64]:
        """See Engine."""
        inputs = {name: tensor.to(self.model.device) for name, tensor in self._inputs(encodings).items()}
        result: NDArray[np.float64] = self.model(**inputs).logits.double().cpu().numpy()
        return result
