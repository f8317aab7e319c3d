"""The output about old tasks before, while and after a new one is added."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import rows_of, write

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture(scope="module")
def odd_stars(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new task: numbers, by the length of a text."""
    rows = rows_of(data / "kind" / "train.csv")[1:]
    numbers = [[text, f"{len(text) / 8:.2f}"] for text, _ in rows]
    return write(tmp_path_factory.mktemp("stars") / "stars.csv", [["text", "label"], *numbers])


def test_change_of_watched_tasks_is_shown(typed: Typed, odd_stars: Path, mtl: Path, tmp_path: Path) -> None:
    common = ("train-mtl", "--init", mtl, "--task", f"stars={odd_stars}", "--epochs", 2, "--out", tmp_path / "run")
    keeping = ("--watch", "kind", "--watch", "state", "--rehearse", "kind:0.5", "--guard", "lwf", "--max-forgetting", 100)
    answer = typed(*common, *keeping, width=80)
    assert answer.code == 0, answer.err
    lines = answer.err.splitlines()
    assert "Validation rows at every stage" not in answer.err  # with --verbose
    assert "Effect on existing tasks (change in points)" not in lines  # the summary has it
    for name in ("kind", "state"):
        assert any(line.startswith(f"{name}: accuracy: validation") and "; change from the start " in line for line in lines)
    assert "backward transfer, the mean change of the 2 known tasks" in answer.err
    assert "cosine of the vectors of" in answer.err
    assert '"guard:lwf"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_json_holds_the_report(typed: Typed, odd_stars: Path, mtl: Path, tmp_path: Path) -> None:
    answer = typed(
        "train-mtl", "--init", mtl, "--task", f"stars={odd_stars}", "--watch", "kind", "--epochs", 1, "--out", tmp_path / "a",
        "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)["metrics"]["forgetting"]
    assert report["stages"] == ["before", "epoch 1", "after"]
    assert [change["task"] for change in report["changes"]] == ["kind"]
    assert set(report["distances"]) == {"embeddings", "layers:0", "layers:1", "pooling", "head:kind"}


def test_training_that_forgets_too_much_stops_and_reports_the_kept_weights(
    typed: Typed, odd_stars: Path, mtl: Path, tmp_path: Path
) -> None:
    answer = typed(
        "train-mtl", "--init", mtl, "--task", f"stars={odd_stars}", "--watch", "kind", "--epochs", 30, "--out", tmp_path / "run",
        "--max-forgetting", 5, "--learning-rate", 0.05, "--warmup", 0,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "points below the starting model, more than --max-forgetting 5; stopped, keeping the weights of " in answer.err
    assert re.search(r"^@\d+ +kind +watched", answer.err, re.M)  # the step whose weights are kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--watch", "knd"], "--watch knd: no such head to watch"),
        (["--rehearse", "kind"], "give its data with --watch kind=SOURCE"),
        (["--guard", "l2ps"], "did you mean 'l2sp'?"),
        (["--max-forgetting", "1"], "--max-forgetting needs a task to watch"),
        (["--cache-prefix"], "--freeze embeddings,layers:0-0"),
    ],
)
def test_mistakes_are_reported_before_data_is_read(
    options: list[str], said: str, typed: Typed, unread: Path, mtl: Path, tmp_path: Path
) -> None:
    answer = typed("train-mtl", "--init", mtl, "--task", f"stars={unread}", *options, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
