"""Checks of data arguments that need neither torch nor a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import write

from mtlkit.config.task_training import ObjectiveName
from mtlkit.errors import DataError
from mtlkit.recipes.inputs.early_checks import check_objective, check_tasks

HEADER = ["sentence1", "sentence2", "grade", "text", "label"]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A table whose columns fit every objective; its second row is malformed."""
    return str(write(tmp_path / "a.csv", [HEADER, ["a", "b", "3", "c", "d"], ["short"]]))


@pytest.mark.parametrize(
    ("objective", "keys", "message"),
    [
        ("classify", "label=grad", "column 'grad' not found"),
        ("pairs", "first=sentence1,second=sentence3", "did you mean 'sentence2'?"),
        ("similarity", "label=stars", "column 'stars' not found"),
        ("distill", "text=body", "column 'body' not found"),
    ],
)
def test_columns_of_an_objective_are_looked_for(objective: ObjectiveName, keys: str, message: str, source: str) -> None:
    with pytest.raises(DataError) as caught:
        check_objective(objective, [f"t={source}:{keys}"], "utf-8", "check-data")
    assert message in str(caught.value)


@pytest.mark.parametrize("objective", ["classify", "pairs", "similarity", "distill"])
def test_rows_are_left_to_the_reading(objective: ObjectiveName, source: str) -> None:
    check_objective(objective, [f"t={source}"], "utf-8", "check-data")


def test_nothing_heavy_is_loaded(source: str) -> None:
    code = (
        "import sys\n"
        "from mtlkit.recipes.inputs.early_checks import check_objective\n"
        "for objective in ('classify', 'pairs', 'similarity', 'distill'):\n"
        f"    check_objective(objective, ['t={source}'], 'utf-8', 'check-data')\n"
        "assert 'torch' not in sys.modules and 'datasets' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("text_a,text_b", "--objective pairs"),
        ("anchor,positive", "--objective pairs"),
        ("Premise,Hypothesis,kind_of", "--objective pairs"),
        ("sentence1,sentence2,score", "--objective similarity"),
        ("text", "--text {source}"),
    ],
)
def test_data_of_another_kind_gets_a_hint(header: str, hint: str, tmp_path: Path) -> None:
    source = tmp_path / "data.csv"
    source.write_text(f"{header}\n{','.join('abc'[: header.count(',') + 1])}\n")
    with pytest.raises(DataError, match=hint.format(source=source)):
        check_objective("classify", [f"t={source}"], "utf-8", "check-data")


def test_the_hint_fits_the_command(tmp_path: Path) -> None:
    pairs, raw = tmp_path / "pairs.csv", tmp_path / "raw.txt"
    pairs.write_text("anchor,positive\na,b\n")
    raw.write_text("one text\nanother\n")
    with pytest.raises(DataError, match="train-sentence --objective pairs"):
        check_tasks([f"t={pairs}"], "utf-8", "train-mtl")
    with pytest.raises(DataError, match=f"pretrain {raw}"):
        check_tasks([f"t={raw}"], "utf-8", "train-mtl")
    with pytest.raises(DataError, match="column 'kind' not found") as named:
        check_tasks([f"t={pairs}?text=anchor&label=kind"], "utf-8", "train-mtl")
    assert "--objective" not in str(named.value)
