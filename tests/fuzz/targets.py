"""What is fuzzed: small real inputs of each kind, and what reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow
import torch
import typer
from fuzz.mutations import damage
from peers import write_peer
from pyarrow import parquet

import mtlkit
from mtlkit.cli.options import add_command
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.training import TrainMtlOptions
from mtlkit.data.grammar import parse_source
from mtlkit.data.readers import Tally
from mtlkit.data.sources import open_source
from mtlkit.data.tables import Reading, read_split
from mtlkit.data.text_files import count_rows, read_column
from mtlkit.data.tokenizer import Encoding, TextEncoder, train_tokenizer
from mtlkit.errors import MtlkitError
from mtlkit.model.checkpoint import save_model
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.head_files import write_heads
from mtlkit.model.interop.writing import write_foreign
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.exporters import marks_of
from mtlkit.recipes.weights import Weights, describe
from mtlkit.report.series import read_curves
from mtlkit.runs import RunRecord, file_digest, finish

TEXTS = ["The cat sleeps near the river.", "A saw lies on the bench.", "Ελλάς 日本 🦦", "", 'One, "two"\nthree']
ROWS = [
    (text, label, float(place)) for place in range(8) for text, label in zip(TEXTS, ["a", "01", "[/]", "é", "b"], strict=True)
]
TOML = """seed = 3
task = ["kind=sample:topic", "state=data/state"]
epochs = 2
learning-rate = 3e-4
freeze = "backbone"
overwrite = true
head = "mlp:16"
runs = "runs"
"""


@dataclass(frozen=True)
class Target:
    """A kind of input: writes a sound one into a folder, and reads what stands there."""

    write: Callable[[Path], None]
    read: Callable[[Path], None]
    sealed: bool = False  # whether a record holds digests of its files


def tiny() -> tuple[MultiTaskModel, TextEncoder]:
    torch.manual_seed(0)
    encoder = TextEncoder(train_tokenizer(TEXTS * 20, 300), Encoding(32))
    tasks = [
        TaskSpec("topic", "classification", ("animal", "tool")),
        TaskSpec("tags", "multi-label", ("a", "b", "c"), "mlp:16"),
        TaskSpec("stars", "regression", (), center=3.0, spread=1.5),
    ]
    shape = Architecture(encoder.tokenizer.get_vocab_size(), 2, 16, 2, 32, "bidirectional", pooling="weighted")
    return MultiTaskModel(Encoder(shape), tasks, ("topic", "tags")).eval(), encoder


def write_run(folder: Path, *, compact: bool = False) -> None:
    model, encoder = tiny()
    inside = folder.with_name("staged")
    inside.mkdir()
    save_model(model, inside, "mtl", encoder.encoding, compact=compact)
    encoder.tokenizer.save(str(inside / "tokenizer.json"))
    folder.rmdir()
    finish(inside, folder, RunRecord("mtl", "mtlkit train-mtl", {"epochs": 1}, 0, {"topic": {"source": "a.csv"}}, {}))


def write_export(folder: Path) -> None:
    model, encoder = tiny()
    weights = Weights(model, None, encoder, None)  # type: ignore[arg-type]
    object.__setattr__(weights, "checkpoint", _Described(model.backbone.architecture))
    write_foreign(folder, model.backbone, encoder.encoding, marks_of(weights))
    write_heads(folder, model)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))


@dataclass(frozen=True)
class _Described:
    architecture: Architecture


def write_bert(folder: Path) -> None:
    write_peer("bert", folder, TEXTS * 10)
    modules = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
    modules += [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))


def read_model(folder: Path) -> None:
    """What `embed` and `predict` do."""
    describe(folder)
    model = mtlkit.load(folder)
    model.embed(TEXTS)
    if model.tasks:
        model.predict(TEXTS)


def write_rows(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        separator = "\t" if name.endswith("tsv") else ","
        lines = [separator.join(['"' + str(cell).replace('"', '""') + '"' for cell in row]) for row in ROWS]
        records = [json.dumps(dict(zip(("text", "label", "score"), row, strict=True))) for row in ROWS]
        kind = name.rpartition(".")[2]
        if kind == "parquet":
            columns = {
                "text": [row[0] for row in ROWS],
                "label": [row[0] and 1 for row in ROWS],
                "score": [row[2] for row in ROWS],
            }
            columns["label"] = [place % 2 for place in range(len(ROWS))]
            features = {"label": {"names": ["a", "b"], "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
            table = pyarrow.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            parquet.write_table(table, folder / name, row_group_size=16)
        elif kind in ("csv", "tsv"):
            (folder / name).write_text("\n".join([separator.join(("text", "label", "score")), *lines]) + "\n", encoding="utf-8")
        else:
            (folder / name).write_text("\n".join(records if kind == "jsonl" else TEXTS * 8) + "\n", encoding="utf-8")

    return write


def read_rows(folder: Path) -> None:
    """What training does with a file, and what `embed --input` does; refused is what is refused by all of them."""
    (path,) = folder.iterdir()
    errors, ways = [], 0
    for encoding, on_bad_row in (("utf-8", "error"), ("utf-8", "skip"), ("utf-16", "skip")):
        for way in (table, column_of):
            ways += 1
            try:
                way(path, encoding, on_bad_row)
            except MtlkitError as error:
                errors.append(error)
    if len(errors) == ways:
        raise errors[0]


def table(path: Path, encoding: str, on_bad_row: str) -> None:
    address, query = parse_source(str(path))
    read_split(open_source(address, query), query, "train", Reading(encoding, on_bad_row, Tally()))  # type: ignore[arg-type]


def column_of(path: Path, encoding: str, on_bad_row: str) -> None:
    count_rows(path)
    for _ in read_column(path, {"error": None, "skip": "text"}[on_bad_row], encoding):
        pass


def given(options: TrainMtlOptions, as_json: bool) -> None:
    """Takes options as a command does."""


def read_toml(folder: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_command(app, "train-mtl", TrainMtlOptions, given, [])
    try:
        app(["train-mtl", "--config", str(folder / "options.toml")], standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's own complaint about an option
            raise
        raise MtlkitError(error.format_message()) from None


def write_log(folder: Path) -> None:
    lines = [{"step": 1, "losses": {"topic": 0.7}, "gradient_norm": 1.0}, {"step": 2, "losses": {"topic": 0.5, "guard:x": 0.1}}]
    state = {"task": "topic", "kind": "classification", "validation": {"loss": 0.6, "accuracy": 0.5}}
    content = "\n".join(json.dumps(line) for line in [*lines, {"step": 2, "epoch": 1, "tasks": [state]}] * 4)
    (folder / "metrics.jsonl").write_text(content + "\n")


TARGETS: dict[str, Target] = {
    "run": Target(write_run, read_model, sealed=True),
    "compact": Target(lambda folder: write_run(folder, compact=True), read_model, sealed=True),
    "bert": Target(write_bert, read_model),
    "export": Target(write_export, read_model),
    **{kind: Target(write_rows(f"rows.{kind}"), read_rows) for kind in ("csv", "tsv", "jsonl", "parquet", "txt")},
    "toml": Target(lambda folder: (folder / "options.toml").write_text(TOML) and None, read_toml),  # type: ignore[func-returns-value]
    "log": Target(write_log, lambda folder: read_curves(folder / "metrics.jsonl").to_json() and None),  # type: ignore[func-returns-value]
}


def place(kind: str, sound: Path, folder: Path, random: Random) -> None:
    """A copy of a sound input in `folder` with one or two files damaged, the digests of a record made to fit in most cases."""
    names = sorted(path.relative_to(sound).as_posix() for path in sound.rglob("*") if path.is_file())
    chosen = set(random.sample(names, min(len(names), random.choice((1, 1, 1, 2)))))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name in chosen:
            (folder / name).write_bytes(damage(name, (sound / name).read_bytes(), random))
        else:
            shutil.copyfile(sound / name, folder / name)
    if TARGETS[kind].sealed and "run.json" not in chosen and random.random() < 0.85:
        record = json.loads((folder / "run.json").read_bytes())
        record["files"] = {name: file_digest(folder / name) for name in record["files"]}
        (folder / "run.json").unlink()
        (folder / "run.json").write_text(json.dumps(record))
