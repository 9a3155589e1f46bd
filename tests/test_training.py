"""The steps of training, each on its own."""

import numpy as np
import pytest

from serving.classifier import softmax
from serving.stance import STANCES
from training.base_model import BaseModelError, base_model_folder
from training.baseline import score_baselines
from training.calibrate import fit_temperature, fit_threshold
from training.claims import claims_for, swapped, training_pairs
from training.config import TrainConfig
from training.data import LabelledSentence
from training.gate import gate
from training.metrics import metrics, reliability


def labelled(place, label="support", sentence=None, attacker=None):
    return LabelledSentence(
        place=place, label=label, sentence=sentence or f"{place} has been taken.", attacker=attacker
    )


def test_swaps_ask_about_a_place_that_the_sentence_does_not_name():
    rows = [labelled(f"Town{index}") for index in range(50)] + [labelled("Hidden", sentence="It fell.")]
    others = swapped(rows, share=0.5, seed=1)
    assert 20 <= len(others) <= 26
    for row in others:
        assert row.label == "comment"
        assert row.place not in row.sentence
        assert row.sentence != "It fell.", "a sentence that names no place is about any"
    assert others == swapped(rows, share=0.5, seed=1)
    assert others != swapped(rows, share=0.5, seed=2)


def test_attacker_is_named_in_its_share_of_the_claims():
    rows = [labelled("X", attacker="the rebels")] * 500 + [labelled("X")] * 10
    claims = claims_for(rows, 0.6, seed=1)
    named = claims.count("X has fallen to the rebels")
    assert 260 <= named <= 340
    assert claims[500:] == ["X has fallen"] * 10


def test_each_epoch_draws_its_claims_and_swaps_anew():
    rows = [labelled(f"Town{index}", attacker="the rebels") for index in range(100)]
    config = TrainConfig(epochs=2, swap_share=0.2, attacker_share=0.5)
    pairs, claims = training_pairs(rows, config)
    half = len(pairs) // 2
    assert pairs[:100] == pairs[half : half + 100] == rows
    assert claims[:100] != claims[half : half + 100]
    assert pairs[100:half] != pairs[half + 100 :]
    assert (pairs, claims) == training_pairs(rows, config)


def test_sentence_whose_label_turns_with_the_attacker_always_names_it():
    pair = [labelled("X", "support", attacker="the army"), labelled("X", "deny", attacker="the rebels")]
    assert claims_for(pair, attacker_share=0.0) == ["X has fallen to the army", "X has fallen to the rebels"]


def test_metrics_by_hand():
    y_true = np.array([0, 0, 1, 2, 3, 3])
    y_proba = np.array(
        [
            [0.9, 0.1, 0.0, 0.0],
            [0.2, 0.6, 0.1, 0.1],
            [0.1, 0.7, 0.1, 0.1],
            [0.1, 0.1, 0.7, 0.1],
            [0.0, 0.0, 0.0, 1.0],
            [0.4, 0.3, 0.2, 0.1],
        ]
    )
    scores = metrics(y_true, y_proba, y_proba.max(axis=1) >= 0.7)
    assert scores["accuracy"] == pytest.approx(4 / 6, abs=1e-4)
    assert scores["labels"]["support"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}
    assert scores["labels"]["deny"]["f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["labels"]["query"]["f1"] == 1.0
    assert scores["labels"]["comment"]["f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 1 + 2 / 3) / 4, abs=1e-4)
    assert scores["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    assert scores["brier"] == pytest.approx((0.02 + 1.02 + 0.12 + 0.12 + 0 + 1.10) / 6, abs=1e-4)
    assert (scores["confident_share"], scores["confident_accuracy"]) == (pytest.approx(4 / 6, abs=1e-4), 1.0)
    # six predictions in bins of their own but for the two at 0.7: |0.9-1| + |0.6-0| + 2*|0.7-1| + 0 + |0.4-0|
    assert scores["ece"] == pytest.approx((0.1 + 0.6 + 0.6 + 0 + 0.4) / 6, abs=1e-4)
    assert sum(row["rows"] for row in reliability(y_true, y_proba)) == 6


def test_known_temperature_is_recovered_and_changes_no_answer():
    random = np.random.default_rng(3)
    logits = random.normal(size=(20_000, 4)) * 2
    y_true = np.array([random.choice(4, p=row) for row in softmax(logits, 1.0)])
    temperature = fit_temperature(logits * 2.5, y_true)
    assert temperature == pytest.approx(2.5, rel=0.05)
    assert (softmax(logits, temperature).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_threshold_is_the_lowest_that_keeps_the_accuracy():
    y_proba = np.array([[p, (1 - p) / 3, (1 - p) / 3, (1 - p) / 3] for p in (0.9, 0.8, 0.7, 0.6, 0.5)])
    right, wrong = 0, 1
    assert fit_threshold(y_proba, np.array([right, right, right, right, wrong]), 0.95) == 0.6
    assert fit_threshold(y_proba, np.array([right, right, wrong, right, right]), 0.8) == 0.5
    assert fit_threshold(y_proba, np.array([wrong] * 5), 0.95) == 1.0
    equals = np.array([[0.9, 0.1, 0.0, 0.0]] * 19 + [[0.8, 0.2, 0.0, 0.0]] * 4)
    assert fit_threshold(equals, np.array([right] * 20 + [wrong] * 3), 0.95) == 0.9, "equals stand or fall together"


def test_baselines_learn_and_majority_does_not():
    words = {"support": "captured", "deny": "repelled", "query": "unclear", "comment": "weather"}
    rows = [labelled("X", label, f"{word} on day {n}") for n in range(20) for label, word in words.items()]
    scores = score_baselines([*rows, *rows[:1]], rows)
    assert scores["majority"]["macro_f1"] == 0.1
    assert scores["tfidf_logistic_regression"]["macro_f1"] > 0.9


def good_metrics():
    return {
        "scores": {
            "macro_f1": 0.8,
            "ece": 0.03,
            "labels": {stance: {"f1": 0.7} for stance in STANCES},
        },
        "claim_swap": {"rows": 9, "comment_share": 0.98},
        "baselines": {"majority": {"macro_f1": 0.1}, "other": {"macro_f1": 0.5}},
    }


def test_gate_lets_a_good_model_through():
    assert gate(good_metrics()) == []


def test_gate_names_each_fault():
    assert gate(None) == ["it has not been evaluated"]
    bad = good_metrics()
    bad["scores"]["macro_f1"] = 0.5
    bad["scores"]["ece"] = 0.2
    bad["scores"]["labels"]["deny"]["f1"] = 0.3
    bad["claim_swap"]["comment_share"] = 0.5
    faults = "\n".join(gate(bad))
    for word in ("baseline other", "deny", "claim swap", "ECE"):
        assert word in faults


def test_default_base_model_is_the_packaged_one():
    assert (base_model_folder(TrainConfig().base_model) / "config.json").is_file()


def test_base_model_without_safetensors_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BaseModelError, match=r"has no model\.safetensors and no tokenizer\.json"):
        base_model_folder(str(tmp_path))


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no/such/folder/here"])
def test_base_model_that_cannot_be_had_is_named(name):
    with pytest.raises(BaseModelError, match=f"BASE_MODEL={name} is not a local folder, and the model hub"):
        base_model_folder(name)
