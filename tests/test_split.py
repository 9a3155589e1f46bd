from collections import Counter

from training.split import near_duplicates, normalized, split_of


def test_groups_are_shared_out_as_meant():
    counts = Counter(split_of(f"group {index}") for index in range(20_000))
    assert abs(counts["test"] / 20_000 - 0.1) < 0.01
    assert abs(counts["calibration"] / 20_000 - 0.1) < 0.01


def test_split_of_a_group_never_changes():
    assert [split_of(group) for group in ("kunduz", "panjshir", "vukovar", "goma", "lyman", "sake")] == [
        split_of(group) for group in ("kunduz", "panjshir", "vukovar", "goma", "lyman", "sake")
    ]
    assert {group: split_of(group) for group in ("a", "g", "l", "s")} == {
        "a": "train",
        "g": "train",
        "l": "train",
        "s": "train",
    }


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
