"""Which split a row belongs to: decided by its group alone, so that adding rows moves none."""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

Split = Literal["train", "calibration", "test"]
SPLIT_NAMES: tuple[Split, ...] = get_args(Split)

CALIBRATION_PERCENT = 10
TEST_PERCENT = 10

WORD = r"(?u)\b\w+\b"
NEAR_DUPLICATE = 0.6
"""Cosine of two sentences' sets of two and three words in a row, from which they count as one and the same."""

BLOCK_ROWS = 1000
"""Sentences that are compared with all others at once: bounds the memory."""


def split_of(group: str) -> Split:
    """The split of a group."""
    bucket = int(hashlib.sha256(group.encode()).hexdigest(), 16) % 100
    if bucket < TEST_PERCENT:
        return "test"
    return "calibration" if bucket < TEST_PERCENT + CALIBRATION_PERCENT else "train"


def normalized(text: str) -> str:
    """The words alone: text that differs only in case, spacing or punctuation becomes equal."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def near_duplicates(sentences: Sequence[str], splits: Sequence[Split]) -> list[tuple[int, int]]:
    """Index pairs (later, earlier) of near-duplicates that stand in different splits."""
    if len(sentences) < 2:
        return []
    vectorizer = CountVectorizer(binary=True, ngram_range=(2, 3), token_pattern=WORD, dtype=np.float32)
    words = normalize(vectorizer.fit_transform([*sentences]))
    split = np.array([SPLIT_NAMES.index(name) for name in splits])
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(sentences), BLOCK_ROWS):
        similarity = (words[start : start + BLOCK_ROWS] @ words.T).tocoo()
        near = similarity.data >= NEAR_DUPLICATE
        later, earlier = similarity.row[near] + start, similarity.col[near]
        wanted = (later > earlier) & (split[later] != split[earlier])
        pairs += zip(later[wanted].tolist(), earlier[wanted].tolist(), strict=True)
    return sorted(pairs)
