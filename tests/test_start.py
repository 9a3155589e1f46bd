"""What must end the start, in one clear line and exit code 1, before any worker runs."""

import subprocess

import pytest

from serving.artefact import WEIGHTS
from tests.conftest import ROOT, free_port, running_service, serve_command, serve_environment


def start(**settings):
    environment = serve_environment(**{"STANCE_PORT": str(free_port()), **settings})
    return subprocess.run(
        serve_command(), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_altered_weights_end_the_start(tiny_artefact):
    with (tiny_artefact / WEIGHTS).open("ab") as weights:
        weights.write(b"\0")
    ended = start(STANCE_MODEL=str(tiny_artefact))
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"error: {tiny_artefact / WEIGHTS}: altered, its sha256 is not the manifest's"


@pytest.mark.parametrize("model", ["no-such-model:latest", "no/such/folder", "stance:", "../../no/such"])
def test_model_that_is_not_there_ends_the_start(tmp_path, model):
    ended = start(STANCE_MODEL=model, BENTOML_HOME=str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: STANCE_MODEL={model}: neither a folder nor a model")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "value"), [("STANCE_PORT", "http"), ("STANCE_HOST", "0.0.0.0")])
def test_bad_setting_ends_the_start(name, value):
    ended = start(**{name: value})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {name}")
    assert "Traceback" not in ended.stderr


def test_another_model_is_served_from_its_folder(tiny_artefact, tmp_path):
    with running_service(tmp_path / "log.txt", STANCE_MODEL=str(tiny_artefact), STANCE_WORKERS="2") as running:
        import httpx

        assert httpx.get(f"{running.url}/info").json()["base_model"] == "tiny"
