"""Which options of `train-sentence` do not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.train_sentence import train_sentence

SCRATCH: dict[str, Any] = {"init": "scratch", "layers": 1, "dim": 32, "heads": 2}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"objective": "distill"}, "--objective distill needs a --teacher, such as --teacher sentence-transformers/all-MiniLM-L6-v2"),
    (
        {"objective": "pairs", "teacher": "mini"},
        "--teacher is for --objective distill, and this is pairs; remove one of them",
    ),
    (
        {"objective": "classify", "teacher": "mini"},
        "--teacher is for --objective distill, and this is classify; remove one of them",
    ),
    (
        {"objective": "similarity", "token_init": "teacher"},
        "--token-init teacher is for --objective distill, and this is similarity; remove one of them",
    ),
    (
        {"objective": "classify", "token_init": "teacher"},
        "--token-init teacher is for --objective distill, and this is classify; remove one of them",
    ),
    (
        {"objective": "classify", "matryoshka": "16"},
        "--matryoshka does not apply to --objective classify, which trains a head; choose another objective",
    ),
    (
        {"objective": "pairs", "matryoshka": "64,16"},
        "--matryoshka '64,16' is not a list of lengths; give numbers from 1 to 32, such as 128,64",
    ),
    (
        {"objective": "pairs", "freeze": ["backbone"]},
        "--freeze backbone leaves nothing to train: --objective pairs has no head; remove one of them",
    ),
    (
        {"objective": "pairs", "freeze": ["head:one"]},
        "--freeze head:one is for --objective classify, and pairs trains no head; remove one of them",
    ),
    (
        {"objective": "similarity", "head": "mlp:8"},
        "--head mlp:8 is for --objective classify, and similarity trains no head; remove one of them",
    ),
    (
        {"objective": "pairs", "cap": "10"},
        "--cap 10 is for --objective classify; cut the data of pairs with ?limit=N in --task",
    ),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_options_that_do_not_go_together_are_refused_before_data_is_read(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        train_sentence(TrainSentenceOptions(**{**SCRATCH, "task": "one=not-there.csv", "out": tmp_path / "run", **given}))
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_trained_table_is_not_replaced_by_the_teachers(runs: Path, tmp_path: Path) -> None:
    start = runs / "sentence"
    given = TrainSentenceOptions(
        objective="distill",
        teacher=str(start),
        token_init="teacher",
        init=str(start),
        task="one=not-there.csv",
        out=tmp_path / "run",
    )
    with pytest.raises(UsageError) as caught:
        train_sentence(given)
    assert str(caught.value) == f"--token-init teacher is for fresh weights, and {start} has its own; add --init scratch"
