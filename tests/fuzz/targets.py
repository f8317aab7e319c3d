"""The readers to fuzz, one per kind of input, and damaged inputs for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random

import typer
from fuzz import sound as inputs
from fuzz import stores, tables
from fuzz.folders import SIDECARS, write_sidecars
from fuzz.mutations import damage

import mtlkit
from mtlkit.cli.options.command import add_command
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import MtlkitError
from mtlkit.inference.load_weights import read_description
from mtlkit.report.log_reader import read_curves
from mtlkit.runs.checkpoints import CheckpointManager


@dataclass(frozen=True)
class Target:
    """A kind of input: writes an intact one into a folder, and reads it from there.

    `seal` makes the digests that it holds fit its files as they are, in a `share` of the inputs. `names` are the files that are
    damaged; all, where none are given.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], None]
    seal: Callable[[Path], None] | None = None
    share: float = 0.85
    names: tuple[str, ...] = ()


def read_model(folder: Path) -> None:
    """Reads a model as `embed` and `predict` do."""
    read_description(folder)
    model = mtlkit.load(folder, backend="auto" if (folder / "model.onnx").is_file() else "torch")
    model.embed(inputs.TEXTS)
    if model.tasks:
        model.predict(inputs.TEXTS)


def command(options: TrainMtlOptions, as_json: bool) -> None:
    """Accepts options like a command."""


def read_toml(folder: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_command(app, "train-mtl", TrainMtlOptions, command, [])
    try:
        app(["train-mtl", "--config", str(folder / "options.toml")], standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's own complaint about an option
            raise
        raise MtlkitError(error.format_message()) from None


def read_log(folder: Path) -> None:
    """Reads a log as `curves` does."""
    read_curves(folder / "metrics.jsonl").to_json()


def read_state(folder: Path) -> None:
    """Reads a checkpoint as resuming a training does."""
    states = CheckpointManager(folder)
    states.peek()
    state, _ = states.newest()
    states.cut_log(state)
    if states.newest()[0] is None:
        raise MtlkitError("no state is left")


RECORDS = ("run.json", "manifest.json")  # with digests of the other files
TARGETS: dict[str, Target] = {
    "run": Target(inputs.write_run, read_model, inputs.seal_run),
    "compact": Target(lambda folder: inputs.write_run(folder, compact=True), read_model, inputs.seal_run),
    **(
        {"graph": Target(inputs.write_graph, read_model, inputs.seal_run)}
        if find_spec("onnx") and find_spec("onnxruntime")
        else {}
    ),
    "bert": Target(inputs.write_bert, read_model),
    "export": Target(inputs.write_export, read_model),
    **{
        f"{name}-files": Target(partial(write_sidecars, kind, class_name=class_name, vocabulary=old), read_model, names=SIDECARS)
        for name, kind, class_name, old in (
            ("bert", "bert", "BertTokenizer", False),
            ("bert-old", "bert", "BertTokenizerFast", True),
            ("roberta", "roberta", "PreTrainedTokenizerFast", False),
            ("roberta-old", "roberta", "RobertaTokenizer", True),
        )
    },
    **{kind: Target(tables.write_rows(kind), tables.read_rows) for kind in tables.FILES},
    "sources": Target(tables.write_sources, tables.read_sources, tables.seal_sources, names=("run/config.json",)),
    **{kind: Target(partial(stores.write, kind), partial(stores.read, kind), stores.seal, 0.4) for kind in stores.COMPUTED},
    "writer": Target(stores.write_note, stores.read_note),
    "toml": Target(inputs.write_toml, read_toml),
    "state": Target(inputs.write_state, read_state, inputs.seal_state),
    "log": Target(inputs.write_log, read_log),
}


def damaged_copy(kind: str, sound: Path, folder: Path, random: Random) -> None:
    """Copies an intact input to `folder` with one or two files damaged. In most cases the digests of a record are updated to
    match."""
    target = TARGETS[kind]
    names = sorted(path.relative_to(sound).as_posix() for path in sound.rglob("*") if path.is_file())
    damaged = [name for name in names if name in target.names] or names
    chosen = set(random.sample(damaged, min(len(damaged), random.choice((1, 1, 1, 2)))))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name in chosen:
            (folder / name).write_bytes(damage(name, (sound / name).read_bytes(), random))
        else:
            shutil.copyfile(sound / name, folder / name)
    if target.seal and not any(Path(name).name in RECORDS for name in chosen) and random.random() < target.share:
        target.seal(folder)
