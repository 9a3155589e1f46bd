"""The claim each training row is asked about, and rows asked about a place that is not theirs."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from training.config import TrainConfig
from training.data import LabelledSentence, Row


def training_pairs(examples: Sequence[Row], config: TrainConfig) -> tuple[list[Row], list[str]]:
    """Every row as often as the model is to see it (`epochs`), and the claims they are asked about.

    Each time it is drawn anew which rows name the attacker, and which are asked about another place too.
    """
    rows: list[Row] = []
    claims: list[str] = []
    for epoch in range(config.epochs):
        seed = config.seed * 1000 + epoch
        epoch_rows = [*examples, *swapped(examples, config.swap_share, seed)]
        rows += epoch_rows
        claims += claims_for(epoch_rows, config.attacker_share, seed)
    if 0 < config.max_pairs < len(rows):
        kept = sorted(random.Random(config.seed).sample(range(len(rows)), config.max_pairs))  # noqa: S311
        return [rows[index] for index in kept], [claims[index] for index in kept]
    return rows, claims


def claims_for(examples: Sequence[LabelledSentence], attacker_share: float, seed: int = 0) -> list[str]:
    """The claim of each row; of the rows that know the attacker, `attacker_share` name it.

    Rows of one sentence whose label turns with the attacker always name it: without it they contradict each other.
    """
    draw = random.Random(seed)  # noqa: S311
    labels: dict[tuple[str | None, str], set[str]] = defaultdict(set)
    for row in examples:
        labels[row.place, row.sentence].add(row.label)
    return [
        row.claim(with_attacker=draw.random() < attacker_share or len(labels[row.place, row.sentence]) > 1)
        for row in examples
    ]


def swapped(examples: Sequence[Row], share: float, seed: int) -> list[Row]:
    """Rows that take a stance on the place they name, asked about another that they don't name: comment.

    `share` is of all the rows. Without such rows the model does not read the claim.
    """
    draw = random.Random(seed)  # noqa: S311
    named = [row for row in examples if row.label != "comment" and row.place and _names(row, row.place)]
    places = sorted({str(row.place) for row in named})
    rows: list[Row] = []
    for row in draw.sample(named, min(len(named), round(share * len(examples)))):
        other = draw.choice(places)
        if not _names(row, other):
            rows.append(replace(row, place=other, label="comment"))
    return rows


def _names(example: LabelledSentence, place: str) -> bool:
    return place.casefold() in example.sentence.casefold()
