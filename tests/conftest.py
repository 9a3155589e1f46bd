"""Fixtures: the repository's folders, a tiny base model made here, and the real service with the released model."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from serving.artefact import RELEASED, StanceConfig, seal, write_stance_config
from serving.classifier import StanceClassifier
from serving.stance import STANCES
from training.config import TrainConfig

ROOT = Path(__file__).parents[1]
WORDS = [
    "the",
    "a",
    "has",
    "have",
    "fallen",
    "fell",
    "taken",
    "captured",
    "seized",
    "lost",
    "to",
    "by",
    "in",
    "of",
    "from",
    "hold",
    "holds",
    "army",
    "rebels",
    "town",
    "city",
    "province",
    "denied",
    "said",
    "claims",
    "not",
    "yet",
    "whether",
    "unclear",
    "who",
    "controls",
    "governor",
    "spokesman",
    "is",
    "was",
    "it",
    "near",
    "north",
    "place",
]


def tiny_bert() -> BertConfig:
    return BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=96,
        num_labels=len(STANCES),
        id2label=dict(enumerate(STANCES)),
        label2id={stance: index for index, stance in enumerate(STANCES)},
    )


def save_tiny_tokenizer(folder: Path) -> None:
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of one layer, as a local folder."""
    folder = tmp_path_factory.mktemp("base")
    save_tiny_tokenizer(folder)
    torch.manual_seed(0)
    BertModel(tiny_bert()).save_pretrained(folder)
    return folder


def make_tiny_artefact(folder: Path) -> Path:
    """A sealed artefact with an untrained model of one layer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tiny_tokenizer(folder)
    torch.manual_seed(0)
    BertForSequenceClassification(tiny_bert()).save_pretrained(folder)
    config = StanceConfig(
        max_length=96,
        base_model="tiny",
        train_config=asdict(TrainConfig(base_model="tiny")),
        dataset_sha256="0" * 64,
        created="2026-01-02T03:04:05+00:00",
        versions={},
        threshold=0.5,
    )
    write_stance_config(folder, config)
    seal(folder)
    return folder


@pytest.fixture
def tiny_artefact(tmp_path: Path) -> Path:
    return make_tiny_artefact(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> StanceClassifier:
    return StanceClassifier.load(make_tiny_artefact(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="session")
def released_classifier() -> StanceClassifier:
    return StanceClassifier.load(RELEASED)


@dataclass
class RunningService:
    """A service in processes of its own, as `make serve` starts it."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]


def serve_command() -> list[str]:
    return [str(Path(sys.executable).parent / "bentoml"), "serve", "serving.service:StanceService"]


def serve_environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STANCE_")}
    return {**kept, "BENTOML_DO_NOT_TRACK": "true", **settings}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running_service(log: Path, **settings: str) -> Iterator[RunningService]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = serve_environment(STANCE_PORT=str(port), **settings)
    with log.open("wb") as output:
        process = subprocess.Popen(serve_command(), cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(url, process, log)
        yield RunningService(url, log, process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the service ended: {log.read_text()}"
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the service is not ready: {log.read_text()}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service with the released model and no settings but its port."""
    with running_service(tmp_path_factory.mktemp("service") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def client(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client
