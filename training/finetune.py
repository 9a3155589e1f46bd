"""Fine-tune the base model as a pair classifier: `python -m training.finetune`.

Reads build/splits/, writes build/finetuned/: a sealed artefact, not yet calibrated. A run that was killed goes on from
its last checkpoint when it is called again with the same configuration and data.
"""

import hashlib
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from serving.artefact import (
    SHARD_SIZE,
    TOKENIZER,
    WEIGHTS,
    StanceConfig,
    file_sha256,
    seal,
    weight_files,
    write_stance_config,
)
from serving.classifier import softmax
from serving.encoding import encode, load_tokenizer
from serving.stance import STANCES
from serving.torch_engine import ModelInputs
from training.base_model import BaseModelError, base_model_folder, origin
from training.claims import claims_for, training_pairs
from training.config import TrainConfig
from training.data import DatasetError, Example, read
from training.metrics import metrics
from training.paths import CHECKPOINTS, FINETUNED, SENTENCES, SPLITS
from training.teacher import Teacher, read_teacher, targets

LIBRARIES = ("torch", "transformers", "tokenizers", "scikit-learn", "accelerate")
CHECKPOINT_FILES = (
    WEIGHTS,
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
)


class PairDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Encoded pairs with the probabilities that the model is to give."""

    def __init__(
        self, tokenizer: Tokenizer, examples: Sequence[Example], claims: Sequence[str], targets: NDArray[np.float32]
    ) -> None:
        """Encode all; of a sentence longer than the model reads, the first window is learnt from."""
        encodings = encode(tokenizer, [example.sentence for example in examples], claims).first()
        self._rows = [
            # input_ids is where the Trainer looks for a row's length, by which it groups batches
            {"encoding": encoding, "input_ids": encoding.ids, "target": target}
            for encoding, target in zip(encodings, targets, strict=True)
        ]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One pair."""
        return self._rows[index]


class Collator:
    """Makes a batch of rows, with the inputs that serving makes."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Read what `model` takes."""
        self._inputs = ModelInputs(model)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch of tensors."""
        inputs = self._inputs([row["encoding"] for row in rows])
        return {**inputs, "labels": torch.from_numpy(np.stack([row["target"] for row in rows]))}


def has_fast_bf16() -> bool:
    """Whether bf16 autocast is faster than fp32 here; CPUs without bf16 instructions only emulate it."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def finetune(
    config: TrainConfig,
    train: Sequence[Example],
    calibration: Sequence[Example],
    teacher: Teacher,
    dataset_sha256: str,
) -> None:
    """Train, keep the weights that did best on the calibration split, and write build/finetuned/."""
    base = base_model_folder(config.base_model)
    rows, claims = training_pairs(train, config)
    row_targets = targets(rows, claims, teacher, config.teacher_weight)
    checkpoints = CHECKPOINTS / _run_key(config, base, [*rows, *calibration], claims, row_targets)
    checkpoints.mkdir(parents=True, exist_ok=True)
    AutoTokenizer.from_pretrained(base).save_pretrained(checkpoints / "tokenizer")
    tokenizer = load_tokenizer(checkpoints / "tokenizer" / TOKENIZER, config.max_length)
    print(f"{len(rows)} training pairs, {config.epochs} for each row, {len(calibration)} calibration rows", flush=True)

    model = _model(base, config)
    asked = claims_for(calibration, attacker_share=0.0)
    trainer = Trainer(
        model,
        _arguments(config, checkpoints, len(rows)),
        train_dataset=PairDataset(tokenizer, rows, claims, row_targets),
        eval_dataset=PairDataset(tokenizer, calibration, asked, targets(calibration, asked, {}, 0.0)),
        data_collator=Collator(model),
        compute_loss_func=_loss,
        compute_metrics=_macro_f1,
        optimizers=(torch.optim.AdamW(_parameter_groups(model, config), betas=(0.9, 0.98)), None),
    )
    trainer.train(resume_from_checkpoint=_last_checkpoint(checkpoints))
    _write_artefact(config, origin(base, config.base_model), model, checkpoints / "tokenizer", dataset_sha256)
    shutil.rmtree(CHECKPOINTS)


