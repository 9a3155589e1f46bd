"""The claim each training row is asked about, and rows asked about a place that is not theirs."""

import random
from collections.abc import Sequence
from dataclasses import replace

from training.data import LabelledSentence, Row


def claims_for(examples: Sequence[Row], attacker_share: float, seed: int) -> list[str]:
    """The claim of each row; of the rows that know the attacker, `attacker_share` name it."""
    draw = random.Random(seed)  # noqa: S311
    return [example.claim(with_attacker=draw.random() < attacker_share) for example in examples]


def swapped(examples: Sequence[Row], share: float, seed: int) -> list[Row]:
    """Rows that name their place, asked about another place that they don't name: comment.

    `share` is of all the rows. Without such rows the model does not read the claim.
    """
    draw = random.Random(seed)  # noqa: S311
    named = [example for example in examples if example.place and _names(example, example.place)]
    places = sorted({str(example.place) for example in named})
    rows: list[Row] = []
    for example in draw.sample(named, min(len(named), round(share * len(examples)))):
        other = draw.choice(places)
        if not _names(example, other):
            rows.append(replace(example, place=other, label="comment"))
    return rows


def _names(example: LabelledSentence, place: str) -> bool:
    return place.casefold() in example.sentence.casefold()
