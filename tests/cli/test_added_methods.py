"""Methods that are added at run time train from the command line, and are listed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import TRAINED
from safetensors.numpy import load_file
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

from mtlkit.cli.train_mtl import register
from mtlkit.config.registries.balancing import BALANCING
from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.config.registries.guards import GUARDS
from mtlkit.config.registries.schedules import SCHEDULES
from mtlkit.training.balancing.methods.base import BalanceContext, BalancingMethod
from mtlkit.training.continual.methods.base import GuardMethod
from mtlkit.training.freezing.targets.base import FreezeTarget, ModelParts
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.sampling.orders import BatchOrder, Order, OrderContext
from mtlkit.training.sampling.schedules.base import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mtlkit.training.balancing.loss_weighting import LossWeighting
    from mtlkit.training.continual.guards import Guard, GuardContext
    from mtlkit.training.freezing.features import Vectors

    from .conftest import Typed


def train(typed: Typed, runs: Path, data: Path, out: Path, *more: object) -> str:
    """Trains the tasks `kind` and `state` for one epoch, and returns the output."""
    tasks = [text for name in ("kind", "state") for text in ("--task", f"{name}={data / name}")]
    settings = TRAINED | {"epochs": 1, "init": runs / "mtl", "out": out}
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    answer = typed("train-mtl", *tasks, *options, *more)
    assert answer.code == 0, answer.err
    return str(answer.err)


def steps(run: Path) -> list[dict[str, Any]]:
    """The log record of each step."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["type"] == "step"]


def offered(option: str, begun: str = "") -> list[str]:
    """The completions of an option's value."""
    fresh = Typer()
    register(fresh, "Train")
    command = get_command(fresh)
    (parameter,) = (parameter for parameter in command.params if f"--{option}" in parameter.opts)
    return [item.value for item in parameter.shell_complete(command.make_context("", [], resilient_parsing=True), begun)]


def shown_help() -> str:
    """The help of the command, registered as when the command line starts, without line breaks."""
    fresh = Typer()
    register(fresh, "Train")
    return " ".join(CliRunner().invoke(fresh, ["--help-all"], env={"COLUMNS": "200"}).output.split())


