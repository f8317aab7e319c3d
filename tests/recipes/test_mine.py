from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from support import write

import mtlkit
from mtlkit.config.commands.mine import MineOptions
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import read_train_and_validation_pairs
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.mine import chosen_of, mine

WORDS = ["cat", "dog", "horse", "trout", "otter", "saw", "drill", "lathe"]


@pytest.fixture(scope="module")
def model(runs: Path) -> LoadedModel:
    return load(runs / "sentence")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rows = [(f"The {word} sleeps.", f"A {word} lies on the floor.", "left out") for word in WORDS]
    return write(tmp_path / "pairs.csv", [("anchor", "positive", "negative"), *rows, (rows[0][0], "A cat", "x")])


def test_limits() -> None:
    candidates = np.array([[7, 5, 3, 1, -1], [2, 4, 6, 8, 9]])
    scores = np.array([[0.9, 0.7, 0.6, 0.1, -np.inf], [0.8, 0.5, 0.4, 0.3, 0.2]], np.float32)
    positives = np.array([0.75, 0.5], np.float32)

    def chosen(**limits: float) -> list[list[int]]:
        return chosen_of(candidates, scores, positives, MineOptions(negatives=2, **limits))[0].tolist()  # type: ignore[arg-type]

    assert chosen(margin=0.0) == [[5, 3], [4, 6]]
    assert chosen(margin=0.1) == [[3, 1], [6, 8]]
    assert chosen(margin=0.0, cap=0.4) == [[1, -1], [6, 8]]
    assert chosen(margin=0.0, skip=2) == [[3, 1], [6, 8]]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_table_that_pairs_reads(suffix: str, model: LoadedModel, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / f"mined{suffix}"
    mined = mine(MineOptions(source=str(pairs), output=out, negatives=2, margin=0.0), model)
    assert mined.pairs == 9
    assert 0 < mined.written <= 9
    assert mined.negative < mined.positive
    rows = (
        list(csv.DictReader(out.read_text().splitlines()))
        if suffix == ".csv"
        else [json.loads(line) for line in out.read_text().splitlines()]
        if suffix == ".jsonl"
        else parquet.read_table(out).to_pylist()
    )
    assert len(rows) == mined.written
    for row in rows:
        assert list(row) == ["anchor", "positive", "negative_1", "negative_2"]
        own = row["anchor"].split()[1]
        assert all(own not in row[name] for name in ("negative_1", "negative_2"))  # neither its positive nor the other one
        vectors = model.embed(list(row.values()), normalize=True)
        cosines = vectors[1:] @ vectors[0]
        assert cosines[0] + 1e-6 >= cosines[1] >= cosines[2] - 1e-6
    train, validation = read_train_and_validation_pairs(str(out), ReadOptions("utf-8", "error", SkippedRows()), False)
    assert len(train) + len(validation) == mined.written
    assert len(train.negatives) == 2


def test_negatives_from_a_corpus(model: LoadedModel, pairs: Path, tmp_path: Path) -> None:
    corpus = write(
        tmp_path / "corpus.csv", [("id", "body"), ("1", "The CAT  sleeps."), ("2", "a hammer"), ("3", ""), ("4", "a pony")]
    )
    out = tmp_path / "mined.jsonl"
    options = MineOptions(source=str(pairs), output=out, corpus=f"{corpus}?text=body", negatives=1, margin=0.0)
    mined = mine(options, model)
    assert mined.candidates == 3
    mined_rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["negative"] for row in mined_rows} <= {"The CAT  sleeps.", "a hammer", "a pony"}
    assert all("CAT" not in row["negative"] for row in mined_rows if "cat" in row["anchor"])


def test_the_function_refuses_to_replace_a_file(pairs: Path, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mined.jsonl"
    options = {"source": str(pairs), "output": out, "model": str(runs / "sentence"), "margin": 0.0, "negatives": 1}
    assert mtlkit.mine(**options).output == out
    with pytest.raises(UsageError, match="exists"):
        mtlkit.mine(**options)
    assert mtlkit.mine(**options, overwrite=True).written


def test_impossible_requests(model: LoadedModel, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "mined.jsonl"
    for more, message in (
        ({"source": None}, "no pairs to mine negatives for"),
        ({"output": None}, "add --output FILE.jsonl"),
        ({"output": tmp_path / "a.txt"}, "suffix '.txt' is not one of"),
        ({"output": pairs, "overwrite": True}, "is the same as SOURCE"),
        ({"depth": 4, "skip": 3}, "use --depth 5 or more"),
        ({"corpus": "-"}, "standard input can be read only once"),
    ):
        with pytest.raises(UsageError, match=message):
            mine(MineOptions(**{"source": str(pairs), "output": out, "negatives": 2, **more}), model)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no pair has 2 negatives at ranks 1 to 100 .* raise --depth"):
        mine(MineOptions(source=str(pairs), output=out, negatives=2, cap=-2.0), model)
    assert not out.exists()
