"""Write the counts into the dataset card: `python -m training.counts`, after rows were added."""

import re
import sys
from collections import Counter
from collections.abc import Sequence

from training.data import DatasetError, Example, read
from training.paths import DATASET_CARD, SENTENCES
from training.split import split_of

HEADING = "## Counts\n"


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
        section = HEADING + "\n" + counts(read(SENTENCES, Example))
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
