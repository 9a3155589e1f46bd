"""What the released model must be able to do, capability by capability, on sentences written for these tests.

After Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList". No sentence is in the
training data. `make test` prints the pass rate of each family.
"""

import json
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

from serving.stance import STANCES, claim
from tests.conftest import ROOT
from training.data import Example, read
from training.paths import SENTENCES
from training.split import near_duplicates

FOLDER = ROOT / "tests" / "behaviour"
FLOOR = 0.9
NAMES_A_TEMPLATE = 20

NOT_SAFE = {
    "attacker-swap",
    "denial-verb",
    "direction",
    "recapture",
    "prediction-conditional",
    "unverified-hedge",
    "both-sides",
    "ambiguous-fall",
    "tense-presupposition",
}
"""What the released model cannot do yet, or with no case to spare: there another processor's rounding decides."""


@dataclass(frozen=True)
class Case:
    family: str
    sentence: str
    place: str
    attacker: str | None
    label: str


def written_cases() -> list[Case]:
    lines = (FOLDER / "cases.jsonl").read_text().splitlines()
    return [Case(**json.loads(line)) for line in lines]


def place_name_cases() -> list[Case]:
    """Each template with its share of the names, so that all are used."""
    names = (FOLDER / "names.txt").read_text().splitlines()
    templates = [json.loads(line) for line in (FOLDER / "templates.jsonl").read_text().splitlines()]
    return [
        Case("place-name", template["sentence"].replace("{place}", name), name, None, template["label"])
        for index, template in enumerate(templates)
        for name in np.roll(names, -NAMES_A_TEMPLATE * index)[:NAMES_A_TEMPLATE].tolist()
    ]


CASES = [*written_cases(), *place_name_cases()]
FAMILIES = list(dict.fromkeys(case.family for case in CASES))


@pytest.fixture(scope="module")
def answers(released_classifier) -> dict[str, list[tuple[Case, str]]]:
    claims = [claim(case.place, case.attacker) for case in CASES]
    probabilities = released_classifier.predict_proba([case.sentence for case in CASES], claims)
    by_family = defaultdict(list)
    for case, best in zip(CASES, probabilities.argmax(axis=1), strict=True):
        by_family[case.family].append((case, STANCES[best]))
    return by_family


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=pytest.mark.xfail(reason="not safely at the floor") if family in NOT_SAFE else [])
        for family in FAMILIES
    ],
)
def test_behaviour(family, answers, capsys):
    rows = answers[family]
    failed = [(case, answer) for case, answer in rows if case.label != answer]
    rate = 1 - len(failed) / len(rows)
    with capsys.disabled():
        print(f"\n{family}: {rate:.1%} of {len(rows)}", end=" ")
    told = "\n".join(f"{case.label} taken for {answer}: {case}" for case, answer in failed)
    assert rate >= FLOOR, f"{family}: {rate:.1%}\n{told}"


def test_families_are_many_and_large():
    sizes = {family: sum(case.family == family for case in CASES) for family in FAMILIES}
    assert len(sizes) >= 12
    assert min(sizes.values()) >= 30


def test_no_case_is_like_a_training_sentence():
    known = [example.sentence for example in read(ROOT / SENTENCES, Example)]
    own = list(dict.fromkeys(case.sentence for case in CASES if case.family != "place-name"))
    splits = ["train"] * len(known) + ["test"] * len(own)
    assert near_duplicates([*known, *own], splits) == []
