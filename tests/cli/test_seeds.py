"""The same command gives the same bytes: typed twice, and killed before its first save and resumed."""

from __future__ import annotations

import random
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forks import Forks
from killing import TINY, differences, killed_in
from torchjd_methods import METHODS, OWN

if TYPE_CHECKING:
    from .conftest import Typed

WORDS = ["red", "blue", "cat", "dog", "train", "river", "music", "stone", "light", "paper", "glass", "storm"]
STARTS = ("scratch", "run", "mini", "foreign")
SHORT = ("--epochs", 2, "--batch-tokens", 128)
SCHEDULES = ("round-robin", "joint", "proportional", "temperature:2", "sequential")
BALANCES = [*(name for name in OWN if name != "weights"), *METHODS]


def rows_of(columns: str, count: int = 24) -> str:
    """A table of this header: texts of a few words, a label, a score."""
    draw = random.Random(0)
    lines = [columns]
    for _ in range(count):
        text = " ".join(draw.sample(WORDS, 4))
        cells = {"text": text, "first": text, "second": f"{text} today", "label": draw.choice("ab"), "score": draw.randint(0, 5)}
        lines.append(",".join(str(cells[column]) for column in columns.split(",")))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> dict[str, Path]:
    """A table for each objective, and models to start from and to learn from."""
    folder = tmp_path_factory.mktemp("small")
    for name, columns in (
        ("classify", "text,label"),
        ("labels", "text,label"),
        ("pairs", "first,second"),
        ("similarity", "first,second,score"),
    ):
        (folder / f"{name}.csv").write_text(rows_of(columns))
    (folder / "distill.csv").write_text(rows_of("text"))
    return {"data": folder, "run": runs / "sentence", "teacher": runs / "mtl"}


@pytest.fixture(scope="session")
def starts(small: dict[str, Path]) -> dict[str, Path]:
    """The same, also for a model of transformers."""
    from peers import write_peer  # seconds of import that the quick tests need not pay

    write_peer("bert", small["data"] / "bert", WORDS * 20)
    return {**small, "foreign": small["data"] / "bert"}


def start_of(small: dict[str, Path], start: str) -> tuple[object, ...]:
    if start == "scratch":
        return ("--init", start, *TINY[:-2])
    return ("--init", small.get(start, start))


def sentence(small: dict[str, Path], objective: str, start: str) -> tuple[object, ...]:
    more = ("--teacher", small["teacher"]) if objective == "distill" else ()
    data = small["data"] / f"{objective}.csv"
    return ("train-sentence", "--objective", objective, "--task", f"one={data}", *more, *start_of(small, start), *SHORT)


def several(small: dict[str, Path], *more: object, start: str = "run") -> tuple[object, ...]:
    data = small["data"] / "classify.csv"
    return ("train-mtl", "--task", f"one={data}", "--task", f"two={data}?limit=16", *start_of(small, start), *SHORT, *more)


def check(typed: Typed, forks: Forks, command: tuple[object, ...], folder: Path) -> None:
    """Trains twice; the second time it is killed in its second step, before anything is saved, and resumed."""
    out, other = folder / "one" / "run", folder / "two" / "run"
    answer = typed(*command, "--out", out)
    assert answer.code == 0, answer.err
    killed_in(2, forks, command, other)
    assert not list((other / "state").glob("step-*"))
    child = forks.start(*command, "--out", other, "--resume")
    assert child.wait() == 0, child.err
    assert not list(differences(other, out))


def test_pairs(small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    check(typed, forks, sentence(small, "pairs", "run"), tmp_path)


def test_labels(small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    check(typed, forks, (*sentence(small, "labels", "run"), "--epochs", 1), tmp_path)
    answer = typed(*sentence(small, "labels", "run"), "--epochs", 1, "--out", tmp_path / "x")
    following = shlex.split(answer.out.split("next: ")[1])
    source = f"one={small['data'] / 'labels.csv'}"
    assert following[2:] == ["--freeze", "backbone", "--task", source, "--init", str(tmp_path / "x")]
    answer = typed(*following[1:], "--out", tmp_path / "heads")
    assert answer.code == 0, answer.err
    assert "trained with the labels of these rows" in answer.err


def test_few_shot(small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    check(typed, forks, several(small, "--few-shot", "--epochs", 1), tmp_path)


def test_several_tasks(small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    check(typed, forks, several(small, "--schedule", "joint", "--balance", "torchjd:pcgrad"), tmp_path)


def test_a_base(small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    text = small["data"] / "distill.csv"
    check(typed, forks, ("pretrain", text, "--context", 8, *TINY[:-2], *SHORT, "--batch-tokens", 64), tmp_path)


def test_another_seed_gives_other_bytes(small: dict[str, Path], forks: Forks, tmp_path: Path) -> None:
    command = sentence(small, "pairs", "run")
    children = [forks.start(*command, "--seed", seed, "--out", tmp_path / str(seed) / "run") for seed in (0, 1)]
    assert [child.wait() for child in children] == [0, 0]
    assert any("model.safetensors" in one for one in differences(tmp_path / "0" / "run", tmp_path / "1" / "run"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("objective", ["classify", "labels", "pairs", "similarity", "distill"])
def test_every_objective_from_every_start(
    objective: str, start: str, starts: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path
) -> None:
    check(typed, forks, sentence(starts, objective, start), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_from_every_start(
    schedule: str, start: str, starts: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path
) -> None:
    check(typed, forks, several(starts, "--schedule", schedule, start=start), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", ["scratch", "run"])
@pytest.mark.parametrize("balance", BALANCES)
def test_every_balance(balance: str, start: str, small: dict[str, Path], typed: Typed, forks: Forks, tmp_path: Path) -> None:
    check(typed, forks, several(small, "--schedule", "joint", "--balance", balance, start=start), tmp_path)
