"""Every hyper-parameter, with its default; the whole of it is stored in the artefact."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run depends on, beside the data."""

    base_model: str = "all-MiniLM-L6-v2"
    """That name (installed as a package), a local folder, or a hub id."""
    seed: int = 7
    epochs: int = 3
    """How often the model sees each row; the passes are shuffled together."""
    batch_size: int = 32
    learning_rate: float = 1e-4
    warmup: float = 0.06
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    max_length: int = 256
    """Tokens of a pair that the model reads at once; a longer sentence is read in windows."""
    swap_share: float = 0.2
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
