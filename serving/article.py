"""A whole article: its sentences with exact offsets, and what they add up to."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sentencex

from serving.schema import Counts, Summary, Verdict
from serving.stance import STANCES, Stance

_LINE = re.compile(r"[^\r\n\x85\u2028\u2029]+")
_WIDE_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Span:
    """text[start:end], in Unicode code points."""

    start: int
    end: int


def split_sentences(text: str) -> list[Span]:
    """The sentences of `text` in order, without the white space around them; together they hold all that is not."""
    # The splitter fails on some white space beyond ASCII; a plain space in its stead keeps every offset.
    plain = _WIDE_SPACE.sub(" ", text)
    spans: list[Span] = []
    for block in _blocks(text):
        for found in sentencex.get_sentence_boundaries("en", plain[block.start : block.end]):
            start, end = block.start + found["start_index"], block.start + found["end_index"]
            piece = text[start:end]
            if piece.strip():
                spans.append(Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())))
    return spans


def _blocks(text: str) -> Iterator[Span]:
    """Lines, each with the next one where that goes on in lower case: a wrapped sentence, no headline or bullet."""
    block: Span | None = None
    for line in _LINE.finditer(text):
        if block and text[block.end : line.start()] in ("\n", "\r\n", "\r") and line.group().lstrip()[:1].islower():
            block = Span(block.start, line.end())
            continue
        if block:
            yield block
        block = Span(line.start(), line.end())
    if block:
        yield block


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
