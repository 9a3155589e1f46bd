"""How a (sentence, claim) pair becomes token ids: the only tokenisation in the project, for training and serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

WINDOW_OVERLAP = 32
"""Tokens that two neighbouring windows of one over-long sentence share."""

MINIMUM_LENGTH = 3 * WINDOW_OVERLAP
"""Tokens a window must have: for the sentence's part to move on, beside a claim that fills half of it."""


@dataclass(frozen=True)
class Windows:
    """Encoded pairs. A sentence too long for the model spans several windows, so that nothing is cut off."""

    encodings: list[Encoding]
    pair: NDArray[np.int64]
    """(windows,): the index of the pair each window belongs to."""


def load_tokenizer(path: Path, max_length: int) -> Tokenizer:
    """Read `tokenizer.json`, set to split over-long sentences into windows of `max_length` tokens.

    The sentence comes first and alone is split: the claim is whole in every window.
    """
    tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, stride=WINDOW_OVERLAP, strategy="only_first")
    return tokenizer


def encode(tokenizer: Tokenizer, sentences: Sequence[str], claims: Sequence[str]) -> Windows:
    """Encode sentence k with claim k.

    A claim may fill half a window; no name that people use comes near it, and what is beyond is left out.
    """
    shortened = {claim: _shortened(tokenizer, claim) for claim in set(claims)}
    pairs = [(sentence, shortened[claim]) for sentence, claim in zip(sentences, claims, strict=True)]
    encodings: list[Encoding] = []
    pair: list[int] = []
    for index, encoding in enumerate(tokenizer.encode_batch(pairs)):
        windows = [encoding, *encoding.overflowing]
        encodings += windows
        pair += [index] * len(windows)
    return Windows(encodings, np.array(pair, dtype=np.int64))


def _shortened(tokenizer: Tokenizer, claim: str) -> str:
    assert tokenizer.truncation is not None, "load_tokenizer sets it"  # noqa: S101
    limit = tokenizer.truncation["max_length"] // 2
    encoding = tokenizer.encode(claim, add_special_tokens=False)
    return claim if len(encoding) <= limit else claim[: encoding.offsets[limit - 1][1]]


def pad(encodings: Sequence[Encoding], pad_id: int) -> dict[str, NDArray[np.int64]]:
    """The model's inputs, each (len(encodings), longest encoding)."""
    longest = max(len(encoding) for encoding in encodings)
    shape = (len(encodings), longest)
    inputs = {
        "input_ids": np.full(shape, pad_id, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    for row, encoding in enumerate(encodings):
        inputs["input_ids"][row, : len(encoding)] = encoding.ids
        inputs["attention_mask"][row, : len(encoding)] = 1
        inputs["token_type_ids"][row, : len(encoding)] = encoding.type_ids
    return inputs
