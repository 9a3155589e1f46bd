"""Distillation: what a stronger model thinks of the training rows: `python -m training.teacher --model FOLDER`.

Writes datasets/teacher.jsonl, so that training needs the probabilities and not the model they came from. A row that
the file does not have is learnt from its label alone.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from serving.artefact import ArtefactError
from serving.classifier import StanceClassifier
from serving.stance import STANCES
from training.data import DatasetError, Example, LabelledSentence, label_indices, read
from training.paths import SPLITS, TEACHER

DECIMALS = 4

Teacher = Mapping[tuple[str, str], Sequence[float]]
"""Probabilities of STANCES by sentence and claim."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TeacherRow:
    """What the teacher thinks of one row, asked without and, where it is known, with the attacker."""

    id: str
    probabilities: list[float]
    probabilities_with_attacker: list[float] | None


def read_teacher(examples: Sequence[Example]) -> Teacher:
    """What datasets/teacher.jsonl says of these rows; nothing where there is no such file. Raises DatasetError."""
    if not TEACHER.exists():
        return {}
    rows = {row.id: row for row in read(TEACHER, TeacherRow)}
    teacher: dict[tuple[str, str], Sequence[float]] = {}
    for example in examples:
        if (row := rows.get(example.id)) is None:
            continue
        teacher[example.sentence, example.claim(with_attacker=False)] = row.probabilities
        if row.probabilities_with_attacker is not None:
            teacher[example.sentence, example.claim(with_attacker=True)] = row.probabilities_with_attacker
    return teacher


def targets(
    rows: Sequence[LabelledSentence], claims: Sequence[str], teacher: Teacher, weight: float
) -> NDArray[np.float32]:
    """(n, 4): the labels, mixed with the teacher's probabilities where it has any (Hinton et al. 2015)."""
    result = np.eye(len(STANCES), dtype=np.float32)[label_indices(rows)]
    for index, (row, claim) in enumerate(zip(rows, claims, strict=True)):
        if (probabilities := teacher.get((row.sentence, claim))) is not None:
            result[index] += weight * (np.array(probabilities, dtype=np.float32) - result[index])
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the model about every training row."""
    parser = argparse.ArgumentParser(description="Write datasets/teacher.jsonl.")
    parser.add_argument("--model", type=Path, required=True, help="the teacher's artefact folder")
    arguments = parser.parse_args(argv)
    try:
        examples = read(SPLITS / "train.jsonl", Example)
        classifier = StanceClassifier.load(arguments.model)
    except (DatasetError, ArtefactError) as error:
        print(error, file=sys.stderr)
        return 1
    sentences = [example.sentence for example in examples]
    plain, named = (
        classifier.predict_proba(sentences, [example.claim(with_attacker=with_attacker) for example in examples])
        for with_attacker in (False, True)
    )
    with TEACHER.open("w", encoding="utf-8") as file:
        for example, row, row_named in zip(examples, plain.round(DECIMALS), named.round(DECIMALS), strict=True):
            known = row_named.tolist() if example.attacker else None
            line = {"id": example.id, "probabilities": row.tolist(), "probabilities_with_attacker": known}
            file.write(json.dumps(line) + "\n")
    print(f"{len(examples)} rows; wrote {TEACHER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
