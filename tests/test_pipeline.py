"""The whole line in miniature, with a one-layer model: data to registered model, twice the same, and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.artefact import CARD, METRICS, WEIGHTS, Artefact, file_sha256, load_artefact, seal, write_json
from serving.stance import STANCES
from tests.conftest import ROOT, running_service
from training import baseline, calibrate, data, evaluate, export, finetune, package, register
from training.paths import ARTEFACT, CHECKPOINTS, FINETUNED, REPORT

WORDS = {
    "support": "rebels captured {place} town",
    "deny": "the army holds {place} city",
    "query": "unclear who controls {place}",
    "comment": "{place} is near the north",
}


def sentence(words: str, place: int) -> str:
    """The words with others of their own between them, so that no two rows are near-duplicates."""
    return " ".join(f"{word} x{place}y{index}" for index, word in enumerate(words.split()))


def write_dataset(folder: Path, places: int = 40) -> None:
    rows = [
        {
            "id": f"{place}-{label}",
            "place": f"Place{place}",
            "attacker": "rebels" if place % 2 else None,
            "sentence": sentence(words.format(place=f"Place{place}"), place),
            "label": label,
            "holder": None,
            "register": "wire",
            "kind": "plain",
            "group": f"place{place}",
        }
        for place in range(places)
        for label, words in WORDS.items()
    ]
    (folder / "datasets").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "datasets" / "sentences.jsonl").write_text(text)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert data.main() == 0
    return tmp_path


def test_data_becomes_an_artefact_with_report_and_pictures(workplace, tiny_base, capsys):
    arguments = [
        "--base-model",
        str(tiny_base),
        "--epochs",
        "2",
        "--max-length",
        "96",
        "--learning-rate",
        "0.01",
        "--frozen-layers",
        "0",
    ]
    assert baseline.main() == 0
    assert finetune.main(arguments) == 0
    assert export.main() == 0
    assert calibrate.main() == 0
    assert evaluate.main([]) == 0
    assert package.main() == 0

    artefact = load_artefact(ARTEFACT)
    assert artefact.metrics is not None
    assert artefact.config.dataset_sha256 == file_sha256(workplace / "datasets" / "sentences.jsonl")
    assert 0.1 <= artefact.config.temperature <= 10
    assert set(artefact.metrics["baselines"]) == {"majority", "tfidf_logistic_regression"}
    assert {"scores", "scores_with_attacker", "claim_swap", "by_register", "by_kind"} <= set(artefact.metrics)
    for name in ("report.md", "confusion.png", "reliability.png"):
        assert (REPORT / name).stat().st_size > 500
    macro_f1 = str(artefact.metrics["scores"]["macro_f1"])
    assert macro_f1 in (ARTEFACT / CARD).read_text()
    assert macro_f1 in (REPORT / "report.md").read_text()
    assert macro_f1 in capsys.readouterr().out
    assert not CHECKPOINTS.exists() or not any(CHECKPOINTS.iterdir())

    first = (ARTEFACT / METRICS).read_text()
    weights = file_sha256(ARTEFACT / WEIGHTS)
    assert finetune.main(arguments) == 0
    assert export.main() == 0
    assert calibrate.main() == 0
    assert evaluate.main([]) == 0
    assert file_sha256(FINETUNED / WEIGHTS) == weights, "the same seed gives the same weights"
    again = json.loads((REPORT / METRICS).read_text())
    assert {**again, "model": None} == {**json.loads(first), "model": None}, "but for the time in its version"


def test_killed_training_goes_on_and_ends_the_same(workplace, tiny_base, capsys):
    arguments = ["--base-model", str(tiny_base), "--epochs", "30", "--max-length", "96", "--frozen-layers", "0"]
    assert finetune.main(arguments) == 0
    uninterrupted = file_sha256(FINETUNED / WEIGHTS)

    command = [sys.executable, "-m", "training.finetune", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 90
        while not any(CHECKPOINTS.glob("*/checkpoint-*/trainer_state.json")):
            assert run.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL

    capsys.readouterr()
    assert finetune.main(arguments) == 0
    assert "going on from" in capsys.readouterr().out
    assert file_sha256(FINETUNED / WEIGHTS) == uninterrupted


def test_hub_id_without_a_hub_is_one_sentence_and_exit_code_2(workplace):
    command = [sys.executable, "-m", "training.finetune", "--base-model", "nobody/no-such-model"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(workplace)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: BASE_MODEL=nobody/no-such-model is not a local folder")
    assert ended.stderr.count("\n") == 1


def test_any_labelled_file_can_be_scored(released_classifier, tmp_path):
    rows = [
        {"place": "Sake", "sentence": "Rebels have captured Sake.", "label": "support", "source_url": "x"},
        {"place": "Sake", "sentence": "The army denied that Sake had fallen.", "label": "deny"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = str(released_classifier.artefact.path)
    assert evaluate.main(["--data", str(path), "--model", model, "--output", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / METRICS).read_text())
    assert result["scores"]["rows"] == 2
    assert "baselines" not in result


def test_file_with_faults_is_not_scored(tmp_path, capsys):
    path = tmp_path / "own.jsonl"
    path.write_text('{"sentence": "x", "label": "yes"}\n{"sentence": "", "label": "deny"}\n')
    assert evaluate.main(["--data", str(path)]) == 1
    assert capsys.readouterr().err.count("own.jsonl:") == 2


BAD_METRICS = {
    "scores": {"macro_f1": 0.3, "ece": 0.01, "labels": {stance: {"f1": 0.8} for stance in STANCES}},
    "claim_swap": {"rows": 1, "comment_share": 1.0},
    "baselines": {"majority": {"macro_f1": 0.3}},
}


def good_enough(artefact: Artefact) -> Artefact:
    scores = {"macro_f1": 0.8, "ece": 0.01, "labels": {stance: {"f1": 0.8} for stance in STANCES}}
    metrics = {"scores": scores, "claim_swap": {"rows": 1, "comment_share": 1.0}, "baselines": {}}
    return replace(artefact, metrics=metrics)


def test_registered_model_is_served_by_its_tag(tiny_artefact, tmp_path):
    home = str(tmp_path / "bentoml")
    script = (
        "import sys; from pathlib import Path; from tests.test_pipeline import good_enough\n"
        "from serving.artefact import load_artefact; from training.register import register\n"
        "artefact = good_enough(load_artefact(Path(sys.argv[1])))\n"
        "assert register(artefact) == register(artefact); print(register(artefact))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": home,
        "BENTOML_DO_NOT_TRACK": "true",
    }
    command = [sys.executable, "-c", script, str(tiny_artefact)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    tag = f"stance:{load_artefact(tiny_artefact).version}"
    assert ended.stdout.strip() == tag
    with running_service(tmp_path / "log.txt", STANCE_MODEL="stance:latest", BENTOML_HOME=home) as running:
        assert httpx.get(f"{running.url}/info").json()["model"] == tag


@pytest.mark.parametrize(("metrics", "fault"), [(None, "not been evaluated"), (BAD_METRICS, "does not beat")])
@pytest.mark.parametrize("arguments", [[], ["--release"]])
def test_model_that_fails_the_gate_goes_nowhere(
    tiny_artefact, tmp_path, capsys, monkeypatch, metrics, fault, arguments
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(register, "register", lambda _: pytest.fail("it was registered"))
    monkeypatch.setattr(register, "release", lambda _: pytest.fail("it was released"))
    if metrics is not None:
        write_json(tiny_artefact / METRICS, metrics)
        seal(tiny_artefact)
    ARTEFACT.parent.mkdir()
    tiny_artefact.rename(ARTEFACT)
    assert register.main(arguments) == 1
    assert fault in capsys.readouterr().err


def test_release_replaces_the_model_that_was_there(tiny_artefact, tmp_path):
    released = tmp_path / "released"
    released.mkdir()
    (released / "old.txt").write_text("old")
    artefact = load_artefact(tiny_artefact)
    register.release(artefact, released)
    assert load_artefact(released).version == artefact.version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["released", "tiny"]
