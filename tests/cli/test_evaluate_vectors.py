"""The output of `eval --sts` and `eval --probe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import Cli
from forks import Forks
from support import write

if TYPE_CHECKING:
    from .conftest import Typed

HEADER = ("sentence1", "sentence2", "score")
PAIRS = [
    ("The cat sleeps.", "The dog sleeps.", "4.5"),
    ("The cat sleeps.", "A saw lies broken.", "0.5"),
    ("A drill lies there.", "A saw lies broken.", "4"),
    ("The horse sleeps.", "A drill lies there.", "1"),
    ("The otter sleeps.", "The otter sleeps.", "5"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs.csv", [HEADER, *PAIRS])


def test_both_in_one_process(forked: Cli, forks: Forks, runs: Path, pairs: Path, data: Path) -> None:
    measured = ["--sts", pairs, "--probe", "--task", f"kind={data / 'kind'}?limit=40", "--dim", "8"]
    shown = forked("eval", "--model", runs / "sentence", *measured, COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "cosine of 8-dimensional vectors" in shown.stdout
    assert "8-dimensional vectors, evaluated on test" in shown.stdout
    assert "precision" not in shown.stdout  # of heads
    as_json = forks.start("eval", "--model", runs / "sentence", *measured, "--json")
    assert as_json.wait() == 0, as_json.err
    document = json.loads(as_json.out)
    (sts,) = document["sts"]
    probe = document["probe"]["kind"]
    assert (sts["pairs"], sts["split"], sts["dim"], probe["train"], probe["n"]) == (5, "pairs.csv", 8, 40, 16)
    for value in (sts["spearman"], sts["pearson"], probe["accuracy"], probe["macro_f1"], probe["cross_validated"]):
        assert f"{value:.4f}" in shown.stdout
    low, high = probe["accuracy_interval"]
    assert f"{low:.4f}..{high:.4f}" in shown.stdout
    model, pairs, kind = as_json.err.splitlines()
    assert model == f"model: {runs / 'sentence'}, as specified"
    assert "first=sentence1, second=sentence2, label=score" in pairs
    assert kind.startswith("kind: text=text, label=label")


def test_confusions_of_a_probe(typed: Typed, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--probe", "--confusion", width=80)
    assert answer.code == 0
    assert "kind: rows true, columns predicted" in answer.out
    assert "state: rows true, columns predicted" in answer.out
    assert "not evaluated" not in answer.err


def test_unseen_labels_and_skipped_rows_are_reported(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text((data / "kind" / "train.csv").read_text() + "too,many,fields\n")
    (tmp_path / "test.csv").write_text("text,label\nA cat,animal\nA fly,[insect]\n")
    answer = typed("eval", "--model", mtl, "--probe", "--task", f"kind={tmp_path}", "--on-bad-row", "skip", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["probe"]["kind"]["unseen_labels"] == {"[insect]": 1}
    assert "kind: 1 row with a label unseen in training ('[insect]'); not counted in the metrics" in answer.err
    assert "1 row skipped, such as " in answer.err


def test_encoder_without_heads_is_refused_with_what_can_be_measured(typed: Typed, runs: Path, data: Path, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", [HEADER[:2], *(row[:2] for row in PAIRS)])
    out = tmp_path / "run"
    trained = typed(
        "train-sentence", "--objective", "pairs", "--task", f"same={tmp_path / 'train.csv'}", "--init", runs / "pretrain",
        "--out", out, "--epochs", "1",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    answer = typed("eval", "--model", out)
    assert (answer.code, answer.out) == (2, "")
    assert f"{out} has no heads to evaluate; measure its vectors with --sts SOURCE or --probe, or train heads" in answer.err
    assert "Traceback" not in answer.err
    answer = typed("eval", "--model", out, "--text", tmp_path / "train.csv")
    assert answer.code == 2
    assert "needs a base that predicts the next token" in answer.err
    assert typed("eval", "--model", out, "--sts", write(tmp_path / "pairs.csv", [HEADER, *PAIRS])).code == 0
