import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from serving.artefact import (
    CONFIG,
    MANIFEST,
    RELEASED,
    REQUIRED,
    STANCE_CONFIG,
    TOKENIZER,
    WEIGHTS,
    ArtefactError,
    load_artefact,
    seal,
)
from serving.stance import STANCES
from training.gate import gate

MEGABYTE = 1 << 20


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_sealed_folder_loads_and_its_version_names_its_content(tiny_artefact):
    artefact = load_artefact(tiny_artefact)
    assert artefact.version.startswith("20260102-")
    edit_json(tiny_artefact / STANCE_CONFIG, temperature=2.0)
    seal(tiny_artefact)
    again = load_artefact(tiny_artefact)
    assert again.config.temperature == 2.0
    assert again.version != artefact.version


@pytest.mark.parametrize("name", [*REQUIRED, WEIGHTS, MANIFEST])
def test_missing_file_is_refused_by_name(tiny_artefact, name):
    (tiny_artefact / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        load_artefact(tiny_artefact)


@pytest.mark.parametrize("name", [*REQUIRED, WEIGHTS])
def test_flipped_byte_is_refused_by_name(tiny_artefact, name):
    content = bytearray((tiny_artefact / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tiny_artefact / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{name}: altered"):
        load_artefact(tiny_artefact)


@pytest.mark.parametrize("name", [*REQUIRED, WEIGHTS])
def test_truncated_file_is_refused_by_name(tiny_artefact, name):
    content = (tiny_artefact / name).read_bytes()
    (tiny_artefact / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtefactError, match=f"{name}: altered"):
        load_artefact(tiny_artefact)


def test_unlisted_file_is_refused(tiny_artefact):
    (tiny_artefact / "weights.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ArtefactError, match=r"weights\.pkl: not in the manifest"):
        load_artefact(tiny_artefact)


def test_manifest_that_leads_out_of_the_folder_is_refused(tiny_artefact):
    manifest = json.loads((tiny_artefact / MANIFEST).read_text())
    manifest["files"]["../other.json"] = "0" * 64
    (tiny_artefact / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError, match="not a plain file name"):
        load_artefact(tiny_artefact)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": {}}'])
def test_senseless_manifest_is_refused(tiny_artefact, text):
    (tiny_artefact / MANIFEST).write_text(text)
    with pytest.raises(ArtefactError, match=MANIFEST):
        load_artefact(tiny_artefact)


def test_another_label_order_is_refused(tiny_artefact):
    edit_json(tiny_artefact / STANCE_CONFIG, labels=["deny", "support", "query", "comment"])
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match=f"{STANCE_CONFIG}: labels"):
        load_artefact(tiny_artefact)


def test_another_label_order_in_the_model_is_refused(tiny_artefact):
    edit_json(tiny_artefact / CONFIG, id2label=dict(enumerate(reversed(STANCES))))
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match=f"{CONFIG}: id2label"):
        load_artefact(tiny_artefact)


def test_another_claim_is_refused(tiny_artefact):
    edit_json(tiny_artefact / STANCE_CONFIG, claim_templates={"place": "{place} was taken"})
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match=f"{STANCE_CONFIG}: trained on the claims"):
        load_artefact(tiny_artefact)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", "x"),
        ("bias", [0.0] * 3),
        ("threshold", 1.5),
        ("max_length", 8),
        ("created", None),
        ("labels", 3),
    ],
)
def test_value_out_of_range_is_refused(tiny_artefact, field, value):
    edit_json(tiny_artefact / STANCE_CONFIG, **{field: value})
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match=f"{STANCE_CONFIG}: {field}"):
        load_artefact(tiny_artefact)


def test_weights_without_a_head_for_the_labels_are_refused(tiny_artefact):
    save_file({"classifier.weight": np.zeros((3, 16))}, tiny_artefact / WEIGHTS)
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match="no classification head for 4 labels"):
        load_artefact(tiny_artefact)


def test_tokeniser_that_is_none_is_refused(tiny_artefact):
    (tiny_artefact / TOKENIZER).write_text("{}")
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match=f"{TOKENIZER}: not a tokeniser"):
        load_artefact(tiny_artefact)


def test_unknown_field_of_the_config_is_refused(tiny_artefact):
    edit_json(tiny_artefact / STANCE_CONFIG, temprature=2.0)
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match="temprature"):
        load_artefact(tiny_artefact)


def test_weights_that_are_no_safetensors_are_refused(tiny_artefact):
    (tiny_artefact / WEIGHTS).write_bytes(b"\x80\x04cbuiltins\neval\n")
    seal(tiny_artefact)
    with pytest.raises(ArtefactError, match="not a safetensors file"):
        load_artefact(tiny_artefact)


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="there is no such model folder"):
        load_artefact(tmp_path / "nothing")


def test_released_model_is_whole_evaluated_and_small_enough():
    artefact = load_artefact(RELEASED)
    assert gate(artefact.metrics) == []
    assert all(path.stat().st_size <= 95 * MEGABYTE for path in RELEASED.iterdir())
