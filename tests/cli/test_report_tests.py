"""`mtlkit report` of a run whose test rows were moved or have changed since `--test` measured them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Typed = Callable[..., Any]

WORDS = {"odd": ("river", "engine"), "even": ("apple", "stone")}
AT_THE_END = "as measured at the end of the training"


@pytest.fixture
def tested(typed: Typed, runs: Path, tmp_path: Path) -> Path:
    """A run with the heads `odd` and `even`, measured by `--test` on rows beside it; `even` in a file of its own."""
    for name, words in WORDS.items():
        (tmp_path / name).mkdir()
        for path, count in ((tmp_path / name / "train.csv", 40), (tmp_path / name / "test.csv", 20)):
            rows = [f"a {words[row * row % 7 % 2]} of {row} {path.stem},{words[row % 2]}\n" for row in range(count)]
            path.write_text("text,label\n" + "".join(rows))
    (tmp_path / "even" / "test.csv").rename(tmp_path / "apart.csv")
    tasks = [word for name in WORDS for word in ("--task", f"{name}={tmp_path / name}")]
    out, tests = tmp_path / "run", ("--test", "odd", "--test", f"even={tmp_path / 'apart.csv'}")
    answer = typed("train-mtl", *tasks, *tests, "--init", runs / "sentence", "--freeze", "backbone", "--epochs", 1, "--out", out)
    assert answer.code == 0, answer.err
    return out


def test_a_moved_file_leaves_the_other_tasks_alone(typed: Typed, tested: Path) -> None:
    record = json.loads((tested / "run.json").read_text())
    assert typed("report", tested, "-o", "whole.md").err.count("not evaluated") == 0
    whole = measured(Path("whole.md").read_text())
    assert all(AT_THE_END not in row for row in whole.values())
    (tested.parent / "odd").rename(tested.parent / "moved")
    answer = typed("report", tested, "-o", "moved.md")
    assert answer.code == 0, answer.err
    assert re.search(r"^odd is not evaluated: .*odd", answer.err, re.MULTILINE)
    assert "even is not" not in answer.err
    found = measured(Path("moved.md").read_text())
    assert found["even"] == whole["even"]
    assert found["odd"] == whole["odd"].removesuffix(" |") + f", {AT_THE_END} |"
    assert typed("report", tested, "-o", "moved.html").code == 0
    page = Path("moved.html").read_text()
    assert page.count(f"<br>{AT_THE_END}</span>") == 1
    assert "expected calibration error" in page  # of `even`, which was evaluated
    del record["metrics"]["test"]
    (tested / "run.json").write_text(json.dumps(record))
    assert typed("report", tested, "-o", "untested.md").code == 0
    low, high = record["metrics"]["validation"]["odd"]["accuracy_interval"]
    assert f"| {100 * low:.1f} to {100 * high:.1f} | validation |" in measured(Path("untested.md").read_text())["odd"]


def test_changed_rows_are_evaluated_afresh_and_named(typed: Typed, tested: Path) -> None:
    then = json.loads((tested / "run.json").read_text())["metrics"]["test"]["odd"]["accuracy"]
    assert "differ" not in typed("report", tested, "-o", "same.html").err
    test = tested.parent / "odd" / "test.csv"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[:-3]))
    said = f"the test rows of odd differ from those that the run was tested on (accuracy {100 * then:.1f} then)"
    answer = typed("report", tested, "-o", "changed.html", width=200)
    assert answer.code == 0, answer.err
    assert said in answer.err
    page = Path("changed.html").read_text()
    assert said in page
    assert "the test rows of even" not in page
    assert "17 test rows" in page
    assert page.count("as of the training") == 1


def test_runs_side_by_side_have_recorded_figures_too(typed: Typed, tested: Path) -> None:
    (tested.parent / "odd").rename(tested.parent / "moved")
    other = tested.parent / "other"
    assert (
        typed("train-mtl", "--task", f"even={tested.parent / 'even'}", "--init", tested, "--epochs", 1, "--out", other).code == 0
    )
    answer = typed("report", tested, other, "-o", "both.md")
    assert answer.code == 0, answer.err
    (row,) = (line for line in Path("both.md").read_text().splitlines() if line.startswith("| odd |") and AT_THE_END in line)
    assert re.match(r"\| odd \| [\d.]+ \([\d.]+ to [\d.]+\) accuracy, as measured", row)


def measured(page: str) -> dict[str, str]:
    """The first table of a page in Markdown: a row per task."""
    rows = [line for line in page.splitlines() if re.match(r"\| (odd|even) \| accuracy \|", line)]
    return {line.split()[1]: line for line in reversed(rows)}  # the first of each task
