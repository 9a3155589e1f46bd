"""The data itself: valid, as its card says, and in the words of its guideline."""

from collections import Counter

import pytest

from serving.stance import STANCES
from tests.conftest import ROOT
from training.counts import SecondLabel, agreement, counts
from training.data import read, read_examples
from training.split import split_of

CARD = (ROOT / "datasets" / "README.md").read_text()


@pytest.fixture(scope="module")
def examples():
    return read_examples(ROOT / "datasets" / "sentences.jsonl")


def test_card_counts_the_rows(examples):
    assert counts(examples) in CARD


def test_card_tells_how_far_the_second_labels_agree(examples):
    second_labels = read(ROOT / "datasets" / "second-labels.jsonl", SecondLabel)
    assert agreement(examples, second_labels) in CARD
    labels = {example.id: example.label for example in examples}
    for second in second_labels:
        assert second.first != second.label
        assert second.id in labels or second.first, "a row that is gone was one on which the readers disagreed"
        assert second.first or labels[second.id] == second.label, "every disagreement was settled"
    assert labels.keys() <= {second.id for second in second_labels}


def test_every_split_holds_every_label(examples):
    found = Counter((split_of(example.group), example.label) for example in examples)
    assert all(found[split, stance] >= 50 for split in ("train", "calibration", "test") for stance in STANCES)


def test_comment_has_no_holder(examples):
    assert [example.id for example in examples if example.label == "comment" and example.holder] == []


def test_guideline_says_what_each_label_means():
    guideline = (ROOT / "datasets" / "GUIDELINE.md").read_text()
    for stance in STANCES:
        assert f"- {stance}:" in guideline
