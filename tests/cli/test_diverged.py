"""Losses and gradients that are not finite: the step is not taken, its cause is recorded, and nothing is lost."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from killing import TINY, differences, states
from torch import Tensor

from mtlkit.model.heads.base import Head
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.training.objectives import language as next_token
from mtlkit.training.optimizer import EagerAdamW

if TYPE_CHECKING:
    from .conftest import Command, Typed

Wrong = Callable[[Tensor], Tensor]
Spoil = Callable[..., None]


def not_a_number(loss: Tensor) -> Tensor:
    return loss * float("nan")


def infinite_gradient(loss: Tensor) -> Tensor:
    loss.register_hook(lambda gradient: gradient * float("inf"))
    return loss


def tenthousandfold(loss: Tensor) -> Tensor:
    return loss * 10_000


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """`spoil(not_a_number, 7)` replaces the seventh training loss."""
    of_head, of_text = Head.loss, next_token.next_token_loss

    def spoil(wrong: Wrong, *places: int) -> None:
        calls = 0

        def spoiled(real: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def loss(*rest: Any) -> Tensor:
                nonlocal calls
                found = real(*rest)
                calls += found.requires_grad
                return wrong(found) if found.requires_grad and calls in places else found

            return loss

        monkeypatch.setattr(Head, "loss", spoiled(of_head))
        monkeypatch.setattr(next_token, "next_token_loss", spoiled(of_text))

    return spoil


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, Tensor]]:
    """The weights and the optimizer's tensors of each state that is saved, by its step."""
    found: dict[int, dict[str, Tensor]] = {}
    save = CheckpointManager.save

    def watched(self: CheckpointManager, step: int, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        kept = {
            name: value.clone() for name, value in tensors.items() if name.startswith(("updater:weights:", "updater:optimizer:"))
        }
        assert any(name.startswith("updater:weights:") for name in kept)
        found[step] = kept
        save(self, step, tensors, plain)

    monkeypatch.setattr(CheckpointManager, "save", watched)
    return found


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="session")
def base(data: Path) -> Command:
    return ("pretrain", data / "kind" / "train.csv", "--context", 16, *TINY, "--epochs", 4)


def test_a_step_whose_loss_is_not_finite_is_not_taken(  # fault 16
    typed: Typed, spoil: Spoil, command: Command, tmp_path: Path
) -> None:
    command = (*command, "--track-every", 0, "--save-every", 1)
    out, undisturbed = tmp_path / "run", tmp_path / "whole" / "run"
    assert typed(*command, "--out", undisturbed).code == 0
    spoil(not_a_number, 12)
    answer = typed(*command, "--out", out)
    assert (answer.code, answer.out) == (5, "")
    found = re.search(
        r"mtlkit: loss of '(\w+)' is nan at step 12 \(rows ([\d, ]+) of '\1'\); lower --learning-rate; the texts of the "
        rf"batch are in {re.escape(str(out))}/state/diverged.json\n$",
        answer.err,
    )
    assert found
    written = json.loads((out / "state" / "diverged.json").read_text())
    assert written["step"] == 12
    assert written["losses"] == [{found[1]: "nan"}]
    assert [row["row"] for row in written["rows"][found[1]]] == [int(row) for row in found[2].split(", ")]
    assert all("The" in row["texts"][0] or "A " in row["texts"][0] for row in written["rows"][found[1]])
    assert states(out) == ["step-00000010", "step-00000011"]
    spoil(not_a_number, 0)
    answer = typed("train-mtl", "--resume", out)  # weights were not touched by the step that was not taken
    assert answer.code == 0, answer.err
    assert not list(differences(out, undisturbed))


def test_a_base_whose_loss_is_not_finite_stops(  # fault 16
    typed: Typed, spoil: Spoil, base: Command, tmp_path: Path
) -> None:
    spoil(not_a_number, 3)
    answer = typed(*base, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (5, "")
    assert re.search(r"mtlkit: loss of 'next token' is nan at step 3 \(epoch 1\); lower --learning-rate; the texts", answer.err)
    written = json.loads((tmp_path / "run" / "state" / "diverged.json").read_text())
    assert len(written["rows"]["windows"]) == 8
    assert any(" the " in text for text in written["rows"]["windows"])
    assert typed(*base, "--out", tmp_path / "run").code == 0  # what was written down is not in the way of the next try


@pytest.mark.parametrize("named", ["train-mtl", "pretrain"])
def test_an_infinite_gradient_skips_exactly_one_step(  # fault 17
    typed: Typed,
    spoil: Spoil,
    weights: dict[int, dict[str, Tensor]],
    command: Command,
    base: Command,
    tmp_path: Path,
    named: str,
) -> None:
    spoil(infinite_gradient, 5)
    quiet = ("--track-every", 0) if named == "train-mtl" else ()
    out = tmp_path / "run"
    answer = typed(*(command if named == "train-mtl" else base), "--epochs", 1, "--save-every", 1, "--out", out, *quiet)
    assert answer.code == 0, answer.err
    assert answer.err.count("skipped") == 1
    assert "skipped step 5: gradient not finite\n" in answer.err
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["type"] == "step" and line.get("skipped")] == [5]
    assert len(weights) > 6
    for step in sorted(weights)[1:]:
        assert same(weights[step - 1], weights[step]) == (step == 5)
    assert all(torch.isfinite(value).all() for value in weights[max(weights)].values())


