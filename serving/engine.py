"""What runs the model: encoded pairs in, logits out. OpenVINO on CPUs, torch where a CUDA GPU is.

OpenVINO runs the artefact's 8-bit weights and needs neither torch nor transformers; torch runs the full weights.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import openvino
from numpy.typing import NDArray
from tokenizers import Encoding

from serving.artefact import OPENVINO, Artefact
from serving.encoding import pad

EngineName = Literal["openvino", "torch"]
ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)

NVIDIA_DRIVER = Path("/proc/driver/nvidia")


class Engine(Protocol):
    """A loaded model."""

    name: EngineName

    def __call__(self, encodings: Sequence[Encoding]) -> NDArray[np.float64]:
        """(n, 4) logits of n >= 1 encoded pairs, computed as one batch."""


class OpenVinoEngine:
    """The 8-bit weights on the CPU."""

    name: EngineName = "openvino"

    def __init__(self, artefact: Artefact, threads: int | None = None) -> None:
        """Compile the model for this CPU; `threads` of None takes every core."""
        core = openvino.Core()
        # One batch at a time on all threads; what is not in 8 bits is computed alike on every machine.
        properties: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        model = core.compile_model(artefact.path / OPENVINO, "CPU", properties)
        self._pad_id = artefact.pad_id
        self._names = [port.any_name for port in model.inputs]
        self._request = model.create_infer_request()

    def __call__(self, encodings: Sequence[Encoding]) -> NDArray[np.float64]:
        """See Engine."""
        arrays = pad(encodings, self._pad_id)
        inputs = {name: arrays[name] for name in self._names}
        return np.array(self._request.infer(inputs, share_inputs=True)[0], dtype=np.float64)


def load_engine(artefact: Artefact, name: EngineName | None = None, threads: int | None = None) -> Engine:
    """The engine of that name; None takes torch where a GPU is, or the artefact has no 8-bit weights yet."""
    if name is None:
        name = "openvino" if (artefact.path / OPENVINO).exists() and not _has_gpu() else "torch"
    if name == "openvino":
        return OpenVinoEngine(artefact, threads)
    from serving.torch_engine import TorchEngine  # heavy, and not installed where only OpenVINO serves

    return TorchEngine(artefact, threads)


def _has_gpu() -> bool:
    if not NVIDIA_DRIVER.exists() or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()
