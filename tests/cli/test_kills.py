"""SIGKILL and SIGHUP at random moments, and the same command with --resume until it ends: the result is that of one let alone."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forks import Forks
from killing import HEAD, TINY, Killer, differences, killed_in, states
from torchjd_methods import if_installed

if TYPE_CHECKING:
    from .conftest import Command, Typed

FRESH = ("--init", "scratch", *TINY)
KILLS = pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])


def tasks(data: Path, *names: str) -> list[str]:
    return [part for name in names for part in ("--task", f"{name}={data / name}")]


def check(forks: Forks, command: tuple[object, ...], folder: Path, kills: int) -> None:
    """Trains without interruption, then with at least that many kills. Fails if anything differs."""
    seed = random.SystemRandom().randrange(1 << 32)
    child = forks.start(*command, "--out", folder / "whole" / "run")
    assert child.wait() == 0, child.err
    killer, trial = Killer(forks, seed), 0
    while killer.hits.total() < kills:
        out = folder / f"killed-{trial}" / "run"
        killer.train(command, out, max(2, kills - killer.hits.total()))  # two while the run is saved
        found = list(differences(out, folder / "whole" / "run"))
        assert not found, f"after kills {dict(killer.hits)}, seed {seed}: {found}"
        trial += 1
    sys.stderr.write(f"{killer.hits.total()} kills {dict(killer.hits)} in {trial} trainings, seed {seed}: no difference\n")


@KILLS
def test_pretrain(forks: Forks, data: Path, tmp_path: Path, kills: int) -> None:  # fault 1
    texts = data / "kind" / "train.csv"
    check(forks, ("pretrain", texts, "--context", 16, *TINY, "--epochs", 6, "--save-every", 1), tmp_path, kills)


@KILLS
def test_train_sentence(forks: Forks, data: Path, tmp_path: Path, kills: int) -> None:  # fault 1
    command = ("train-sentence", *tasks(data, "kind"), *FRESH, "--epochs", 6, "--eval-every", 3, "--save-every", 2)
    check(forks, command, tmp_path, kills)


@KILLS
def test_train_mtl(forks: Forks, data: Path, tmp_path: Path, kills: int) -> None:  # fault 1
    command = ("train-mtl", *tasks(data, "kind", "state"), *FRESH, "--epochs", 3, "--track-every", 3, "--save-every", 1)
    check(forks, command, tmp_path, kills)


@KILLS
def test_tasks_that_balance_themselves_above_a_backbone_that_thaws(  # fault 1
    forks: Forks, data: Path, mtl: Path, tmp_path: Path, kills: int
) -> None:
    mix = ("--schedule", "joint", "--balance", "uncertainty", "--freeze", "backbone@until=epoch:1")
    common = ("--init", mtl, "--batch-tokens", 128, "--epochs", 5, "--save-every", 1)
    check(forks, ("train-mtl", *tasks(data, "kind", "state"), *common, *mix), tmp_path, kills)


def test_heads_that_are_solved(forks: Forks, typed: Typed, solving: Command, solved: Path, tmp_path: Path) -> None:  # fault 1
    out = tmp_path / "run"
    killed_in(2, forks, solving, out, HEAD)
    assert states(out) == ["step-00000001"]
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert "new-state: cross-validated" in answer.err
    assert "new-kind: cross-validated" not in answer.err
    assert not list(differences(out, solved))


SHORT = ("--epochs", 3, "--save-every", 2, "--track-every", 4)
WAYS = {
    "accumulation": ("--accumulate", 4, "--epochs", 8),
    "joint, accumulated, thawing": (
        *("--schedule", "joint", "--balance", "uncertainty", "--freeze", "backbone@until=epoch:1"),
        *("--accumulate", 4, "--epochs", 12, "--save-every", 1),
    ),
    "proportional": ("--schedule", "proportional"),
    "temperature": ("--schedule", "temperature:2"),
    "sequential": ("--schedule", "sequential"),
    "dwa": ("--balance", "dwa", "--schedule", "joint"),
    "famo": ("--balance", "famo", "--schedule", "joint"),
    "torchjd:pcgrad": ("--balance", "torchjd:pcgrad", "--schedule", "joint"),
    "torchjd:nashmtl": ("--balance", "torchjd:nashmtl", "--schedule", "joint"),
    "unfreezing": ("--unfreeze", "top-down"),
    "tasks that tire": ("--task-patience", 1, "--epochs", 8),
    "bests": ("--keep-best-per-task", "--eval-every", 5),
    "drawn classes": ("--sampling", "balanced"),
    "a prefix that is kept": ("--cache-prefix", "--freeze", "embeddings,layers:0-0"),
    "vectors that are kept": ("--freeze", "backbone", "--solver", "sgd"),
    "heads that are solved": ("--freeze", "backbone", "--save-every", 1),
    "a router": ("--router",),
    "patience": ("--patience", 1, "--epochs", 8),
    "spikes": ("--on-spike", "skip", "--epochs", 8),
}
GUARDS = {
    "l2sp": ("--guard", "l2sp"),
    "lwf": ("--guard", "lwf"),
    "ewc": ("--guard", "ewc"),
    "rehearsal": ("--rehearse", "state:0.5", "--max-forgetting", 5),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", [*map(if_installed, WAYS)])
def test_every_way_to_share(forks: Forks, data: Path, mtl: Path, tmp_path: Path, way: str) -> None:  # fault 1
    command = ("train-mtl", *tasks(data, "kind", "state"), "--init", mtl, "--batch-tokens", 128, *SHORT, *WAYS[way])
    check(forks, command, tmp_path, 6)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("guard", GUARDS)
def test_every_way_to_keep(forks: Forks, data: Path, mtl: Path, tmp_path: Path, guard: str) -> None:  # fault 1
    task = ("--task", f"other={data / 'kind'}", "--watch", f"state={data / 'state'}")
    command = ("train-mtl", *task, "--init", mtl, "--batch-tokens", 128, *SHORT, *GUARDS[guard])
    check(forks, command, tmp_path, 6)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("objective", ["pairs", "distill"])
def test_every_way_to_learn_vectors(forks: Forks, data: Path, mtl: Path, tmp_path: Path, objective: str) -> None:  # fault 1
    texts = [line.rpartition(",")[0] for line in (data / "kind" / "train.csv").read_text().splitlines()[1:]]
    rows = [f"{text},{text.replace('The', 'A')},{other}" for text, other in zip(texts, texts[1:] + texts[:1], strict=True)]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["anchor,positive,negative", *rows]) + "\n")
    plain = tmp_path / "texts.txt"
    plain.write_text("\n".join(texts) + "\n")
    cut = ("--micro-batch-tokens", 32)
    more = ("--task", f"twins={pairs}", *cut) if objective == "pairs" else ("--task", f"texts={plain}", "--teacher", mtl)
    check(forks, ("train-sentence", "--objective", objective, *more, *FRESH, *SHORT, "--epochs", 8), tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("every", [1, 2, 5])
def test_the_base_over_and_over(forks: Forks, data: Path, tmp_path: Path, every: int) -> None:  # fault 1
    texts = data / "kind" / "train.csv"
    command = ("pretrain", texts, "--context", 16, *TINY, "--epochs", 8, "--save-every", every, "--on-spike", "skip")
    check(forks, command, tmp_path, 12)


def test_adapters_of_tasks(forks: Forks, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 1
    adapters = ("--adapter", "lora:2@layers:1", "--adapter-per", "task", "--cache-prefix")
    common = ("--init", mtl, "--batch-tokens", 128, "--epochs", 4, "--save-every", 1)
    check(forks, ("train-mtl", *tasks(data, "kind", "state"), *common, *adapters), tmp_path, 2)