def _model(base: Path, config: TrainConfig) -> PreTrainedModel:
    torch.manual_seed(config.seed)  # the classification head is drawn at random
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(STANCES),
        id2label=dict(enumerate(STANCES)),
        label2id={stance: index for index, stance in enumerate(STANCES)},
        dtype=torch.float32,
    )
    layers = _encoder_layers(model)
    if config.layers:
        kept = {int(index) for index in np.linspace(0, len(layers) - 1, config.layers).round()}
        for index in reversed(range(len(layers))):
            if index not in kept:
                del layers[index]
        model.config.num_hidden_layers = config.layers
    if config.frozen_layers:
        for module in (model.base_model.embeddings, *layers[: config.frozen_layers]):
            _freeze(module)
    return model


def _encoder_layers(model: PreTrainedModel) -> torch.nn.ModuleList:
    """The layers of any encoder: its longest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return max(lists, key=len)


def _freeze(module: torch.nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # noise that nothing learns from
    module.requires_grad_(False)


def _parameter_groups(model: PreTrainedModel, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay; norms and biases do not decay."""
    layers = [*reversed(_encoder_layers(model)), model.base_model.embeddings]
    heights = {id(parameter): height for height, layer in enumerate(layers) for parameter in layer.parameters()}
    groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = defaultdict(list)
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[heights.get(id(parameter), 0), parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.learning_rate * config.layer_decay**height,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (height, decays), parameters in groups.items()
    ]


def _loss(outputs: SequenceClassifierOutput, labels: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ANN401
    assert outputs.logits is not None  # noqa: S101
    return torch.nn.functional.cross_entropy(outputs.logits, labels)


def _arguments(config: TrainConfig, checkpoints: Path, rows: int) -> TrainingArguments:
    steps = -(-rows // config.batch_size)
    check_every = -(-steps // (config.epochs * config.checks_per_epoch))
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,  # every row is there as often as it is to be seen
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=4 * config.batch_size,
        warmup_steps=config.warmup,
        train_sampling_strategy="group_by_length",
        bf16=has_fast_bf16(),
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        eval_strategy="steps",
        eval_steps=check_every,
        save_strategy="steps",
        save_steps=check_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        logging_steps=50,
        remove_unused_columns=False,
        report_to="none",
    )


def _macro_f1(prediction: EvalPrediction) -> dict[str, float]:
    scores = metrics(
        prediction.label_ids.argmax(axis=1), softmax(prediction.predictions.astype("float64"), temperature=1.0)
    )
    return {"macro_f1": scores["macro_f1"], "accuracy": scores["accuracy"]}


def _run_key(
    config: TrainConfig, base: Path, rows: Sequence[Example], claims: Sequence[str], row_targets: NDArray[np.float32]
) -> str:
    """Names a run by what it depends on, so that only the same run is resumed."""
    examples = [(row.sentence, row.label) for row in rows]
    weights = [file_sha256(base / name) for name in weight_files(path.name for path in base.iterdir())]
    content = json.dumps([asdict(config), weights, _versions(), examples, claims])
    return hashlib.sha256(content.encode() + row_targets.tobytes()).hexdigest()[:16]


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end."""
    complete = [
        path
        for path in folder.glob("checkpoint-*")
        if all((path / name).is_file() for name in CHECKPOINT_FILES) and _is_json(path / "trainer_state.json")
    ]
    if not complete:
        return None
    last = max(complete, key=lambda path: int(path.name.rpartition("-")[2]))
    print(f"going on from {last}", flush=True)
    return str(last)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _write_artefact(
    config: TrainConfig, base_model: str, model: PreTrainedModel, tokenizer: Path, dataset_sha256: str
) -> None:
    shutil.rmtree(FINETUNED, ignore_errors=True)
    shutil.copytree(tokenizer, FINETUNED)
    # Half precision halves what is stored and downloaded; the service computes in single precision.
    model.half().save_pretrained(FINETUNED, max_shard_size=SHARD_SIZE)
    stance_config = StanceConfig(
        max_length=config.max_length,
        base_model=base_model,
        train_config=asdict(config),
        dataset_sha256=dataset_sha256,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )
    write_stance_config(FINETUNED, stance_config)
    seal(FINETUNED)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def main(argv: Sequence[str] | None = None) -> int:
    """Fine-tune; exit code 1 for bad data, 2 for a base model that cannot be had."""
    config = TrainConfig.parse(argv)
    try:
        train = read(SPLITS / "train.jsonl", Example)
        calibration = read(SPLITS / "calibration.jsonl", Example)
        finetune(config, train, calibration, read_teacher(train), file_sha256(SENTENCES))
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    except BaseModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {FINETUNED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
