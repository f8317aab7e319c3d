"""Bulk jobs from the command line: what they say, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_text(f'id,text\n{name}1,A cat\n{name}2,"A saw, broken"\n')
    return folder


def test_shards_wait_for_each_other_and_join_says_what_is_missing(typed: Typed, mtl: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("embed", "--input", source, "--keep", "id", "--model", mtl, "--output", out, "--format", "csv", "--shard")
    first = typed(*command, "1/2")
    assert (first.code, first.out) == (0, f"{out}/: 2 vectors of 32\n")
    assert "waiting for other shards: all rows of" in first.err
    early = typed("join", out)
    assert early.code == 3
    assert "a.csv" in early.err
    again = typed(*command, "1/2")
    assert again.code == 2
    assert "continue with --resume" in again.err
    assert "waiting" not in typed(*command, "0/2").err
    joined = typed("join", out, "-o", tmp_path / "joined.csv", "--json")
    assert json.loads(joined.out) == {"folder": str(out), "rows": 4, "parts": 2, "output": str(tmp_path / "joined.csv")}
    ids = [line.partition(",")[0] for line in (tmp_path / "joined.csv").read_text().splitlines()]
    assert ids == ["id", "a1", "a2", "b1", "b2"]
    assert "complete, 4 rows in 2 parts" in typed("join", out).out
    part = min(out.glob("*.csv"))
    part.write_text(part.read_text().replace("a1", "a9"))
    damaged = typed("join", out)
    assert damaged.code == 4
    assert part.name in damaged.err


def test_predictions_in_a_file_are_those_of_a_pipe(typed: Typed, mtl: Path, source: Path, tmp_path: Path) -> None:
    inputs = ("--input", source / "a.csv", "--input", source / "b.csv", "--model", mtl, "--top-k", 1)
    out = tmp_path / "out.jsonl"
    assert typed("predict", *inputs, "--output", out).out == f"{out}: 4 predictions\n"
    assert out.read_text() == typed("predict", *inputs).out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [len(row["tasks"]["kind"]["probabilities"]) for row in rows] == [1] * 4
    assert typed("predict", *inputs, "--output", out, "--resume").code == 0
    table = typed("predict", *inputs, "--keep", "id", "--output", tmp_path / "out.parquet", "--json")
    assert json.loads(table.out)["rows"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--input", "{source}", "--output", "{out}", "--keep", "nmae"], 3, "column 'nmae' not found"),
        (["--input", "{source}", "--output", "{out}", "--shard", "2/2"], 2, "use 0/2 to 1/2"),
        (["--input", "{source}", "--output", "{out}", "--shard", "auto"], 2, "--shard auto"),
        (["--input", "{source}/c*", "--output", "{out}"], 3, "no file matches"),
        (["--input", "{source}/a.csv", "--input", "{source}/a.csv", "--output", "{out}"], 2, "is given twice"),
        (["--input", "{source}", "--output", "{source}/out"], 2, "is inside --input"),
        (["--input", "{source}/a.csv", "{source}/b.csv"], 2, "put quotes around a pattern"),
        (["a text", "--output", "{out}"], 2, "give them with --input"),
        (["a text", "--keep", "id"], 2, "--keep needs an --output"),
        (["--input", "{source}", "--output", "{out}", "--format", "npy", "--keep", "id"], 2, "--keep needs another format"),
        (["--input", "{source}", "--output", "{out}.npy", "--dtype", "int8"], 2, "stores a scale"),
        (["--input", "{source}", "--output", "{source}/a.csv", "--format", "csv"], 2, "without a suffix"),
        (["--input", "{source}", "--output", "{out}.npy", "--shard", "0/2"], 2, "without a suffix"),
        (["--input", "{source}", "--output", "{out}.npy", "--part-rows", 9], 2, "--part-rows is for a folder"),
        (["--input", "{source}", "--output", "https://host/out"], 2, "nothing can be written there"),
        (["--input", "{source}", "--output", "s3://bucket/out.parquet"], 2, "a folder of parts"),
    ],
)
def test_impossible_requests_are_one_line_and_leave_nothing(
    typed: Typed, mtl: Path, source: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    filled = [str(argument).format(source=source, out=tmp_path / "out") for argument in arguments]
    answer = typed("embed", *filled, "--model", mtl)
    assert (answer.code, said in answer.err) == (code, True), answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
