"""A run with a head for numbers and a head for several labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exports import TEXTS, Export
from peers import write_peer

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.recipes.export import export
from mtlkit.recipes.exporting.job import Exported
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.recipes.train_sentence import train_sentence

WORDS = ["cat", "dog", "horse", "saw", "drill", "lathe"]
PLACES = ["river", "barn", "hill", "shelf"]


def odd_rows() -> list[tuple[str, float, list[str]]]:
    """Texts, a number for each (above 3 for animals), and its labels: "animal", "far" or neither, and `[/]` for some."""
    rows = []
    for number, word in enumerate(WORDS * 13):
        spot = PLACES[(number * 7) % 4]
        animal = word in WORDS[:3]
        labels = [
            *(["animal"] if animal else []),
            *(["far"] if spot in ("hill", "river") else []),
            *(["[/]"] if number % 4 == 0 else []),
        ]
        text = f"The {word} sleeps near the {spot}." if animal else f"A {word} lies broken on the {spot}."
        rows.append((text, (4.5 if animal else 1.5) + number % 3 / 4, labels))
    return rows


@pytest.fixture(scope="session")
def odd_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks `stars` (floats) and `tags` (lists) as folders of jsonl files."""
    folder = tmp_path_factory.mktemp("odd")
    for split, rows in (("train", odd_rows()[:60]), ("test", odd_rows()[60:])):
        for column, task in ((1, "stars"), (2, "tags")):
            (folder / task).mkdir(exist_ok=True)
            lines = [json.dumps({"text": row[0], "label": row[column]}) for row in rows]
            (folder / task / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def odd_run(runs: Path, odd_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that starts from the run with heads `kind` and `state`, without data for these."""
    options = TrainMtlOptions(
        task=[f"{name}={odd_data / name}" for name in ("stars", "tags")],
        init=str(runs / "mtl"),
        out=tmp_path_factory.mktemp("odd-run") / "run",
        head="mlp:16",
        epochs=20,
        batch_tokens=256,
        learning_rate=2e-3,
        head_rate=10.0,
    )
    return train_mtl(options).run


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT folder as the hub has them."""
    folder = tmp_path_factory.mktemp("peer") / "bert"
    write_peer("bert", folder, TEXTS * 20)
    return folder


@pytest.fixture(scope="session")
def sources(runs: Path, data: Path, peer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A causal base, a bidirectional model with two heads, a BERT trained on two tasks, and a model with weights of tokens
    and a tokenizer that folds case, distilled from that BERT and trained on two tasks."""
    out = tmp_path_factory.mktemp("fine-tuned")
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    common: dict[str, Any] = {"epochs": 1, "batch_tokens": 256}
    train_mtl(TrainMtlOptions(task=tasks, init=str(peer), out=out / "bert", head="mlp:16", truncate="tail", **common))
    distilled = TrainSentenceOptions(
        task=tasks[0],
        objective="distill",
        teacher=str(peer),
        token_init="teacher",
        lowercase=True,
        init="scratch",
        out=out / "distilled",
        layers=2,
        dim=32,
        heads=2,
        vocab_size=400,
        **common,
    )
    train_mtl(TrainMtlOptions(task=tasks, init=str(train_sentence(distilled).run), out=out / "weighted", **common))
    return {"causal": runs / "pretrain", "bidirectional": runs / "mtl", **{name: out / name for name in ("bert", "weighted")}}


@pytest.fixture(scope="session")
def exported(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports a model once: `exported("bert", "onnx")`."""
    exports: dict[tuple[str, str], Exported] = {}
    folder = tmp_path_factory.mktemp("exports")

    def make(kind: str, format: str) -> Exported:
        if (kind, format) not in exports:
            options = ExportOptions(model=str(sources[kind]), out=folder / f"{kind}-{format}", format=format)  # type: ignore[arg-type]
            exports[kind, format] = export(options)
        return exports[kind, format]

    return make
