"""A whole article: its sentences with exact offsets, and what they add up to."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sentencex

from serving.schema import Counts, Summary, Verdict
from serving.stance import STANCES, Stance

_LINE = re.compile(r"[^\n\r\u2028\u2029]+(?:[\n\r](?=[ \t]*[a-z])[^\n\r\u2028\u2029]+)*")
"""A line, with the next one where that goes on in lower case: a wrapped sentence, not a headline or a bullet."""


@dataclass(frozen=True)
class Span:
    """text[start:end], in Unicode code points."""

    start: int
    end: int


def split_sentences(text: str) -> list[Span]:
    """The sentences of `text` in order, without the white space around them; together they hold all that is not."""
    spans: list[Span] = []
    for line in _LINE.finditer(text):
        for found in sentencex.get_sentence_boundaries("en", line.group()):
            start, end = line.start() + found["start_index"], line.start() + found["end_index"]
            piece = text[start:end]
            if piece.strip():
                spans.append(Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())))
    return spans


def summarize(stances: Sequence[tuple[Stance, bool]]) -> Summary:
    """Add up (stance, confident) of the title and the sentences."""
    counts = Counter(stance for stance, _ in stances)
    return Summary(
        verdict=_verdict(stances),
        counts=Counts(**{stance: counts[stance] for stance in STANCES}),
        holders=[],
    )


def _verdict(stances: Sequence[tuple[Stance, bool]]) -> Verdict:
    confident = {stance for stance, is_confident in stances if is_confident}
    if {"support", "deny"} <= confident:
        return "contested"
    if "support" in confident:
        return "claimed"
    if "deny" in confident:
        return "denied"
    # A support or deny the model is not sure of settles nothing: it leaves the question open, like a query.
    return "unclear" if any(stance != "comment" for stance, _ in stances) else "none"
