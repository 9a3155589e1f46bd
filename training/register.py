"""Put a model that is good enough into the BentoML Model Store: `python -m training.register`.

Reads build/artefact/, adds `stance:<version>`. A model that fails the gate is refused and nothing is added.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import bentoml

from serving.artefact import Artefact, ArtefactError, load_artefact
from serving.pages import MODEL_NAME
from serving.stance import STANCES
from training.paths import ARTEFACT

MINIMUM_LABEL_F1 = 0.5
MINIMUM_CLAIM_SWAP = 0.95
MAXIMUM_ECE = 0.1


def gate(metrics: dict[str, Any] | None) -> list[str]:
    """Why the model may not be registered; empty where it may."""
    if metrics is None:
        return ["it has not been evaluated"]
    scores = metrics["scores"]
    faults = [
        f"macro-F1 {scores['macro_f1']} does not beat the baseline {name} ({baseline['macro_f1']})"
        for name, baseline in metrics["baselines"].items()
        if scores["macro_f1"] <= baseline["macro_f1"]
    ]
    for stance in STANCES:
        if (f1 := scores["labels"][stance]["f1"]) < MINIMUM_LABEL_F1:
            faults.append(f"F1 of {stance} is {f1}, at least {MINIMUM_LABEL_F1} is needed")
    if (share := metrics["claim_swap"]["comment_share"]) < MINIMUM_CLAIM_SWAP:
        faults.append(f"claim swap is {share}, at least {MINIMUM_CLAIM_SWAP} is needed")
    if scores["ece"] > MAXIMUM_ECE:
        faults.append(f"ECE is {scores['ece']}, at most {MAXIMUM_ECE} is allowed")
    return faults


def register(artefact: Artefact) -> bentoml.Tag:
    """Copy the artefact into the store; the same artefact again is the same model."""
    tag = bentoml.Tag(MODEL_NAME, artefact.version)
    try:
        return bentoml.models.get(tag).tag
    except bentoml.exceptions.NotFound:
        pass
    assert artefact.metrics is not None, "the gate lets no model through that was not evaluated"
    scores = artefact.metrics["scores"]
    with bentoml.models.create(
        tag,
        labels={
            "macro_f1": str(scores["macro_f1"]),
            "dataset_sha256": artefact.config.dataset_sha256[:16],
        },
        metadata={
            "metrics": artefact.metrics,
            "dataset_sha256": artefact.config.dataset_sha256,
            "base_model": artefact.config.base_model,
            "train_config": artefact.config.train_config,
        },
    ) as model:
        shutil.copytree(artefact.path, Path(model.path_of("artefact")))
    return tag


def main() -> int:
    """Gate and register build/artefact/."""
    try:
        artefact = load_artefact(ARTEFACT)
    except ArtefactError as error:
        print(error, file=sys.stderr)
        return 1
    if faults := gate(artefact.metrics):
        print("\n".join(["not registered:", *faults]), file=sys.stderr)
        return 1
    print(f"registered {register(artefact)}; serve it with: STANCE_MODEL=stance:latest make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
