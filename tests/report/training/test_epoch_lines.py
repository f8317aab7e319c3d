from __future__ import annotations

from dataclasses import replace

import pytest

from mtlkit.report.training.epoch_lines import EpochLines, parts_in_words, pretraining_line
from mtlkit.training.events import Epoch, Part, TaskState


def state(task: str, kind: str = "classification") -> TaskState:
    metrics = {"spearman": -0.125, "pearson": 0.25} if kind == "regression" else {"accuracy": 0.5, "macro_f1": 0.25}
    return TaskState(task, kind, 1.5, {"loss": 0.75, **metrics}, 3, 7, False)


def lines(rows: EpochLines, epoch: Epoch) -> list[str]:
    return [line.plain for line in rows.lines(epoch)]


def test_one_task_needs_no_score_of_all() -> None:
    rows = EpochLines(80)
    first = lines(rows, Epoch(1, 12, (state("topic"),), 0.5, True))
    assert first == [
        "epoch  task   train loss  val loss  accuracy  macro-F1",
        "1/12   topic       1.500     0.750     0.500     0.250  best",
    ]
    assert lines(rows, Epoch(2, 12, (state("topic"),), 0.5, False)) == ["2/12   topic       1.500     0.750     0.500     0.250"]


def test_the_header_comes_again_with_other_columns() -> None:
    rows = EpochLines(80)
    lines(rows, Epoch(1, 2, (state("topic"),), 0.5, True))
    other = lines(rows, Epoch(1, 2, (state("stars", "regression"),), 0.5, True))
    assert "Spearman" in other[0]
    rows.reset()
    assert lines(rows, Epoch(2, 2, (state("stars", "regression"),), 0.5, True))[0] == other[0]


def test_evaluations_within_an_epoch_are_named_by_their_step() -> None:
    assert lines(EpochLines(80), Epoch(1, 2, (state("topic"),), 0.5, False, "epoch 1, step 40", step=40))[1].startswith("@40 ")


def test_what_needs_attention_comes_below() -> None:
    odd = replace(state("topic"), texts=30, untaught=7)
    odd.validation["undefined"] = {"macro_f1": "a single class"}
    found = EpochLines(80).lines(Epoch(1, 2, (odd,), 0.5, False))
    assert [line.plain for line in found[2:]] == [
        "topic: 7 of 30 texts had nothing to compare with in their batch",
        "topic: macro-F1 undefined: a single class",
    ]
    assert {str(line.style) for line in found[2:]} == {"yellow"}


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_are_cut_and_figures_are_not(width: int) -> None:
    states = tuple(
        state(name, kind) for name, kind in (("x" * 64, "regression"), ("[/]", "classification"), ("日本" * 9, "multi-label"))
    )
    found = EpochLines(width).lines(Epoch(11, 12, states, 0.5, True))
    assert max(line.cell_len for line in found) <= width
    assert all("1.500" in line.plain and "0.750" in line.plain for line in found[1:])
    assert "…" in found[1].plain
    assert "[/]" in found[2].plain


def test_a_line_of_pretraining() -> None:
    assert pretraining_line(3, 20, "next token", [1.0, 3.0]) == "epoch  3/20  next token  train loss 2.000  perplexity 7.4"


def test_parts_in_words() -> None:
    parts = [Part("backbone", 1000, 0, "a"), Part("head:a", 60, 30), Part("head:b", 66, 66)]
    assert parts_in_words(parts) == "training 96 of 1,126 parameters; frozen: backbone; partly frozen: head:a"
    assert parts_in_words([Part("head:b", 66, 66)]) == "training 66 of 66 parameters"
    after = [replace(parts[0], after="a"), parts[1], replace(parts[2], before="b", after="c", trainable=0)]
    assert parts_in_words(after) == "frozen and unchanged (same SHA-256): backbone"
