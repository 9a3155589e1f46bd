import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from training.data import DatasetError, Example, LabelledSentence, read, read_examples
from training.split import split_of


def row(number=1, **changes):
    return {
        "id": f"{number:05d}",
        "place": f"Town{number}",
        "attacker": "the rebels",
        "sentence": f"The mayor said that Town{number} had fallen on day {number}.",
        "label": "support",
        "holder": "The mayor",
        "register": "wire",
        "kind": "plain",
        "group": f"town{number}",
        **changes,
    }


def write(path, rows):
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def faults(tmp_path, *rows):
    path = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DatasetError) as error:
        read_examples(path)
    return [fault.removeprefix(f"{path}:") for fault in error.value.faults]


def test_good_rows_are_read(tmp_path):
    examples = read_examples(write(tmp_path / "rows.jsonl", [row(1), row(2, attacker=None, holder=None)]))
    assert [example.place for example in examples] == ["Town1", "Town2"]


def test_all_faults_are_told_at_once_with_their_lines(tmp_path):
    found = faults(
        tmp_path,
        row(1),
        "{not json",
        row(3, label="maybe"),
        row(4, place=" "),
        row(5, holder="The governor"),
        row(6, extra=1),
        {name: value for name, value in row(7).items() if name != "attacker"},
        "",
        row(9, id="00001"),
        row(10, place="Town1", sentence="Somewhere else.", holder=None),
    )
    lines = [int(fault.partition(":")[0]) for fault in found]
    assert lines == sorted(lines)
    assert set(lines) == {2, 3, 4, 5, 6, 7, 8, 9, 10}
    text = "\n".join(found)
    for expected in (
        "Invalid JSON",
        "label",
        "must not be blank",
        "'The governor' is not a verbatim",
        "extra",
        "attacker: Field required",
        "that of line 1",
        "group is",
    ):
        assert expected in text


def test_repeated_id_is_a_fault(tmp_path):
    assert faults(tmp_path, row(1), row(2, id="00001")) == ["2: id '00001' is also that of line 1"]


def test_repeated_sentence_is_a_fault_but_not_with_another_attacker(tmp_path):
    again = row(2, place="TOWN1", group="town1", sentence=row(1)["sentence"].upper(), holder=None)
    assert faults(tmp_path, row(1), again) == ["2: repeats the sentence, place and attacker of line 1"]
    read_examples(write(tmp_path / "ok.jsonl", [row(1), {**again, "attacker": "the army"}]))


def test_place_in_two_groups_is_a_fault(tmp_path):
    (fault,) = faults(tmp_path, row(1), row(2, place="Town1"))
    assert fault == "2: group is 'town2', earlier rows of 'Town1' are in group 'town1'"


def test_near_duplicate_in_another_split_is_a_fault(tmp_path):
    groups = [f"g{index}" for index in range(50)]
    in_train = next(group for group in groups if split_of(group) == "train")
    in_test = next(group for group in groups if split_of(group) == "test")
    first = "The army said on Monday that its troops had left the town after six days of heavy fighting in the north."
    second = first.replace("six", "five")
    rows = [
        row(1, group=in_train, sentence=first, holder=None),
        row(2, group=in_test, sentence=second, holder=None),
    ]
    (fault,) = faults(tmp_path, *rows)
    assert "2: nearly repeats line 1 of another split (test, train)" in fault
    rows[1]["group"] = in_train
    read_examples(write(tmp_path / "ok.jsonl", rows))


def test_file_that_is_not_there_is_a_fault(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read(tmp_path / "nothing.jsonl", Example)


def test_evaluation_data_needs_three_fields_and_ignores_others(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"place": "X", "sentence": "X fell.", "label": "support", "url": "u"}])
    (only,) = read(path, LabelledSentence)
    assert only.claim(with_attacker=True) == "X has fallen"


def test_bad_data_trains_nothing(tmp_path):
    write_to = tmp_path / "datasets"
    write_to.mkdir()
    write(write_to / "sentences.jsonl", [row(1, label="maybe"), row(2, place="")])
    command = [sys.executable, "-m", "training.data"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "datasets/sentences.jsonl:1: label" in ended.stderr
    assert "datasets/sentences.jsonl:2: place" in ended.stderr
    assert not (tmp_path / "build").exists()
