"""The model artefact: one folder of Hugging Face files and JSON, complete and unaltered or not loaded at all.

`seal` writes MANIFEST.json last, so its presence means that the folder is complete; `load_artefact` checks every file
against it. Weights are safetensors and all else is JSON or text: nothing is ever unpickled.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from serving.encoding import MINIMUM_LENGTH, load_tokenizer
from serving.stance import CLAIM_TEMPLATES, STANCES

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
"""In the stead of WEIGHTS, where the weights are divided into several files, each smaller than SHARD_SIZE."""
SHARD_SIZE = "90MB"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
STANCE_CONFIG = "stance.json"
OPENVINO = "openvino.xml"
OPENVINO_WEIGHTS = "openvino.bin"
METRICS = "metrics.json"
CARD = "README.md"
MANIFEST = "MANIFEST.json"

REQUIRED = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, STANCE_CONFIG)
"""Beside the weights. EXPORTED join them once the model is exported; METRICS, CARD and pictures once evaluated."""

EXPORTED = (OPENVINO, OPENVINO_WEIGHTS)
"""The same model in 8 bits, as OpenVINO reads it: both files or neither."""

HEAD_SUFFIXES = ("classifier.weight", "classifier.out_proj.weight", "score.weight")
"""How the encoders of Hugging Face name the last layer of a classifier."""

MODEL_NAME = "stance"
"""In the BentoML store, and the first half of every model tag."""

RELEASED = Path(__file__).parent / "released"


_Finite = Annotated[float, Field(allow_inf_nan=False)]


class ArtefactError(ValueError):
    """The folder is not an artefact that may be served; the message names the file and what is wrong with it."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class StanceConfig:
    """stance.json: what must be known beside the weights to answer as in training."""

    max_length: Annotated[int, Field(ge=MINIMUM_LENGTH)]
    """Tokens of a pair that the model reads at once."""
    base_model: str
    train_config: dict[str, Any]
    dataset_sha256: str
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT")]
    """ISO 8601 date and time, UTC."""
    versions: dict[str, str]
    """The libraries that trained it."""
    bias: Annotated[list[_Finite], Field(min_length=len(STANCES), max_length=len(STANCES))] = field(
        default_factory=lambda: [0.0] * len(STANCES)
    )
    """Added to the logits: from the label shares of the training data to those of real reporting."""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Divides the biased logits before the softmax (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 1.0
    """A prediction is confident where its probability reaches this."""
    labels: list[str] = field(default_factory=lambda: list(STANCES))
    claim_templates: dict[str, str] = field(default_factory=lambda: dict(CLAIM_TEMPLATES))


@dataclass(frozen=True)
class Artefact:
    """A verified artefact folder."""

    path: Path
    config: StanceConfig
    tokenizer: Tokenizer
    pad_id: int
    metrics: dict[str, Any] | None
    version: str
    """Training date and eight digits of the model files' sha256: the same model, the same version."""

    @property
    def tag(self) -> str:
        """The model's name and version, as every answer gives it."""
        return f"{MODEL_NAME}:{self.version}"


def weight_files(names: Iterable[str]) -> list[str]:
    """Those of `names` that hold weights, in order."""
    return sorted(name for name in names if name.endswith(".safetensors"))


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_stance_config(folder: Path, config: StanceConfig) -> None:
    """Write stance.json into an artefact that is being made."""
    write_json(folder / STANCE_CONFIG, asdict(config))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write JSON the way every file of an artefact or report is written."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seal(folder: Path) -> None:
    """Write MANIFEST.json, which makes the folder an artefact."""
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    unfinished = folder.parent / f"{folder.name}.{MANIFEST}"
    write_json(unfinished, {"files": files})
    unfinished.rename(folder / MANIFEST)


def copy_unsealed(source: Path, target: Path) -> None:
    """Make `target` a copy of an artefact that may be changed and must be sealed again."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST))


def load_artefact(folder: Path) -> Artefact:
    """Verify `folder` and read its JSON.

    Raises ArtefactError, naming the file, where anything is missing, altered, unlisted, not plain data, or made for
    other labels or another claim.
    """
    if not folder.is_dir():
        raise ArtefactError(f"{folder}: there is no such model folder")
    try:
        return _verified(folder)
    except OSError as error:
        raise ArtefactError(f"{error.filename or folder}: cannot be read: {error.strerror}") from None


def _verified(folder: Path) -> Artefact:
    digests = _check_manifest(folder)
    config = _read_stance_config(folder)
    pad_id = _check_model_config(folder)
    _check_weights(folder, digests)
    tokenizer = _read_tokenizer(folder, config)
    metrics = _read_json(folder / METRICS) if (folder / METRICS).exists() else None
    model_files = [*REQUIRED, *weight_files(digests), *(name for name in EXPORTED if name in digests)]
    content = hashlib.sha256("".join(digests[name] for name in model_files).encode()).hexdigest()
    version = f"{config.created[:10].replace('-', '')}-{content[:8]}"
    return Artefact(folder, config, tokenizer, pad_id, metrics, version)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing") from None
    except ValueError as error:
        raise ArtefactError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ArtefactError(f"{path}: expected a JSON object")
    return value


def _check_manifest(folder: Path) -> dict[str, str]:
    """The sha256 of each file, all checked."""
    path = folder / MANIFEST
    listed = _read_json(path).get("files")
    if not isinstance(listed, dict):
        raise ArtefactError(f'{path}: expected {{"files": {{name: sha256}}}}')
    needed = {*REQUIRED, *EXPORTED} if listed.keys() & EXPORTED else set(REQUIRED)
    needed.add(WEIGHTS_INDEX if WEIGHTS_INDEX in listed else WEIGHTS)
    for name in sorted(needed - listed.keys()):
        raise ArtefactError(f"{path}: does not list {name}, which such an artefact has")
    for name, digest in listed.items():
        if Path(name).name != name:
            raise ArtefactError(f"{path}: lists {name!r}, which is not a plain file name")
        if not (folder / name).is_file():
            raise ArtefactError(f"{folder / name}: missing")
        if file_sha256(folder / name) != digest:
            raise ArtefactError(f"{folder / name}: altered, its sha256 is not the manifest's")
    for present in folder.iterdir():
        if present.name not in listed and present.name != MANIFEST:
            raise ArtefactError(f"{present}: not in the manifest")
    return listed


def _read_stance_config(folder: Path) -> StanceConfig:
    path = folder / STANCE_CONFIG
    try:
        config = StanceConfig(**_read_json(path))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ArtefactError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    if tuple(config.labels) != STANCES:
        raise ArtefactError(f"{path}: labels are {config.labels}, this service answers with {list(STANCES)}")
    if config.claim_templates != CLAIM_TEMPLATES:
        raise ArtefactError(
            f"{path}: trained on the claims {config.claim_templates}, this service asks {CLAIM_TEMPLATES}"
        )
    return config


def _check_model_config(folder: Path) -> int:
    """The id of the padding token."""
    path = folder / CONFIG
    config = _read_json(path)
    expected = {str(index): stance for index, stance in enumerate(STANCES)}
    if (found := config.get("id2label")) != expected:
        raise ArtefactError(f"{path}: id2label is {found}, expected {expected}")
    pad_id = config.get("pad_token_id") or 0
    if not isinstance(pad_id, int) or pad_id < 0:
        raise ArtefactError(f"{path}: pad_token_id is {pad_id!r}, expected a whole number")
    return pad_id


def _check_weights(folder: Path, names: Iterable[str]) -> None:
    shapes = [shape for name in weight_files(names) for shape in _head_shapes(folder / name)]
    if not any(shape[0] == len(STANCES) for shape in shapes):
        raise ArtefactError(f"{folder}: its weights hold no classification head for {len(STANCES)} labels")


def _head_shapes(path: Path) -> list[list[int]]:
    try:
        with safe_open(path, framework="numpy") as weights:
            return [weights.get_slice(name).get_shape() for name in weights.keys() if name.endswith(HEAD_SUFFIXES)]  # noqa: SIM118
    except SafetensorError as error:
        raise ArtefactError(f"{path}: not a safetensors file ({error})") from None


def _read_tokenizer(folder: Path, config: StanceConfig) -> Tokenizer:
    path = folder / TOKENIZER
    try:
        return load_tokenizer(path, config.max_length)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ArtefactError(f"{path}: not a tokeniser ({error})") from None
