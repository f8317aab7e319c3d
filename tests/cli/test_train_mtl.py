from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from mtlkit.inference.load_weights import load_weights
from mtlkit.model.heads.base import Head
from mtlkit.runs.record import verify

if TYPE_CHECKING:
    from .conftest import Typed


def tasks(data: Path, *names: str) -> list[str]:
    return [part for name in names for part in ("--task", f"{name}={data / name}")]


def test_a_watched_task_is_evaluated_before_during_and_after(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept"
    answer = typed(
        "train-mtl",
        *tasks(data, "kind", "state"),
        "--freeze",
        "head:kind",
        "--init",
        mtl,
        "--out",
        out,
        "--epochs",
        2,
        "--verbose",
    )
    assert answer.code == 0, answer.err
    epochs = answer.err.split("Frozen parts after training")[0]
    rows = [line.split() for line in epochs.splitlines() if line.strip().startswith("kind ")]
    assert [row[-1] for row in rows] == ["watched"] * 3  # before training, and after each epoch
    assert "before training, mean score" in answer.err
    frozen = answer.err.split("Frozen parts after training")[1]
    found = re.search(r"head:kind +- +66 +(\w{16}) = (\w{16})", frozen)  # fault 18
    assert found
    assert found[1] == found[2]
    assert verify(out).metrics["validation"].keys() == {"kind", "state"}


def test_a_frozen_backbone_is_run_once_and_shown_unchanged(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out = tmp_path / "frozen"
    answer = typed("train-mtl", *tasks(data, "kind", "state"), "--freeze", "backbone", "--init", mtl, "--out", out, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["run"] == str(out)
    assert "encoded 128 texts once" in answer.err
    assert re.search(r"training 132 of [\d,]+ parameters; frozen: backbone\n", answer.err)
    assert re.search(r"unchanged .*: backbone\n", answer.err)  # fault 18


def test_a_wrong_freeze_is_refused_before_any_data_is_read(typed: Typed, unread: Path, mtl: Path, tmp_path: Path) -> None:
    for freeze, said in (
        (
            "backbone,head:kind",
            "everything is frozen, so nothing is left to train; take one of head:kind out of --freeze",
        ),  # fault 39
        ("head:kind", "every task's head is frozen (head:kind)"),  # fault 39
        ("head:knid", "--freeze head:knid: no such part"),  # fault 18
        ("none,backbone", "contradict each other"),
    ):
        answer = typed("train-mtl", "--task", f"kind={unread}", "--init", mtl, "--freeze", freeze, "--out", tmp_path / "run")
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
        assert str(unread) not in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_head_gets_the_nearest_name(typed: Typed, unread: Path, mtl: Path, tmp_path: Path) -> None:  # fault 18
    answer = typed("train-mtl", "--task", f"topic={unread}", "--init", mtl, "--freeze", "head:topc", "--out", tmp_path / "run")
    assert answer.code == 2
    assert (
        "known are none, backbone, embeddings, layers:0-1, pooling, norms, bias, heads, head:kind, head:state, head:topic"
        in answer.err
    )
    assert answer.err.endswith("; did you mean 'head:topic'?\n")
    answer = typed("train-mtl", "--task", f"kind={unread}", "--init", mtl, "--freeze", "head:knid", "--out", tmp_path / "run")
    assert "did you mean 'head:kind'?" in answer.err
    answer = typed("train-mtl", "--task", f"kind={unread}", "--init", mtl, "--freeze", "bakcbone", "--out", tmp_path / "run")
    assert "did you mean 'backbone'?" in answer.err


def test_random_weights_are_not_frozen_by_mistake(typed: Typed, data: Path, runs: Path, tmp_path: Path) -> None:
    common = ("train-mtl", *tasks(data, "kind", "state"), "--freeze", "head:kind", "--out", tmp_path / "run", "--epochs", 1)
    answer = typed(*common, "--init", runs / "pretrain")
    assert answer.code == 2
    assert "--freeze head:kind would keep random weights: the starting model has no trained head:kind" in answer.err
    assert "--init scratch" in answer.err
    meant = typed(*common, "--init", "scratch", "--layers", 1, "--dim", 16, "--heads", 1, "--vocab-size", 300)
    assert meant.code == 0, meant.err


def test_existing_run_is_overwritten_only_on_request(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 14
    out = tmp_path / "run"
    command = ("train-mtl", *tasks(data, "kind"), "--init", mtl, "--out", out, "--epochs", 1)
    assert typed(*command).code == 0
    first = verify(out)
    answer = typed(*command)
    assert (answer.code, answer.out) == (2, "")
    assert all(part in answer.err for part in (f"mtlkit: {out} is not empty", "--overwrite", "--out"))
    assert verify(out) == first
    assert typed(*command, "--overwrite", "--seed", 1).code == 0
    assert verify(out).seed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_overwrite_spares_a_folder_that_holds_no_run(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    answer = typed("train-mtl", *tasks(data, "kind"), "--init", mtl, "--out", tmp_path, "--overwrite")
    assert answer.code == 2
    assert "contains thesis.txt, not part of a run" in answer.err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_refused_before_data_is_read(
    typed: Typed, unread: Path, mtl: Path, tmp_path: Path
) -> None:  # fault 15
    (tmp_path / "file").write_text("mine")
    for out, said in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "run", "cannot write")):
        answer = typed("train-mtl", "--task", f"kind={unread}", "--init", mtl, "--out", out)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
        assert answer.err.count("\n") == 1


def test_a_loss_that_is_not_finite_stops_the_training(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 16
    out = tmp_path / "run"
    options = ("--learning-rate", 1e30, "--clip", 0, "--warmup", 0, "--batch-tokens", 64, "--epochs", 9, "--out", out)
    answer = typed("train-mtl", *tasks(data, "kind"), "--init", mtl, *options)
    assert (answer.code, answer.out) == (5, "")
    assert re.search(
        r"mtlkit: loss of 'kind' is (nan|inf) at step \d+ \(rows [\d, ]+ of 'kind'\); lower --learning-rate; the texts of the "
        rf"batch are in {re.escape(str(out))}/state/diverged.json\n$",
        answer.err,
    )
    written = json.loads((out / "state" / "diverged.json").read_text())
    assert [str(row["row"]) for row in written["rows"]["kind"]] == re.findall(
        r"\d+", answer.err.split("(rows")[1].split(" of ")[0]
    )
    assert all(text for row in written["rows"]["kind"] for text in row["texts"])


def test_one_infinite_gradient_skips_one_step_and_is_reported(  # fault 17
    typed: Typed, monkeypatch: pytest.MonkeyPatch, data: Path, mtl: Path, tmp_path: Path
) -> None:
    loss_of, calls = Head.loss, []

    def loss(self: Head, outputs: Tensor, *rest: Any) -> Tensor:
        if outputs.requires_grad:
            calls.append(self)
            if len(calls) == 3:
                outputs.register_hook(lambda gradient: gradient * float("inf"))
        return loss_of(self, outputs, *rest)

    monkeypatch.setattr(Head, "loss", loss)
    out = tmp_path / "run"
    answer = typed("train-mtl", *tasks(data, "kind", "state"), "--init", mtl, "--out", out, "--epochs", 3, "--track-every", 0)
    assert answer.code == 0, answer.err
    assert answer.err.count("skipped") == 1
    assert "skipped step 3: gradient not finite" in answer.err
    assert all(torch.isfinite(weight).all() for weight in load_weights(out).model.parameters())


def test_a_wrong_column_lists_those_there_are(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 25
    answer = typed("train-mtl", "--task", f"kind={data / 'kind'}?label=lable", "--init", mtl, "--out", tmp_path / "run")
    assert answer.code == 3
    assert answer.err.endswith(f"column 'lable' not found in {data / 'kind'}; columns: text, label; did you mean 'label'?\n")


@pytest.mark.parametrize("name", ["../../x", "a/b", "Topic"])
def test_a_task_name_never_becomes_a_path(typed: Typed, data: Path, mtl: Path, tmp_path: Path, name: str) -> None:  # fault 31
    answer = typed("train-mtl", "--task", f"{name}={data / 'kind'}", "--init", mtl, "--out", tmp_path / "run")
    assert answer.code == 2
    assert f"invalid task name '{name}'" in answer.err


@pytest.mark.parametrize("command", ["train-mtl", "train-sentence"])
def test_without_runs_training_starts_from_mini(command: str, typed: Typed, unread: Path, tmp_path: Path) -> None:
    answer = typed(command, "--runs", tmp_path / "none", "--task", f"kind={unread}")
    assert (answer.code, answer.out) == (3, "")
    assert f"starting from mini, the bundled model; no compatible run in {tmp_path / 'none'}/" in answer.err


def test_a_terminal_gets_a_live_view_on_stderr(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    answer = typed("train-mtl", *tasks(data, "kind"), "--init", mtl, "--out", out, "--epochs", 1, terminal=True)
    assert answer.code == 0
    assert re.search(r"1/1 +kind +[\d.]+", answer.err)
    assert answer.err.count("\x1b[?25l") == answer.err.count("\x1b[?25h") > 0  # the cursor is hidden while the view lives
    assert re.fullmatch(rf"{out} is ready \([0-9:]+\); next:\smtlkit eval --confusion --model {out}\n", answer.raw)


def test_scores_of_rows_that_few_shot_trained_on_are_marked(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    source = f"kind={next((data / 'kind').glob('train.*'))}"
    answer = typed("train-mtl", "--few-shot", "--epochs", 1, "--task", source, "--init", mtl, "--out", out)
    assert answer.code == 0, answer.err
    assert answer.out.endswith(f"next: mtlkit predict --model {out} 'a text'\n")
    assert "kind: these rows were trained on, too" in typed("eval", "--model", out, "--split", "validation").err
    assert "of rows that were trained on" in " ".join(typed("info", out).out.split())
