"""Make the 8-bit weights that CPUs serve, and check that they answer like the full ones: `python -m training.export`.

Reads build/finetuned/, the training split (to see how large activations get) and the test split (for the check, which
chooses nothing), writes build/exported/: the same artefact with OpenVINO's files. An export that strays is refused.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice

import nncf
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from serving.artefact import OPENVINO, Artefact, ArtefactError, copy_unsealed, load_artefact, seal
from serving.classifier import StanceClassifier, softmax
from serving.encoding import encode, pad
from serving.torch_engine import TorchEngine, input_names
from training.claims import claims_for
from training.data import DatasetError, Example, LabelledSentence, label_indices, read
from training.metrics import macro_f1
from training.paths import EXPORTED, FINETUNED, SPLITS

CALIBRATION_ROWS = 300
SMOOTH_QUANT_ALPHA = 0.8
"""Share of the activations' range that is moved into the weights; of 0.6, 0.8 and 0.95 it changed fewest labels."""
KEPT_IN_FULL = r".*layer\.\d+\.output.*"
"""The second product of each feed-forward block stays in full precision: its inputs have outliers that 8 bits lose."""

SEED = 0

MAXIMUM_DIFFERENCES = {"labels": 0.01, "macro_f1": 0.005, "probabilities": 0.02}
"""Share of rows with another label, difference of the macro-F1 scores, mean absolute one of all probabilities."""


class ExportError(ValueError):
    """The 8-bit model answers too differently; the message says by how much."""


class _Logits(torch.nn.Module):
    """The model as a function of tensors: what a graph can be traced of."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]) -> None:
        super().__init__()
        self._model = model
        self._names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model(**dict(zip(self._names, inputs, strict=True))).logits
        return logits


def quantize(artefact: Artefact, rows: Sequence[LabelledSentence]) -> openvino.Model:
    """The artefact's model with 8-bit weights and activations, whose ranges are taken from `rows`.

    Post-training quantisation by NNCF: symmetric weights for each channel, SmoothQuant (Xiao et al. 2023).
    """
    samples = list(islice(_samples(artefact, rows), CALIBRATION_ROWS))
    model = _traced(TorchEngine(artefact).model, samples[0])
    names = [port.any_name for port in model.inputs]
    dataset = nncf.Dataset(samples, lambda sample: {name: sample[name] for name in names})
    return nncf.quantize(
        model,
        dataset,
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(samples),
        ignored_scope=nncf.IgnoredScope(patterns=[KEPT_IN_FULL], validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTH_QUANT_ALPHA)
        ),
    )


def _samples(artefact: Artefact, rows: Sequence[LabelledSentence]) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Encoded rows, one at a time, so that padding sways no range."""
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:CALIBRATION_ROWS]
    sample = [rows[index] for index in chosen]
    windows = encode(artefact.tokenizer, [row.sentence for row in sample], claims_for(sample, attacker_share=0.5))
    for encoding in windows.first():
        yield pad([encoding], artefact.pad_id)


def _traced(model: PreTrainedModel, sample: dict[str, NDArray[np.int64]]) -> openvino.Model:
    names = input_names(model)
    example = tuple(torch.from_numpy(np.repeat(sample[name], 2, axis=0)) for name in names)
    traced = openvino.convert_model(
        _Logits(model.cpu(), names), example_input=example, input=[([-1, -1], openvino.Type.i64)] * len(names)
    )
    for port, name in zip(traced.inputs, names, strict=True):
        port.get_tensor().set_names({name})
    return traced


def compare(full: StanceClassifier, exported: StanceClassifier, rows: Sequence[LabelledSentence]) -> dict[str, float]:
    """How far the answers of the exported model are from those of the full one."""
    sentences, claims = [row.sentence for row in rows], claims_for(rows, attacker_share=0.0)
    y_true = label_indices(rows)
    before, after = (softmax(model.logits(sentences, claims), 1.0) for model in (full, exported))
    classes = np.unique(y_true).tolist()
    f1_before, f1_after = (macro_f1(y_true, y_proba.argmax(axis=1), classes) for y_proba in (before, after))
    return {
        "labels": float((before.argmax(axis=1) != after.argmax(axis=1)).mean()),
        "macro_f1": abs(f1_after - f1_before),
        "probabilities": float(np.abs(after - before).mean()),
    }


def check(differences: dict[str, float]) -> None:
    """Raise ExportError where the export strays too far."""
    faults = [
        f"{name} differ by {differences[name]:.4f}, at most {most} is allowed"
        for name, most in MAXIMUM_DIFFERENCES.items()
        if differences[name] > most
    ]
    if faults:
        raise ExportError(f"the 8-bit model strays from the full one: {'; '.join(faults)}")


def main() -> int:
    """Write build/exported/."""
    try:
        train, test = (read(SPLITS / f"{name}.jsonl", Example) for name in ("train", "test"))
        finetuned = load_artefact(FINETUNED)
        copy_unsealed(FINETUNED, EXPORTED)
        openvino.save_model(quantize(finetuned, train), EXPORTED / OPENVINO)
        seal(EXPORTED)
        full = StanceClassifier.load(finetuned, engine="torch")
        differences = compare(full, StanceClassifier.load(EXPORTED, engine="openvino"), test)
        check(differences)
    except (DatasetError, ArtefactError, ExportError) as error:
        print(error, file=sys.stderr)
        return 1
    differs = ", ".join(f"{name} {value:.4f}" for name, value in differences.items())
    print(f"8 bits against full weights: {differs}; wrote {EXPORTED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
