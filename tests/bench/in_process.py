"""Models called in this process: ours, a transformers pipeline, torch with sorted batches, ONNX Runtime."""

import gc
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from serving.artefact import CONFIG, Artefact
from serving.classifier import StanceClassifier, batches
from serving.encoding import encode, pad
from serving.torch_engine import TorchEngine, input_names
from tests.bench.inputs import Pair

Contender = Callable[[Sequence[Pair]], object]

PEAK_SIZE = 2048
PEAK_LAYERS = 8


def ours(classifier: StanceClassifier) -> Contender:
    return lambda pairs: classifier.predict_proba(*map(list, zip(*pairs, strict=True)))


def transformers_pipeline(artefact: Artefact, batch_size: int) -> Contender:
    model = AutoModelForSequenceClassification.from_pretrained(artefact.path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(artefact.path)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    return lambda pairs: classify(
        [{"text": sentence, "text_pair": claim} for sentence, claim in pairs], batch_size=batch_size
    )


def torch_sorted(artefact: Artefact) -> Contender:
    return ours(StanceClassifier(artefact, TorchEngine(artefact)))


def onnx_runtime(artefact: Artefact, folder: Path) -> Contender:
    import onnxruntime

    model = TorchEngine(artefact).model
    encodings = encode(artefact.tokenizer, ["The town fell.", "It did not."], ["Sake has fallen"] * 2).encodings
    names = input_names(model)
    example = {name: torch.from_numpy(pad(encodings, artefact.pad_id)[name]) for name in names}
    path = folder / "model.onnx"
    dynamic = {name: {0: "batch", 1: "tokens"} for name in names}
    torch.onnx.export(
        model,
        kwargs=example,
        f=str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes=dynamic,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def call(pairs: Sequence[Pair]) -> None:
        windows = encode(artefact.tokenizer, *map(list, zip(*pairs, strict=True)))
        for batch in batches(windows.encodings):
            arrays = pad([windows.encodings[index] for index in batch], artefact.pad_id)
            session.run(None, {name: arrays[name] for name in names})

    return call


def seconds(contender: Contender, pairs: Sequence[Pair]) -> float:
    """The time of one call."""
    gc.collect()
    begun = time.perf_counter()
    contender(pairs)
    return time.perf_counter() - begun


def side_by_side(
    contenders: dict[str, Contender], pairs: Sequence[Pair], rounds: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Sentences a second of each contender in each round; who begins changes from round to round."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender(pairs[:16])
    names = list(contenders)
    for number in range(rounds):
        for name in np.roll(names, number).tolist():
            rates[name].append(len(pairs) / seconds(contenders[name], pairs))
        progress(f"in process, round {number + 1}: " + ", ".join(f"{name} {rates[name][-1]:.0f}/s" for name in names))
    return rates


def one_at_a_time(contender: Contender, pairs: Sequence[Pair]) -> float:
    """Median milliseconds of a call with one pair."""
    return 1000 * median(seconds_of_one(contender, pair) for pair in pairs)


def seconds_of_one(contender: Contender, pair: Pair) -> float:
    begun = time.perf_counter()
    contender([pair])
    return time.perf_counter() - begun


def operations(artefact: Artefact, pairs: Sequence[Pair]) -> float:
    """Multiplications and additions that the pairs need, padding not counted."""
    config = json.loads((artefact.path / CONFIG).read_text())
    width, layers, inner = config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"]
    lengths = [len(encoding) for encoding in encode(artefact.tokenizer, *map(list, zip(*pairs, strict=True))).encodings]
    products = sum(length * (4 * width * width + 2 * width * inner) for length in lengths)
    attention = sum(2 * length * length * width for length in lengths)
    return 2.0 * layers * (products + attention)


def int8_peak(threads: int) -> Callable[[], float]:
    """Measures operations a second of large 8-bit matrix products, by the same library: the most there is to reach."""
    random = np.random.default_rng(0)
    data = ops.parameter([PEAK_SIZE, PEAK_SIZE], np.float32, name="x")
    node = data
    for _ in range(PEAK_LAYERS):
        quantized = ops.fake_quantize(node, -1.0, 1.0, -1.0, 1.0, 256)
        weights = ops.constant(random.integers(-127, 127, (PEAK_SIZE, PEAK_SIZE)).astype(np.int8))
        scaled = ops.multiply(ops.convert(weights, np.float32), ops.constant(np.float32(1 / 127)))
        node = ops.matmul(quantized, scaled, transpose_a=False, transpose_b=True)
    model = openvino.Model([node], [data], "peak")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    x = random.random((PEAK_SIZE, PEAK_SIZE), dtype=np.float32)
    request.infer([x])

    def measure() -> float:
        begun = time.perf_counter()
        request.infer([x])
        return 2.0 * PEAK_LAYERS * PEAK_SIZE**3 / (time.perf_counter() - begun)

    return measure
