"""The shape of the repository, which newcomers and other code rely on."""

import ast
import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

import datasets
from serving.pages import SERVICE_VERSION
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "datasets",
    "pyproject.toml",
    "serving",
    "tests",
    "training",
}


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_else_is_at_the_top():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert {path.partition("/")[0] for path in tracked()} == TOP_LEVEL


def test_datasets_holds_no_code_and_shadows_no_library():
    assert not list((ROOT / "datasets").rglob("*.py"))
    assert datasets.Dataset
    assert ROOT / "datasets" not in [*map(ROOT.joinpath, datasets.__path__)]


def test_serving_imports_nothing_of_training():
    for path in (ROOT / "serving").glob("*.py"):
        assert not [name for name in imports(path) if name.partition(".")[0] == "training"], path


def pinned(lock):
    lines = (ROOT / lock).read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", " "))]
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)
    return {requirement.name.lower(): requirement.specifier for requirement in requirements}


def test_locks_pin_what_pyproject_asks_for_and_serving_needs_no_training():
    serving, training = pinned("serving/requirements.lock"), pinned("training/requirements.lock")
    project = PYPROJECT["project"]
    extras = [*project["optional-dependencies"]["train"], *project["optional-dependencies"]["dev"]]
    for text, lock in [(text, serving) for text in project["dependencies"]] + [(text, training) for text in extras]:
        wanted = Requirement(text)
        (version,) = lock[wanted.name.lower()]
        assert version.version in wanted.specifier, text
    for name, specifier in serving.items():
        assert training[name] == specifier, f"{name} differs between the locks"
    for text in extras:
        name = Requirement(text).name.lower()
        assert name not in serving or name in ("aiohttp", "httpx", "psutil"), f"{name} is not needed to serve"


def test_version_is_said_once_and_changed_with_the_log():
    assert PYPROJECT["project"]["version"] == SERVICE_VERSION
    versions = re.findall(r"^## \[([^]]+)]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert SERVICE_VERSION in versions


def test_readme_names_every_file_target_and_setting():
    readme = (ROOT / "README.md").read_text()
    for folder in ("serving", "training"):
        for path in (ROOT / folder).glob("*.py"):
            assert path.name == "__init__.py" or path.name in readme, f"{folder}/{path.name} is not in the tree"
    for target in re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert f"make {target}" in readme
    for setting in set(re.findall(r'"(STANCE_[A-Z_]+)"', (ROOT / "serving" / "settings.py").read_text())):
        assert f"`{setting}`" in readme


def test_make_lists_its_targets():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("serve", "test", "data", "train", "evaluate", "retrain", "bento", "check", "clean"):
        assert f"make {target} " in shown
