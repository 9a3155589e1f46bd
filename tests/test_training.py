"""The steps of training, each on its own."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from serving.artefact import RELEASED, load_artefact
from serving.classifier import softmax
from serving.stance import STANCES
from training import base_model, finetune
from training.base_model import BaseModelError, base_model_folder, origin
from training.baseline import score_baselines
from training.calibrate import REAL_SHARES, fit_temperature, fit_threshold, hardest, prior_bias, real_weights
from training.claims import claims_for, swapped, training_pairs
from training.config import TrainConfig
from training.data import Example, LabelledSentence
from training.gate import gate
from training.metrics import metrics, reliability
from training.teacher import TeacherRow, read_teacher, targets


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


def test_pairs_are_drawn_from_all_where_they_are_bounded():
    rows = [labelled(f"Town{index}") for index in range(200)]
    pairs, claims = training_pairs(rows, TrainConfig(max_pairs=50))
    assert len(pairs) == len(claims) == 50
    assert {row.place for row in pairs} > {row.place for row in pairs[:25]}
    assert (pairs, claims) == training_pairs(rows, TrainConfig(max_pairs=50))


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
    temperature = fit_temperature(logits * 2.5, y_true, np.ones(len(y_true)))
    assert temperature == pytest.approx(2.5, rel=0.05)
    assert (softmax(logits, temperature).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_threshold_is_the_lowest_that_keeps_the_accuracy():
    y_proba = np.array([[p, (1 - p) / 3, (1 - p) / 3, (1 - p) / 3] for p in (0.9, 0.8, 0.7, 0.6, 0.5)])
    right, wrong = 0, 1
    alike = np.ones(5)
    assert fit_threshold(y_proba, np.array([right, right, right, right, wrong]), alike, 0.95) == 0.6
    assert fit_threshold(y_proba, np.array([right, right, wrong, right, right]), alike, 0.8) == 0.5
    assert fit_threshold(y_proba, np.array([wrong] * 5), alike, 0.95) == 1.0
    heavy = np.array([1, 1, 9, 1, 1])
    assert fit_threshold(y_proba, np.array([right, right, wrong, right, right]), heavy, 0.8) == 0.8
    equals = np.array([[0.9, 0.1, 0.0, 0.0]] * 19 + [[0.8, 0.2, 0.0, 0.0]] * 4)
    labels = np.array([right] * 20 + [wrong] * 3)
    assert fit_threshold(equals, labels, np.ones(23), 0.95) == 0.9, "equals stand or fall together"


def test_bias_and_weights_lead_to_the_shares_of_real_reporting():
    labels = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    assert np.exp(prior_bias(labels)) * [0.1, 0.2, 0.3, 0.4] == pytest.approx(REAL_SHARES)
    weights = real_weights(labels)
    assert np.bincount(labels, weights) / weights.sum() == pytest.approx(REAL_SHARES / REAL_SHARES.sum())


def test_hardest_kinds_are_taken_whole_until_they_are_the_share():
    kinds = ["easy"] * 4 + ["hard"] * 3 + ["middling"] * 3
    right = np.array([True] * 4 + [False] * 3 + [True, False, True])
    assert hardest(kinds, right, 0.5).tolist() == [False] * 4 + [True] * 6
    assert hardest(kinds, right, 0.3).tolist() == [False] * 4 + [True] * 3 + [False] * 3


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


def test_training_goes_on_from_the_released_model():
    base = base_model_folder(TrainConfig().base_model)
    assert base == RELEASED
    assert origin(base, "released") == load_artefact(RELEASED).config.base_model


def test_packaged_model_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base_model, "PARTS", ["no-such-package-of-weights"])
    with pytest.raises(BaseModelError, match="no-such-package-of-weights is not installed"):
        base_model_folder("all-mpnet-base-v2")


def test_base_model_without_safetensors_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BaseModelError, match=r"has no model\.safetensors and no tokenizer\.json"):
        base_model_folder(str(tmp_path))


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no/such/folder/here"])
def test_base_model_that_cannot_be_had_is_named(name):
    with pytest.raises(BaseModelError, match=f"BASE_MODEL={name} is not a local folder, and the model hub"):
        base_model_folder(name)


def teacher_row(identity, probabilities, named):
    return TeacherRow(id=identity, probabilities=probabilities, probabilities_with_attacker=named)


def example(identity, place, sentence, label, attacker=None):
    return Example(
        id=identity,
        place=place,
        attacker=attacker,
        sentence=sentence,
        label=label,
        holder=None,
        register="wire",
        kind="plain",
        group=place,
    )


def test_targets_mix_the_label_with_the_teacher_where_it_knows_the_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    rows = [example("1", "X", "X fell.", "support", "the rebels"), example("2", "Y", "Y fell.", "support")]
    line = asdict(teacher_row("1", [0.6, 0.4, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]))
    (tmp_path / "datasets" / "teacher.jsonl").write_text(json.dumps(line) + "\n")
    teacher = read_teacher(rows)
    asked = [*rows, rows[0]]
    claims = ["X has fallen", "Y has fallen", "X has fallen to the rebels"]
    found = targets(asked, claims, teacher, weight=0.5)
    np.testing.assert_allclose(found, [[0.8, 0.2, 0, 0], [1, 0, 0, 0], [0.6, 0.4, 0, 0]], atol=1e-6)


def test_without_a_teacher_the_labels_are_the_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [example("1", "X", "X fell.", "deny")]
    assert targets(rows, ["X has fallen"], read_teacher(rows), weight=0.5).tolist() == [[0, 1, 0, 0]]


def test_layers_are_kept_evenly_frozen_and_slower_the_lower_they_are(tiny_base):
    from transformers import BertForSequenceClassification

    from tests.conftest import tiny_bert

    config = tiny_bert()
    config.num_hidden_layers = 12
    deep = tiny_base.parent / "deep"
    torch.manual_seed(0)
    whole = BertForSequenceClassification(config)
    whole.save_pretrained(deep)
    cut = finetune._model(deep, TrainConfig(layers=6, frozen_layers=2))
    for index, kept in enumerate([0, 2, 4, 7, 9, 11]):
        before, after = whole.bert.encoder.layer[kept], cut.bert.encoder.layer[index]
        torch.testing.assert_close(before.output.dense.weight, after.output.dense.weight)
    trained = {name for name, parameter in cut.named_parameters() if parameter.requires_grad}
    assert not any(".embeddings." in name or ".layer.0." in name or ".layer.1." in name for name in trained)
    rates = sorted(
        {group["lr"] for group in finetune._parameter_groups(cut, TrainConfig(learning_rate=1.0, layer_decay=0.5))}
    )
    assert rates == [0.125, 0.25, 0.5, 1.0]
