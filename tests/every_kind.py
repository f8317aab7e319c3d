"""A run with a head of every kind of task, solved or trained briefly on a frozen backbone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ANIMALS, PLACES, TOOLS

import mtlkit

KINDS = ("classification", "multi-label", "regression", "ordinal", "pair", "tokens")


def rows_of(kind: str) -> Iterator[dict[str, Any]]:
    """Rows that a head can learn in part: each animal and tool in each place, with some labels that are wrong."""
    for number, (word, place) in enumerate((word, place) for place in PLACES for word in (*ANIMALS, *TOOLS)):
        text, animal, odd = f"The {word} lies near the {place}.", word in ANIMALS, number % 9 == 0
        if kind == "classification":
            yield {"text": text, "label": "animal" if animal != odd else "tool"}
        elif kind == "multi-label":
            yield {"text": text, "label": [*(["animal"] if animal else []), *(["far"] if "r" in place and not odd else [])]}
        elif kind == "regression":
            yield {"text": text, "label": (4.25 if animal else 1.5) + number % 4 / 4}
        elif kind == "ordinal":
            yield {"text": text, "label": ("low", "mid", "high")[animal + (len(place) > 4)]}
        elif kind == "pair":
            yield {
                "text": text,
                "other": f"A {(ANIMALS, TOOLS)[number % 2][number % 8]}.",
                "label": "same" if animal == (number % 2 == 0) else "new",
            }
        else:
            words, tag = text.rstrip(".").split(), "B-animal" if animal != odd else "B-tool"
            yield {"words": words, "tags": [tag if one == word else "O" for one in words]}


KEYS = {"ordinal": "?kind=ordinal&order=low,mid,high", "pair": "?pair=text,other", "tokens": "?tokens=words&tags=tags"}


def write_every_kind(folder: Path) -> list[str]:
    """Writes the data, and returns the values of `--task`."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        rows = list(rows_of(kind))
        for split, own in (("train", rows[:56]), ("test", rows[56:])):
            (folder / kind / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    return [f"{kind}={folder / kind}{KEYS.get(kind, '')}" for kind in KINDS]


@pytest.fixture(scope="session")
def train_every_kind(runs: Path) -> Callable[..., Path]:
    """Trains heads of every kind: `train_every_kind(tasks, out, seed=1)`."""

    def train(tasks: list[str], out: Path, **options: Any) -> Path:
        mtlkit.train_mtl(
            task=tasks, init=str(runs / "sentence"), freeze=["backbone"], epochs=2, batch_tokens=256, out=out, **options
        )
        return out

    return train


@pytest.fixture(scope="session")
def every_kind(train_every_kind: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, the run `one`, and `two` with other heads for the same tasks."""
    folder = tmp_path_factory.mktemp("every-kind")
    tasks = write_every_kind(folder / "data")
    train_every_kind(tasks, folder / "one")
    train_every_kind(tasks, folder / "two", head="mlp:16", seed=1)
    return folder
