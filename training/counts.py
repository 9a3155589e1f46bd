"""Write the counts into the dataset card: `python -m training.counts`, after rows were added."""

import re
import sys
from collections import Counter
from collections.abc import Sequence

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from sklearn.metrics import cohen_kappa_score

from serving.stance import Stance
from training.data import DatasetError, Example, read
from training.paths import DATASET_CARD, SECOND_LABELS, SENTENCES
from training.split import split_of

HEADING = "## Counts\n"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SecondLabel:
    """What a second reader said of a row without having seen its label."""

    id: str
    label: Stance
    sure: bool
    first: Stance | None = None
    """The first label, where the two disagreed and the row was relabelled or dropped."""


def agreement(examples: Sequence[Example], second_labels: Sequence[SecondLabel]) -> str:
    """How far the second labels agree with the first, in a sentence; Cohen's kappa (Cohen 1960)."""
    labels = {example.id: example.label for example in examples}
    compared = [second for second in second_labels if second.first or second.id in labels]
    pairs = [(second.first or labels[second.id], second.label) for second in compared]
    share = sum(label == other for label, other in pairs) / len(pairs)
    kappa = cohen_kappa_score([label for label, _ in pairs], [other for _, other in pairs])
    sure = sum(second.sure for second in second_labels) / len(second_labels)
    return (
        f"Second labels, given blind, for {len(pairs):,} rows: {share:.1%} agree with the first (Cohen's kappa "
        f"{kappa:.3f}); the second reader was sure of {sure:.1%}.\n"
    )


def counts(examples: Sequence[Example]) -> str:
    """Markdown tables of the rows by label, split, register and kind, the largest first."""
    tables = [
        _table("label", [example.label for example in examples]),
        _table("split", [split_of(example.group) for example in examples]),
        _table("register", [example.register for example in examples]),
        _table("kind", [example.kind for example in examples]),
    ]
    known = sum(example.attacker is not None for example in examples)
    held = sum(example.holder is not None for example in examples)
    groups = len({example.group for example in examples})
    total = f"{len(examples):,} rows in {groups:,} groups; {known:,} name the attacker, {held:,} the holder.\n"
    return "\n".join([total, *tables])


def _table(title: str, values: Sequence[str]) -> str:
    counted = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    rows = [f"| {name} | {number:,} |" for name, number in counted]
    return "\n".join([f"### By {title}\n", f"| {title} | rows |", "| --- | ---: |", *rows, ""])


def main() -> int:
    """Replace the section of the card."""
    try:
        examples = read(SENTENCES, Example)
        section = "\n".join([HEADING, agreement(examples, read(SECOND_LABELS, SecondLabel)), counts(examples)])
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    card = DATASET_CARD.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(HEADING) + r".*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    DATASET_CARD.write_text(pattern.sub(lambda _: section + "\n", card), encoding="utf-8")
    print(f"wrote the counts into {DATASET_CARD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
