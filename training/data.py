"""Read, validate and split the labelled sentences: `python -m training.data`.

Every fault is reported at once, as file:line: message, and nothing is written while there is one.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

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
    attacker: Name | None = field()  # must be said, null or not
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
AnyRow = TypeVar("AnyRow")
Fault = tuple[int, str]
"""Line and message."""


def read(path: Path, row_type: type[AnyRow]) -> list[AnyRow]:
    """The rows of a JSONL file. Raises DatasetError with all faults of single rows."""
    rows, faults = _parse(path, row_type)
    if faults:
        raise DatasetError(_located(path, faults))
    return list(rows.values())


def label_indices(rows: Sequence[LabelledSentence]) -> NDArray[np.int64]:
    """(n,): the labels as indices of STANCES."""
    return np.array([STANCES.index(row.label) for row in rows], dtype=np.int64)


def read_examples(path: Path) -> list[Example]:
    """The data set, every rule checked. Raises DatasetError."""
    rows, faults = _parse(path, Example)
    faults += [*_repeated(rows), *_torn_places(rows), *_leaks(rows)]
    if faults:
        raise DatasetError(_located(path, faults))
    return list(rows.values())


def _parse(path: Path, row_type: type[AnyRow]) -> tuple[dict[int, AnyRow], list[Fault]]:
    """The good rows by line, and the faults of the others."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError([f"{path}: cannot be read: {error}"]) from None
    adapter = TypeAdapter(row_type)
    rows: dict[int, AnyRow] = {}
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        try:
            rows[number] = adapter.validate_json(line)
        except ValidationError as error:
            faults += [(number, _message(fault)) for fault in error.errors(include_url=False)]
    return rows, faults


def _message(fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _located(path: Path, faults: Iterable[Fault]) -> list[str]:
    return [f"{path}:{number}: {message}" for number, message in sorted(faults)]


def _repeated(rows: Mapping[int, Example]) -> Iterable[Fault]:
    """Rows that repeat an id, or a sentence with the same place and attacker."""
    first_id: dict[str, int] = {}
    first_pair: dict[tuple[str, str, str], int] = {}
    for number, row in rows.items():
        if (first := first_id.setdefault(row.id, number)) != number:
            yield number, f"id {row.id!r} is also that of line {first}"
        pair = (normalized(row.place), normalized(row.attacker or ""), normalized(row.sentence))
        if (first := first_pair.setdefault(pair, number)) != number:
            yield number, f"repeats the sentence, place and attacker of line {first}"


def _torn_places(rows: Mapping[int, Example]) -> Iterable[Fault]:
    """Rows of one place in two groups, which could land in two splits."""
    group_of: dict[str, str] = {}
    for number, row in rows.items():
        group = group_of.setdefault(normalized(row.place), row.group)
        if group != row.group:
            yield number, f"group is {row.group!r}, earlier rows of {row.place!r} are in group {group!r}"


def _leaks(rows: Mapping[int, Example]) -> Iterable[Fault]:
    """Sentences that nearly repeat one of another split."""
    numbers, examples = list(rows), list(rows.values())
    splits = [split_of(example.group) for example in examples]
    for later, earlier in near_duplicates([example.sentence for example in examples], splits):
        yield (
            numbers[later],
            f"nearly repeats line {numbers[earlier]} of another split ({splits[later]}, {splits[earlier]}): "
            f"give both one group ({examples[later].group!r}, {examples[earlier].group!r})",
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
