from __future__ import annotations

from pathlib import Path

import pytest
from support import write

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.recipes.inputs.next_command import next_command, predict_command

EVAL = "mtlkit eval --confusion"
ROWS = [("text", "label"), *((f"text {row}", "ab"[row % 2]) for row in range(20))]


@pytest.mark.parametrize(
    ("out", "command"),
    [
        ("runs/mtl", EVAL),
        ("runs/other", f"{EVAL} --model runs/other"),
        ("my models/run", f"{EVAL} --model 'my models/run'"),
        ("-x", f"{EVAL} --model ./-x"),
    ],
)
def test_the_run_is_named_where_it_is_not_in_its_default_place(out: str, command: str) -> None:
    assert next_command(EVAL, Path(out), "mtl", TrainMtlOptions(), ["sample:topic"]) == command


def test_a_training_starts_from_the_run() -> None:
    assert (
        next_command("mtlkit train-sentence", Path("base"), "pretrain", PretrainOptions()) == "mtlkit train-sentence --init base"
    )


def test_a_split_that_exists_is_named(tmp_path: Path) -> None:
    lone = str(write(tmp_path / "lone.csv", ROWS))
    for name in ("train", "test"):
        write(tmp_path / "whole" / f"{name}.csv", ROWS)
    both = [f"{tmp_path / 'whole'}?limit=5", lone]
    for sources, split in [(both[:1], ""), (both, " --split validation"), ([lone], " --split validation")]:
        assert next_command(EVAL, Path("runs/mtl"), "mtl", TrainMtlOptions(), sources) == EVAL + split


def test_rows_that_were_trained_on_are_not_evaluated(tmp_path: Path) -> None:
    lone = str(write(tmp_path / "lone.csv", ROWS))
    found = next_command(EVAL, Path("my/run"), "mtl", TrainMtlOptions(encoding="latin-1"), [lone], held_out=False)
    assert found == "mtlkit predict --model my/run 'a text'"
    assert next_command(EVAL, Path("runs/mtl"), "mtl", TrainMtlOptions(), ["sample:topic"], held_out=False) == EVAL


def test_a_run_with_heads_for_pairs_alone_predicts_pairs(tmp_path: Path) -> None:
    lone = str(write(tmp_path / "lone.csv", ROWS))
    pairs = [f"{lone}?pair=text,text&label={name}" for name in ("label", "other")]
    for sources, texts in [(pairs, "--pair 'a text' 'another text'"), ([*pairs, lone], "'a text'")]:
        found = next_command(EVAL, Path("my/run"), "mtl", TrainMtlOptions(), sources, held_out=False)
        assert found == f"mtlkit predict --model my/run {texts}"


def test_what_the_rows_need_to_be_read_is_repeated(tmp_path: Path) -> None:
    options = TrainMtlOptions(encoding="latin-1", on_bad_row="skip")
    assert next_command(EVAL, Path("runs/mtl"), "mtl", options) == f"{EVAL} --encoding latin-1 --on-bad-row skip"


def test_a_source_that_is_gone_is_not_an_error() -> None:
    assert next_command(EVAL, Path("runs/mtl"), "mtl", TrainMtlOptions(), ["gone.csv"]) == EVAL


def test_pairs_are_predicted_with_two_texts() -> None:
    assert predict_command(["--model", "a run"], pairs=True) == "mtlkit predict --model 'a run' --pair 'a text' 'another text'"