@pytest.mark.parametrize("named", ["train-mtl", "pretrain"])
def test_skipped_steps_are_counted_across_a_resume(  # fault 17
    typed: Typed, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, command: Command, base: Command, tmp_path: Path, named: str
) -> None:
    common = (*command, "--track-every", 0) if named == "train-mtl" else base
    out = tmp_path / "run"
    spoil(infinite_gradient, 3)
    taken = EagerAdamW.step

    def step(self: EagerAdamW) -> None:
        taken(self)
        if len(states(out)) == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(EagerAdamW, "step", step)
    stopped = typed(*common, "--save-every", 1, "--out", out)
    assert stopped.code == 143
    assert "skipped step 3: gradient not finite\n" in stopped.err
    monkeypatch.setattr(EagerAdamW, "step", taken)
    spoil(infinite_gradient, 2)
    answer = typed(named, "--resume", out)
    assert answer.code == 0, answer.err
    assert "skipped step 6: gradient not finite; 2 steps skipped so far\n" in answer.err


@pytest.mark.parametrize("named", ["train-mtl", "pretrain"])
def test_a_spike_is_skipped_where_that_is_asked_for(
    typed: Typed,
    spoil: Spoil,
    weights: dict[int, dict[str, Tensor]],
    command: Command,
    base: Command,
    tmp_path: Path,
    named: str,
) -> None:
    common = (*command, "--batch-tokens", 64, "--schedule", "joint") if named == "train-mtl" else (*base, "--batch-tokens", 64)
    spoil(tenthousandfold, 50 if named == "train-mtl" else 25)
    out = tmp_path / "run"
    answer = typed(*common, "--save-every", 1, "--on-spike", "skip", "--out", out)
    assert answer.code == 0, answer.err
    found = re.findall(r"skipped step 25: loss [\d.e+]+ is a spike \(median [\d.]+, limit [\d.]+\)", answer.err)
    assert len(found) == answer.err.count("skipped") == 1
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["type"] == "step" and line.get("skipped")] == [25]
    assert same(weights[24], weights[25])
    assert not same(weights[25], weights[26])


@pytest.mark.parametrize("named", ["train-mtl", "pretrain"])
def test_a_spike_stops_with_the_state_saved_where_that_is_asked_for(
    typed: Typed, spoil: Spoil, command: Command, base: Command, tmp_path: Path, named: str
) -> None:
    common = (*command, "--batch-tokens", 64, "--schedule", "joint") if named == "train-mtl" else (*base, "--batch-tokens", 64)
    common = (*common, "--save-every", "60m")
    undisturbed, out = tmp_path / "whole" / "run", tmp_path / "run"
    assert typed(*common, "--on-spike", "skip", "--out", undisturbed).code == 0
    spoil(tenthousandfold, 50 if named == "train-mtl" else 25)
    answer = typed(*common, "--on-spike", "stop", "--out", out)
    assert (answer.code, answer.out) == (5, "")
    there = (
        f"the texts of the batch are in {out}/state/diverged.json; skip it with: mtlkit {named} --resume {out} --on-spike skip"
    )
    said = r"mtlkit: step 25 was not taken: loss [\d.e+]+ is a spike \(median [\d.]+, limit [\d.]+\); "
    assert re.search(rf"{said}{re.escape(there)}\n$", answer.err)
    assert states(out) == ["step-00000024"]
    assert json.loads((out / "state" / "diverged.json").read_text())["step"] == 25
    spoil(tenthousandfold, 0)
    answer = typed(named, "--resume", out, "--on-spike", "skip")
    assert answer.code == 0, answer.err
    assert not list(differences(out, undisturbed))
    assert not (out / "state").exists()
