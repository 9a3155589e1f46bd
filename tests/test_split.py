from collections import Counter

from training.split import near_duplicates, normalized, split_of


def test_groups_are_shared_out_as_meant():
    counts = Counter(split_of(f"group {index}") for index in range(20_000))
    assert abs(counts["test"] / 20_000 - 0.1) < 0.01
    assert abs(counts["calibration"] / 20_000 - 0.1) < 0.01


def test_split_of_a_group_never_changes():
    expected = {
        "aachen": "train",
        "abadan": "train",
        "abu-dis-al-sharq": "calibration",
        "abu-hamad": "calibration",
        "abei-town": "test",
        "abu-sharif": "test",
    }
    assert {group: split_of(group) for group in expected} == expected


def test_normalized_text_is_its_words():
    assert normalized("  The TOWN, has—fallen! ") == "the town has fallen"


def test_near_duplicates_are_found_across_splits_only():
    sentences = [
        "The army said that its troops had left the town after six days of fighting.",
        "The army said that its troops had left the town after five days of fighting.",
        "Prices rose.",
    ]
    assert near_duplicates(sentences, ["train", "test", "test"]) == [(1, 0)]
    assert near_duplicates(sentences, ["train", "train", "test"]) == []
    assert near_duplicates(sentences[:1], ["train"]) == []


def test_near_duplicates_are_found_far_apart():
    filler = [f"Sentence {index} is about matter {index * 7} and no other." for index in range(2500)]
    twin = "The army said that its troops had left the town after six days of fighting."
    found = near_duplicates([twin, *filler, twin], ["train"] * 2501 + ["test"])
    assert found == [(2501, 0)]
