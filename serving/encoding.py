"""How a (sentence, claim) pair becomes token ids: the only tokenisation in the project, for training and serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
"""The arrays that `pad` makes."""

WINDOW_OVERLAP = 32
"""Tokens that two neighbouring windows of one over-long sentence share."""

MINIMUM_LENGTH = 3 * WINDOW_OVERLAP
"""Tokens a window must have: for the sentence's part to move on, beside a claim that fills half of it."""


@dataclass(frozen=True)
class Windows:
    """Encoded pairs, each distinct one once.

    A sentence too long for the model spans several windows, so that nothing is cut off.
    """

    encodings: list[Encoding]
    pair: NDArray[np.int64]
    """(windows,): the index of the distinct pair each window belongs to."""
    row: NDArray[np.int64]
    """(rows,): the index of the distinct pair that each row asked for is."""

    def first(self) -> list[Encoding]:
        """The first window of each row."""
        _, first = np.unique(self.pair, return_index=True)
        return [self.encodings[first[pair]] for pair in self.row]

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(windows, k) values to (rows, k): those of a row that spans several windows are their mean."""
        count = np.bincount(self.pair)
        total = np.zeros((len(count), values.shape[1]))
        np.add.at(total, self.pair, values)
        result: NDArray[np.float64] = (total / count[:, np.newaxis])[self.row]
        return result


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
    asked = [(sentence, shortened[claim]) for sentence, claim in zip(sentences, claims, strict=True)]
    distinct = {pair: index for index, pair in enumerate(dict.fromkeys(asked))}
    encodings: list[Encoding] = []
    pair: list[int] = []
    for index, encoding in enumerate(tokenizer.encode_batch(list(distinct))):
        windows = [encoding, *encoding.overflowing]
        encodings += windows
        pair += [index] * len(windows)
    row = [distinct[key] for key in asked]
    return Windows(encodings, np.array(pair, dtype=np.int64), np.array(row, dtype=np.int64))


def _shortened(tokenizer: Tokenizer, claim: str) -> str:
    assert tokenizer.truncation is not None, "load_tokenizer sets it"  # noqa: S101
    limit = tokenizer.truncation["max_length"] // 2
    encoding = tokenizer.encode(claim, add_special_tokens=False)
    return claim if len(encoding) <= limit else claim[: encoding.offsets[limit - 1][1]]


def pad(encodings: Sequence[Encoding], pad_id: int) -> dict[str, NDArray[np.int64]]:
    """The model's inputs, each (len(encodings), longest encoding)."""
    longest = max(len(encoding) for encoding in encodings)
    shape = (len(encodings), longest)
    inputs = {name: np.zeros(shape, dtype=np.int64) for name in INPUT_NAMES}
    inputs["input_ids"][:] = pad_id
    for row, encoding in enumerate(encodings):
        inputs["input_ids"][row, : len(encoding)] = encoding.ids
        inputs["attention_mask"][row, : len(encoding)] = 1
        inputs["token_type_ids"][row, : len(encoding)] = encoding.type_ids
    return inputs
