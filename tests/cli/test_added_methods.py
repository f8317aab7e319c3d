"""Methods that are added at run time train from the command line, and are listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import TRAINED
from typer import Typer
from typer.testing import CliRunner

from mtlkit.cli.train_mtl import register
from mtlkit.config.registries.balancing import BALANCING
from mtlkit.config.registries.guards import GUARDS
from mtlkit.training.balancing.methods.base import BalanceContext, BalancingMethod
from mtlkit.training.continual.methods.base import GuardMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mtlkit.training.balancing.loss_weighting import LossWeighting
    from mtlkit.training.continual.guards import Guard, GuardContext
    from mtlkit.training.freezing.features import Vectors

    from .conftest import Typed


def train(typed: Typed, runs: Path, data: Path, out: Path, *more: object) -> str:
    """Trains the tasks `kind` and `state` for one epoch, and returns what the command said."""
    tasks = [text for name in ("kind", "state") for text in ("--task", f"{name}={data / name}")]
    settings = TRAINED | {"epochs": 1, "init": runs / "mtl", "out": out}
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    answer = typed("train-mtl", *tasks, *options, *more)
    assert answer.code == 0, answer.err
    return str(answer.err)


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

            def loss(self, vectors: Vectors) -> Tensor:
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