def test_an_added_balancing_method(runs: Path, data: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[set[str]] = []

    def make_louder(context: BalanceContext) -> LossWeighting:
        from mtlkit.training.balancing.loss_weighting import LossWeighting

        class Louder(LossWeighting):
            changes = True

            def weights(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
                calls.append(set(losses))
                return dict.fromkeys(losses, context.weights["factor"])

        return Louder()

    louder = BalancingMethod(
        name="louder",
        help="all losses times a factor.",
        form="louder:FACTOR",
        parse=lambda value, _: {"factor": float(value)},
        make=make_louder,
        needs_joint=True,
    )
    unknown = typed("train-mtl", "--balance", "louder:3")
    assert (unknown.code, "unknown method" in unknown.err, "uncertainty" in unknown.err) == (2, True, True)
    monkeypatch.setitem(BALANCING, "louder", louder)
    assert "louder:FACTOR: all losses times a factor." in shown_help()
    wrong = typed("train-mtl", "--balance", "loudr")
    assert (wrong.code, "louder:FACTOR" in wrong.err, "mean 'louder'" in wrong.err) == (2, True, True)
    alone = typed("train-mtl", "--balance", "louder:3")
    assert (alone.code, "--schedule joint" in alone.err) == (2, True)
    train(typed, runs, data, tmp_path / "run", "--balance", "louder:3", "--schedule", "joint")
    assert calls
    assert all(names == {"kind", "state"} for names in calls)
    assert '"weights"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_an_added_guard(runs: Path, data: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    strengths: list[float] = []

    def make_short(context: GuardContext, strength: float = 0.1) -> Guard:
        class Short:
            replaces_decay = False

            def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
                strengths.append(strength)
                return strength * next(iter(vectors.values()))[0].square().mean()

        assert context.trainable
        return Short()

    unknown = typed("train-mtl", "--guard", "short")
    assert (unknown.code, "no such guard" in unknown.err, "l2sp" in unknown.err) == (2, True, True)
    short = GuardMethod(name="short", help="keeps vectors short.", form="short[:STRENGTH]", make=make_short)
    monkeypatch.setitem(GUARDS, "short", short)
    assert "short[:STRENGTH]: keeps vectors short." in shown_help()
    wrong = typed("train-mtl", "--guard", "shrot")
    assert (wrong.code, "short[:STRENGTH]" in wrong.err, "mean 'short'" in wrong.err) == (2, True, True)
    train(typed, runs, data, tmp_path / "run", "--guard", "short:0.5")
    assert set(strengths) == {0.5}
    assert '"guard:short"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_an_added_schedule(runs: Path, data: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_blocks(context: OrderContext, size: int) -> BatchOrder:
        def order(_: int) -> Order:
            return tuple((name,) for _ in range(2) for name in context.passes for _ in range(size))

        return order

    blocks = Schedule(
        name="blocks",
        help="N batches of each task in turn.",
        form="blocks:N",
        parse=lambda _, text: (int(text),),
        make=make_blocks,
    )
    unknown = typed("train-mtl", "--schedule", "blocks:3")
    assert (unknown.code, "unknown schedule" in unknown.err, "round-robin" in unknown.err) == (2, True, True)
    monkeypatch.setitem(SCHEDULES, "blocks", blocks)
    assert "blocks:N: N batches of each task in turn." in shown_help()
    assert "blocks:" in offered("schedule")
    wrong = typed("train-mtl", "--schedule", "block:3")
    assert (wrong.code, "blocks:N" in wrong.err, "mean 'blocks'" in wrong.err) == (2, True, True)
    balanced = typed("train-mtl", "--schedule", "blocks:3", "--balance", "famo")
    assert (balanced.code, "--schedule joint" in balanced.err) == (2, True)
    monkeypatch.setitem(SCHEDULES, "blocks", replace(blocks, joint=True))
    balanced = typed("train-mtl", "--schedule", "round-robin", "--balance", "famo")
    assert (balanced.code, "--schedule joint or blocks:N" in balanced.err) == (2, True)
    monkeypatch.setitem(SCHEDULES, "blocks", blocks)
    train(typed, runs, data, tmp_path / "run", "--schedule", "blocks:3")
    tasks = [list(step["losses"]) for step in steps(tmp_path / "run")]
    assert tasks == 2 * (3 * [["kind"]] + 3 * [["state"]])


def test_an_added_freeze_target(runs: Path, data: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def mlp(_: str, text: str | None, parts: ModelParts) -> re.Pattern[str] | None:
        return re.compile(rf"backbone\.blocks\.{text}\.(expand|contract)\.") if text in map(str, range(parts.layers)) else None

    target = FreezeTarget(
        name="mlp",
        help="the MLP of a layer.",
        form="mlp:N",
        pattern=mlp,
        examples=lambda parts: [f"mlp:{layer}" for layer in range(parts.layers)],
    )
    command = ("train-mtl", "--init", runs / "mtl", "--task", f"kind={data / 'kind'}", "--freeze")
    unknown = typed(*command, "mlp:1")
    assert (unknown.code, "no such part" in unknown.err, "layers:0-1" in unknown.err) == (2, True, True)
    monkeypatch.setitem(FREEZE_TARGETS, "mlp", target)
    assert "mlp:N" in shown_help()
    assert offered("freeze", "backbone,-m") == ["backbone,-mlp:"]
    for wrong in ("mlp:2", "mlpp:1"):
        refused = typed(*command, wrong)
        assert (refused.code, "mlp:0, mlp:1" in refused.err, "mean 'mlp:1'" in refused.err) == (2, True, True)
    train(typed, runs, data, tmp_path / "run", "--freeze", "mlp:1")
    before, after = (load_file(folder / "model.safetensors") for folder in (runs / "mtl", tmp_path / "run"))
    frozen = {name for name, weight in after.items() if (weight == before[name]).all()}
    assert {name for name in frozen if name.startswith("backbone.blocks.")} == {
        f"backbone.blocks.1.{part}.{kind}" for part in ("expand", "contract") for kind in ("weight", "bias")
    }
