"""The data itself: valid, as its card says, and in the words of its guideline."""

import re
from collections import Counter

import pytest

from serving.stance import STANCES
from tests.conftest import ROOT
from training.data import read_examples
from training.split import split_of

CARD = (ROOT / "datasets" / "README.md").read_text()


@pytest.fixture(scope="module")
def examples():
    return read_examples(ROOT / "datasets" / "sentences.jsonl")


def counts_in_card(heading):
    """{name: rows} of the table under a heading."""
    section = CARD.partition(f"### By {heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| ([a-z-]+) \| ([\d,]+) \|", section, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in rows}


@pytest.mark.parametrize("field", ["label", "register", "kind"])
def test_card_counts_the_rows(examples, field):
    assert counts_in_card(field) == Counter(getattr(example, field) for example in examples)


def test_card_counts_the_splits(examples):
    assert counts_in_card("split") == Counter(split_of(example.group) for example in examples)


def test_every_split_holds_every_label(examples):
    found = Counter((split_of(example.group), example.label) for example in examples)
    assert all(found[split, stance] >= 50 for split in ("train", "calibration", "test") for stance in STANCES)


def test_comment_has_no_holder(examples):
    assert [example.id for example in examples if example.label == "comment" and example.holder] == []


def test_guideline_says_what_each_label_means():
    guideline = (ROOT / "datasets" / "GUIDELINE.md").read_text()
    for stance in STANCES:
        assert f"- {stance}:" in guideline
