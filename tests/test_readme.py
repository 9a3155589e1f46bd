"""Every example of the README, run against the real service with the released model."""

import itertools
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:3000"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
CURLS = [
    (command, answer)
    for (language, command), (_, answer) in itertools.pairwise(BLOCKS)
    if language == "sh" and command.startswith("curl")
]
PYTHON = [code for language, code in BLOCKS if language == "python"]
JAVASCRIPT = [code for language, code in BLOCKS if language == "js"]


def shortened(value):
    """README shows two digits of each probability."""
    if isinstance(value, float):
        return pytest.approx(value, abs=0.011)
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    return value


def run(command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_there_are_examples():
    assert (len(CURLS), len(PYTHON), len(JAVASCRIPT)) == (2, 2, 1)


@pytest.mark.parametrize(("command", "answer"), CURLS)
def test_curl_gives_the_answer_shown(service, command, answer):
    given = json.loads(run(["sh", "-c", command.replace(ADDRESS, service.url)]))
    assert given == shortened(json.loads(answer))


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(service, code):
    printed = run([sys.executable, "-c", code.replace(ADDRESS, service.url)])
    assert printed.split()[0] in ("support", "deny", "query", "comment")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("code", JAVASCRIPT)
def test_javascript_runs(service, code):
    printed = run(["node", "--input-type=module", "-e", code.replace(ADDRESS, service.url)])
    assert printed.strip() in ("support", "deny", "query", "comment")


def test_error_shown_is_the_error_given(client):
    (shown,) = [json.loads(code) for language, code in BLOCKS if language == "json" and '"error"' in code]
    assert client.post("/classify", json={"items": [{}]}).json() == shown
