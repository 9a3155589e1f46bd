"""What everything is measured on: pairs from datasets/ with the lengths of real reporting."""

import random
from collections.abc import Iterator
from itertools import islice

from serving.stance import claim
from tests.conftest import ROOT
from training.data import Example, read
from training.paths import SENTENCES

Pair = tuple[str, str]
"""Sentence and claim."""

SEED = 1
WORDS = 26
"""Mean length of a sentence of real reporting."""


def mix(number: int) -> list[Pair]:
    """`number` distinct pairs, the same in every run, WORDS words long on average."""
    return list(islice(_pairs(), number))


def of_length(tokens: int, number: int) -> list[Pair]:
    """Pairs of about that many tokens: sentences joined and cut to size."""
    words = " ".join(sentence for sentence, _ in mix(2_000)).split()
    size = max(1, round((tokens - 8) / 1.35))
    return [(" ".join(words[start * 7 : start * 7 + size]), claim("Sake")) for start in range(number)]


def _pairs() -> Iterator[Pair]:
    examples = read(ROOT / SENTENCES, Example)
    draw = random.Random(SEED)
    draw.shuffle(examples)
    weights = [len(example.sentence.split()) for example in examples]
    # Long sentences are taken more often, as far as it takes to reach the mean.
    chance = min(1.0, max(0.0, (WORDS - sum(weights) / len(weights)) / 14))
    seen: set[Pair] = set()
    shift = 0
    while True:
        for index, example in enumerate(examples):
            if draw.random() < chance and weights[index] < WORDS:
                continue
            other = examples[(index + shift) % len(examples)]
            pair = (example.sentence, claim(other.place))
            if pair not in seen:
                seen.add(pair)
                yield pair
        shift += 1
