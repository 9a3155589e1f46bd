import numpy as np
import pytest

from serving.classifier import softmax
from serving.stance import claim

SENTENCES = [
    "the army holds the town",
    "rebels captured the city",
    "who controls the province is unclear",
    "it fell",
    "the governor denied it",
]
CLAIMS = [claim(place) for place in ("the town", "the city", None, "it", "the place")]


def test_probabilities_are_a_row_for_each_pair_and_sum_to_one(tiny_classifier):
    probabilities = tiny_classifier.predict_proba(SENTENCES, CLAIMS)
    assert probabilities.shape == (5, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_one_by_one_and_together_in_any_order_answer_the_same(tiny_classifier):
    together = tiny_classifier.predict_proba(SENTENCES, CLAIMS)
    for index, (sentence, asked) in enumerate(zip(SENTENCES, CLAIMS, strict=True)):
        alone = tiny_classifier.predict_proba([sentence], [asked])
        np.testing.assert_allclose(alone[0], together[index], atol=1e-6)
    backwards = tiny_classifier.predict_proba(SENTENCES[::-1], CLAIMS[::-1])
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-6)


def test_no_pairs_give_no_rows(tiny_classifier):
    assert tiny_classifier.predict_proba([], []).shape == (0, 4)


def test_unequal_numbers_of_sentences_and_claims_are_refused(tiny_classifier):
    with pytest.raises(ValueError, match="zip"):
        tiny_classifier.predict_proba(SENTENCES, CLAIMS[:-1])


def test_end_of_an_over_long_sentence_counts(released_classifier):
    start = "The weather was mild and the harvest was good. " * 40
    ends = ["It rained on Tuesday.", "The town has been captured by the rebels."]
    calm, taken = released_classifier.predict_proba([start + end for end in ends], [claim("the town")] * 2)
    assert taken[0] > calm[0] + 0.01


def test_many_batches_answer_like_few(released_classifier):
    sentences = [f"{index} soldiers left the town " * (1 + index % 30) for index in range(120)]
    claims = [claim("the town")] * len(sentences)
    together = released_classifier.predict_proba(sentences, claims)
    for index in (0, 29, 59, 119):
        alone = released_classifier.predict_proba([sentences[index]], [claims[index]])
        np.testing.assert_allclose(alone[0], together[index], atol=1e-4)


def test_softmax_of_huge_logits_is_finite_and_temperature_flattens():
    logits = np.array([[1e4, 0.0, -1e4, 5.0], [1.0, 0.0, 0.0, 0.0]])
    sharp, flat = softmax(logits, 1.0), softmax(logits, 10.0)
    assert np.isfinite(sharp).all()
    assert flat[1].max() < sharp[1].max()


def test_confident_begins_at_the_threshold(tiny_classifier):
    rows = np.array([[0.5, 0.2, 0.2, 0.1], [0.499, 0.201, 0.2, 0.1]])
    assert tiny_classifier.confident(rows).tolist() == [True, False]
