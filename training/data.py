"""Read, validate and split the labelled sentences: `python -m training.data`.

Every fault is reported at once, as file:line: message, and nothing is written while there is one.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from serving.schema import Name, Sentence
from serving.stance import STANCES, Stance, claim
from training.paths import SENTENCES, SPLITS
from training.split import SPLIT_NAMES, near_duplicates, normalized, split_of


class DatasetError(ValueError):
    """The data cannot be used; the message holds one line a fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep the faults in the order of the file."""
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class LabelledSentence:
    """What evaluation needs of a row; fields it does not know are ignored."""

    place: Name | None = None
    attacker: Name | None = None
    sentence: Sentence
    label: Stance
    register: str = ""
    kind: str = ""

    def claim(self, *, with_attacker: bool) -> str:
        """The claim that the label answers."""
        return claim(self.place, self.attacker if with_attacker else None)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Example(LabelledSentence):
    """A row of datasets/sentences.jsonl: all fields, and no others."""

    id: Name
    place: Name
    holder: Sentence | None
    register: Name
    kind: Name
    group: Name

    @model_validator(mode="after")
    def _holder_is_in_the_sentence(self) -> Self:
        if self.holder is not None and self.holder not in self.sentence:
            raise ValueError(f"holder {self.holder!r} is not a verbatim part of the sentence")
        return self


Row = TypeVar("Row", bound=LabelledSentence)


def read(path: Path, row_type: type[Row]) -> list[Row]:
    """The rows of a JSONL file. Raises DatasetError with all faults of single rows."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError([f"{path}: cannot be read: {error}"]) from None
    adapter = TypeAdapter(row_type)
    rows: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(adapter.validate_json(line))
        except ValidationError as error:
            faults += [f"{path}:{number}: {_fault(fault)}" for fault in error.errors(include_url=False)]
    if faults:
        raise DatasetError(faults)
    return rows


def read_labelled(path: Path) -> list[LabelledSentence]:
    """The rows of any labelled JSONL file, for evaluation. Raises DatasetError."""
    return read(path, LabelledSentence)


def label_indices(rows: Sequence[LabelledSentence]) -> NDArray[np.int64]:
    """(n,): the labels as indices of STANCES."""
    return np.array([STANCES.index(row.label) for row in rows], dtype=np.int64)


def read_examples(path: Path) -> list[Example]:
    """The data set, every rule checked. Raises DatasetError."""
    examples = read(path, Example)
    faults = [*_repeated(path, examples), *_torn_places(path, examples), *_leaks(path, examples)]
    if faults:
        raise DatasetError(faults)
    return examples


def _fault(fault: object) -> str:
    assert isinstance(fault, dict)
    where = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _repeated(path: Path, examples: Sequence[Example]) -> Iterable[str]:
    """Rows that repeat an id, or a sentence with the same place and attacker."""
    first_id: dict[str, int] = {}
    first_pair: dict[tuple[str, str, str], int] = {}
    for number, example in enumerate(examples, start=1):
        if (first := first_id.setdefault(example.id, number)) != number:
            yield f"{path}:{number}: id {example.id!r} is also that of row {first}"
        pair = (
            normalized(example.place),
            normalized(example.attacker or ""),
            normalized(example.sentence),
        )
        if (first := first_pair.setdefault(pair, number)) != number:
            yield f"{path}:{number}: repeats the sentence, place and attacker of row {first}"


def _torn_places(path: Path, examples: Sequence[Example]) -> Iterable[str]:
    """Rows of one place in two groups, which could land in two splits."""
    group_of: dict[str, str] = {}
    for number, example in enumerate(examples, start=1):
        group = group_of.setdefault(normalized(example.place), example.group)
        if group != example.group:
            yield (
                f"{path}:{number}: group is {example.group!r}, earlier rows of {example.place!r} are in group {group!r}"
            )


def _leaks(path: Path, examples: Sequence[Example]) -> Iterable[str]:
    """Sentences that nearly repeat one of another split."""
    splits = [split_of(example.group) for example in examples]
    for row, other in near_duplicates([example.sentence for example in examples], splits):
        yield (
            f"{path}:{row + 1}: nearly repeats row {other + 1} of another split ({splits[row]}, {splits[other]}): "
            f"give both one group ({examples[row].group!r}, {examples[other].group!r})"
        )


def main() -> int:
    """Validate the data and write build/splits/."""
    try:
        examples = read_examples(SENTENCES)
    except DatasetError as error:
        print(error, file=sys.stderr)
        print(f"{len(error.faults)} faults; nothing was written", file=sys.stderr)
        return 1
    SPLITS.mkdir(parents=True, exist_ok=True)
    for split in SPLIT_NAMES:
        rows = [example for example in examples if split_of(example.group) == split]
        text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
        (SPLITS / f"{split}.jsonl").write_text(text, encoding="utf-8")
        print(f"{split}: {len(rows)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
