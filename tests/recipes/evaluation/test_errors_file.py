from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.evaluation.errors_file import check_errors, errors_of, write_errors
from mtlkit.recipes.evaluation.rows import EvaluatedRows

TEXTS, PLACES = ["one", 'two, "quoted"', "three\nlines", "four"], ["t.csv:2", "t.csv:3", "t.csv:4", "t.csv:6"]


def rows(spec: TaskSpec, outputs: list[list[float]], labels: object) -> EvaluatedRows:
    return EvaluatedRows(spec, np.array(outputs, np.float32), np.array(labels), TEXTS, PLACES)


TOPIC = rows(TaskSpec("topic", "classification", ("a", "b")), [[1, 0], [1, 0], [3, 0], [0, 1]], [0, 1, 1, 1])
TAGS = rows(
    TaskSpec("tags", "multi-label", ("x", "y")), [[1, -1], [1, -1], [1, 1], [-1, -1]], np.array([[1, 0], [0, 1], [1, 0], [0, 0]])
)
STARS = rows(TaskSpec("stars", "regression", ()), [[1], [2], [3], [4]], [1.0, 2.5, 1.0, 4.25])


def test_wrong_classes_are_in_the_order_of_confidence() -> None:
    first, second = errors_of(TOPIC)
    assert (first["place"], first["text"], first["label"], first["predicted"]) == ("t.csv:4", "three\nlines", "b", "a")
    assert first["probability"] == pytest.approx(1 / (1 + np.exp(-3)))
    assert first["label_probability"] == pytest.approx(1 - first["probability"])
    assert list(first["probabilities"]) == ["a", "b"]
    assert second["place"] == "t.csv:3"


def test_wrong_label_sets_and_numbers_are_in_the_order_of_their_error() -> None:
    found = list(errors_of(TAGS))
    assert [(row["place"], row["label"], row["predicted"]) for row in found] == [
        ("t.csv:3", ["y"], ["x"]),
        ("t.csv:4", ["x"], ["x", "y"]),
    ]
    assert [(row["place"], row["error"]) for row in errors_of(STARS)] == [("t.csv:4", 2.0), ("t.csv:3", -0.5), ("t.csv:6", -0.25)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_holds_the_rows_of_all_tasks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"errors{suffix}"
    tasks = {"topic": TOPIC, "tags": TAGS, "stars": STARS}
    assert write_errors(EvalOptions(errors=path), tasks) == 7
    if suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    elif suffix == ".jsonl":
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        found = parquet.read_table(path).to_pylist()
    assert [(row["task"], row["place"]) for row in found] == [
        (name, row["place"]) for name, task in tasks.items() for row in errors_of(task)
    ]
    assert found[0]["text"] == "three\nlines"
    assert float(found[0]["probability"]) == pytest.approx(0.9526, abs=1e-4)
    labels = found[2]["label"]
    assert (labels if suffix == ".jsonl" else json.loads(labels)) == ["y"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_without_errors_the_file_has_a_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    right = rows(TOPIC.spec, [[1, 0], [1, 0], [1, 0], [1, 0]], [0, 0, 0, 0])
    assert write_errors(EvalOptions(errors=path), {"topic": right}) == 0
    assert path.read_text() == "task,place,text,label,predicted\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"errors": "e.txt"}, "not one of .csv, .jsonl, .parquet"),
        ({"errors": "there.csv"}, "--overwrite"),
        ({"errors": "data.csv", "overwrite": True, "task": ["t=data.csv"]}, "--task"),
        ({"errors": "e.csv", "probe": True}, "remove --sts, --probe"),
        ({"errors": "e.csv", "confusion": True, "output": "e.csv"}, "the same file"),
    ],
)
def test_what_must_not_be_written_is_refused(
    options: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("there.csv", "data.csv"):
        Path(name).write_text("text,label\n")
    with pytest.raises(UsageError, match=said):
        check_errors(EvalOptions(**options))  # type: ignore[arg-type]
    assert Path("data.csv").read_text() == "text,label\n"
