"""Put a model that passes the gate where it is served from: `python -m training.register [--release]`.

Reads build/artefact/ and adds `stance:<version>` to the BentoML Model Store; with --release it becomes the model that
is served by default, serving/released/. A model that fails the gate is refused and nothing changes.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import bentoml

from serving.artefact import RELEASED, Artefact, ArtefactError, load_artefact
from training.gate import gate
from training.paths import ARTEFACT


def register(artefact: Artefact) -> bentoml.Tag:
    """Copy the artefact into the store; the same artefact again is the same model."""
    tag = bentoml.Tag.from_str(artefact.tag)
    try:
        return bentoml.models.get(tag).tag
    except bentoml.exceptions.NotFound:
        pass
    assert artefact.metrics is not None, "the gate lets no model through that was not evaluated"
    macro_f1 = artefact.metrics["scores"]["macro_f1"]
    with bentoml.models.create(
        tag,
        labels={"macro_f1": str(macro_f1), "dataset_sha256": artefact.config.dataset_sha256[:16]},
        metadata={
            "metrics": artefact.metrics,
            "dataset_sha256": artefact.config.dataset_sha256,
            "base_model": artefact.config.base_model,
            "train_config": artefact.config.train_config,
        },
    ) as model:
        shutil.copytree(artefact.path, Path(model.path_of("artefact")))
    return tag


def release(artefact: Artefact, released: Path = RELEASED) -> None:
    """Replace the released model; there is one at every moment but that between two renames."""
    new, old = released.with_suffix(".new"), released.with_suffix(".old")
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    shutil.copytree(artefact.path, new)
    if released.exists():
        released.rename(old)
    new.rename(released)
    shutil.rmtree(old, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Gate build/artefact/, and register or release it."""
    parser = argparse.ArgumentParser(description="Register build/artefact/, if it passes the gate.")
    parser.add_argument("--release", action="store_true", help="make it the released model instead")
    arguments = parser.parse_args(argv)
    try:
        artefact = load_artefact(ARTEFACT)
    except ArtefactError as error:
        print(error, file=sys.stderr)
        return 1
    if faults := gate(artefact.metrics):
        print("\n".join(["refused:", *faults]), file=sys.stderr)
        return 1
    if arguments.release:
        release(artefact)
        print(f"released {artefact.tag}")
    else:
        print(f"registered {register(artefact)}; serve it with: STANCE_MODEL=stance:latest make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
