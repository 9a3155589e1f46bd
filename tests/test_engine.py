import subprocess
import sys

import numpy as np
import pytest

from serving.artefact import EXPORTED, RELEASED, load_artefact
from serving.classifier import StanceClassifier
from serving.engine import load_engine
from tests.conftest import ROOT
from tests.test_behaviour import CASES
from training.export import MAXIMUM_DIFFERENCES, ExportError, check

SERVE = """
import sys
from serving.artefact import RELEASED
from serving.classifier import StanceClassifier
classifier = StanceClassifier.load(RELEASED)
assert classifier.predict_proba(["The town fell."], ["The town has fallen"]).shape == (1, 4)
print(classifier.engine.name, *sorted({"torch", "transformers"} & sys.modules.keys()))
"""


def test_cpu_serves_without_torch_and_transformers():
    ended = subprocess.run([sys.executable, "-c", SERVE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["openvino"]


def test_released_8_bit_weights_answer_like_the_full_ones(released_classifier):
    full = StanceClassifier.load(RELEASED, engine="torch")
    sentences = [case.sentence for case in CASES[::4]]
    claims = [f"{case.place} has fallen" for case in CASES[::4]]
    ours, theirs = (model.predict_proba(sentences, claims) for model in (released_classifier, full))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() >= 0.97
    assert np.abs(ours - theirs).mean() <= MAXIMUM_DIFFERENCES["probabilities"]


def test_model_without_8_bit_weights_is_run_by_torch(tiny_artefact):
    assert not any((tiny_artefact / name).exists() for name in EXPORTED)
    assert load_engine(load_artefact(tiny_artefact)).name == "torch"


@pytest.mark.parametrize("name", MAXIMUM_DIFFERENCES)
def test_export_that_strays_is_refused(name):
    close = dict.fromkeys(MAXIMUM_DIFFERENCES, 0.0)
    check(close)
    with pytest.raises(ExportError, match=f"{name} differ by 0.5"):
        check({**close, name: 0.5})
