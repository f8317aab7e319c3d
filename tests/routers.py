"""A run with a router, for tests of commands that read one."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from support import rows_of, write

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.model.checkpoint import save_model
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.runs.record import TOKENIZER
from mtlkit.runs.staging import finish, staged
from mtlkit.training.objectives.router import fit_router

THINGS = ("film", "play", "song", "book", "meal", "walk", "talk", "game")
MOODS = {"What a wonderful {}, I loved it!": "good", "Never again such a {}, I hated it!": "bad"}


def routed_run(folder: Path, runs: Path, data: Path) -> Path:
    """A run with heads for `kind` and `mood`, whose texts are of different sorts, a router to these, and a head for `state`,
    which the router does not know."""
    rows = [[text.format(thing), mood] for thing in THINGS for text, mood in MOODS.items()]
    for split, part in (("train", rows[:12] * 3), ("test", rows[12:])):
        write(folder / "mood" / f"{split}.csv", [["text", "label"], *part])
    sources = {"kind": data / "kind", "state": data / "state", "mood": folder / "mood"}
    tasks = [f"{name}={source}" for name, source in sources.items()]
    plain = folder / "plain"
    options = TrainMtlOptions(
        task=tasks, init=str(runs / "pretrain"), out=plain, freeze=["backbone"], epochs=20, batch_tokens=256, head_rate=100.0
    )
    train_mtl(options)
    weights, loaded = load_weights(plain), load(plain)
    texts = {name: [row[0] for row in rows_of(source / "train.csv")[1:]] for name, source in sources.items() if name != "state"}
    weights.model.router = fit_router({name: torch.from_numpy(loaded.embed(own)) for name, own in texts.items()})
    assert weights.record is not None
    with staged(folder / "run") as place:
        save_model(weights.model, place, "mtl", weights.checkpoint.encoding)
        shutil.copy(plain / TOKENIZER, place / TOKENIZER)
        finish(place, folder / "run", weights.record)
    return folder / "run"
