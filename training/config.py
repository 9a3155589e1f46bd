"""Every hyper-parameter, with its default; the whole of it is stored in the artefact."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run depends on, beside the data."""

    base_model: str = "released"
    """What training starts from: the released model, "all-mpnet-base-v2" (as a package), a folder, or a hub id."""
    seed: int = 7
    epochs: int = 1
    """How often the model sees each row; the passes are shuffled together."""
    max_pairs: int = 0
    """Pairs to learn from at most, drawn from all; 0 takes all. Bounds the time on a slow machine."""
    batch_size: int = 32
    layers: int = 0
    """Encoder layers to keep of the base model, spread evenly over it; 0 keeps all."""
    frozen_layers: int = 3
    """Lowest layers that are left as they are, and the embeddings with them; 0 trains everything."""
    learning_rate: float = 3e-5
    """Of the classification head and the highest layer, at its peak."""
    layer_decay: float = 0.93
    """Each layer's learning rate, as a share of that of the layer above it (Howard and Ruder 2018)."""
    teacher_weight: float = 0.5
    """Weight of the teacher's probabilities against the label, in rows that datasets/teacher.jsonl has."""
    warmup: float = 0.06
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    max_length: int = 256
    """Tokens of a pair that the model reads at once; a longer sentence is read in windows."""
    swap_share: float = 0.15
    """Rows added with another row's place, as comment, per training row: without them the claim is ignored."""
    attacker_share: float = 0.6
    """Of the rows that know the attacker, those whose claim names it."""
    checks_per_epoch: int = 2
    """How often the calibration split is scored and a checkpoint written."""

    @classmethod
    def parse(cls, argv: Sequence[str] | None) -> Self:
        """Read flags, one for each field: `--epochs 2`."""
        parser = argparse.ArgumentParser(description="Fine-tune the base model on build/splits/train.jsonl.")
        for field in fields(cls):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
        return cls(**vars(parser.parse_args(argv)))
