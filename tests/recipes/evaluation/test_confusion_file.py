from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.evaluation.confusion_file import check_output, write_matrices

LABELS = ['a "quoted", label', "line\nbreak"]


def test_a_block_per_task_with_labels_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "confusion.csv"
    write_matrices(EvalOptions(output=out, confusion=True), {"t": (LABELS, [[1, 2], [3, 4]]), "u": (["x"], [[5]])})
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["t", *LABELS], [LABELS[0], "1", "2"], [LABELS[1], "3", "4"], [], ["u", "x"], ["x", "5"]]
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "c.csv"}, "add --confusion"),
        ({"output": "c.txt", "confusion": True}, "is not .csv"),
        ({"output": "c.png"}, "add --confusion or --calibration"),
        ({"output": "c.png", "confusion": True, "calibration": True}, "remove one of them"),
        ({"output": "c.csv", "calibration": True}, "is not one of .png, .svg"),
        ({"output": "there.csv", "confusion": True}, "--overwrite"),
        ({"output": "no/c.csv", "confusion": True}, "cannot write"),
        ({"output": "data.csv", "confusion": True, "overwrite": True, "task": ["t=data.csv"]}, "--task"),
        ({"overwrite": True}, "--overwrite needs an --output"),
    ],
)
def test_what_must_not_be_written_is_refused(
    options: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("there.csv", "data.csv"):
        Path(name).write_text("text,label\n")
    with pytest.raises(UsageError, match=said):
        check_output(EvalOptions(**options))  # type: ignore[arg-type]
    assert Path("data.csv").read_text() == "text,label\n"


def test_without_a_matrix_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to write"):
        write_matrices(EvalOptions(output=tmp_path / "c.csv", confusion=True), {})
    assert list(tmp_path.iterdir()) == []
