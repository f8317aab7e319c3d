"""A model for other tools: a folder of sentence-transformers, or an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mtlkit.config.inference import ExportFormat, ExportOptions
from mtlkit.data.tokenizer import PAD
from mtlkit.errors import UsageError
from mtlkit.inference.onnx_engine import HEAD, VECTOR
from mtlkit.model.description import is_foreign, write_checkpoint
from mtlkit.model.interop.head_files import write_heads
from mtlkit.model.interop.onnx_graph import write_graph
from mtlkit.model.interop.writing import Marks, Token, write_foreign
from mtlkit.recipes.checking import (
    Outputs,
    check_texts,
    largest_difference,
    onnx_outputs,
    our_outputs,
    sentence_transformers_outputs,
)
from mtlkit.recipes.finding import Found, find_model
from mtlkit.recipes.saving import command_line, plain
from mtlkit.recipes.weights import Weights, load_weights
from mtlkit.report.card import model_card
from mtlkit.report.export_use import FRONT, ONNX, sentence_transformers_use
from mtlkit.runs import GRAPH, RECORD, TOKENIZER, RunRecord, check_place, digest_of, finish, staged

PADS = (PAD, "[PAD]")  # what tokenizers call the token that fills up a batch


def write_sentence_transformers(folder: Path, weights: Weights) -> None:
    """All that SentenceTransformer reads, and the heads, which it does not."""
    write_foreign(folder, weights.model.backbone, weights.checkpoint.encoding, marks_of(weights))
    if weights.model.tasks:
        write_heads(folder, weights.model)


def marks_of(weights: Weights) -> Marks:
    """The special tokens of a model. A tokenizer without one for padding lends its last, which the mask hides as well."""
    tokenizer, encoder = weights.encoder.tokenizer, weights.encoder
    pad = next((token for name in PADS if (token := tokenizer.token_to_id(name)) is not None), encoder.eos)
    tokens = [Token(str(tokenizer.id_to_token(one)), one) for one in (pad, encoder.bos, encoder.eos)]
    return Marks(*tokens)


def write_onnx(folder: Path, weights: Weights) -> None:
    """A run in all but its weights, which are in the graph."""
    write_checkpoint(folder, weights.checkpoint)
    write_graph(weights.model, folder / GRAPH, [VECTOR, *(HEAD.format(task) for task in weights.model.tasks)])


@dataclass(frozen=True)
class Exporter:
    """A format: what writes it and what reads it back, the packages of each, and the files by which an export is known."""

    write: Callable[[Path, Weights], None]
    outputs: Callable[[Path, Weights, Sequence[str]], Outputs]
    needs: tuple[str, ...]
    checked_by: str
    record: str
    marks: tuple[str, ...]


EXPORTERS: dict[ExportFormat, Exporter] = {
    "sentence-transformers": Exporter(
        write_sentence_transformers,
        sentence_transformers_outputs,
        needs=(),
        checked_by="sentence_transformers",
        record="export.json",  # a run.json would make it a run of ours
        marks=("export.json", "modules.json"),
    ),
    "onnx": Exporter(
        write_onnx,
        onnx_outputs,
        needs=("onnx", "onnxscript", "onnxruntime"),
        checked_by="onnxruntime",
        record=RECORD,
        marks=(RECORD, GRAPH),
    ),
}


@dataclass(frozen=True)
class Choice:
    """The model to export, why, and the folder to write."""

    found: Found
    out: Path


@dataclass(frozen=True)
class Exported:
    """Where an export is, its heads, and its largest difference from the model (None: there was nothing to check it with)."""

    out: Path
    dim: int
    tasks: tuple[str, ...]
    difference: float | None


def choose_export(options: ExportOptions) -> Choice:
    """What is to be done, before any work. Raises UsageError for what cannot be."""
    exporter = EXPORTERS[options.format]
    for package in exporter.needs:
        if find_spec(package) is None:
            raise UsageError(f"--format {options.format} needs {package}; install it with: {installation(options.format)}")
    found = find_model(options.model, options.runs, ("mtl", "sentence", "base"), "export")
    if options.out is None and is_foreign(found.path):
        raise UsageError(f"{found.path} is no run of mtlkit, and nothing is written into it; name a folder for the export as DIR")
    out = options.out or found.path / options.format
    check_place(out, options.overwrite, option="DIR", what="export of this format", marks=exporter.marks)
    return Choice(found, out)


def installation(format: ExportFormat) -> str:
    """The command that installs what a format needs."""
    return f"pip install 'mtlkit[{format}]'"


def export(options: ExportOptions, choice: Choice | None = None) -> Exported:
    """Writes a model for other tools, compares it with the model on a few texts, and only then puts it in its place.

    Raises UsageError, and IntegrityError when it differs.
    """
    choice = choice or choose_export(options)
    found, out = choice.found, choice.out
    exporter = EXPORTERS[options.format]
    weights = load_weights(found.path)
    model, encoding = weights.model, weights.checkpoint.encoding
    with staged(out) as folder:
        exporter.write(folder, weights)
        weights.encoder.tokenizer.save(str(folder / TOKENIZER))
        difference = None
        if find_spec(exporter.checked_by) is not None:
            texts = check_texts(weights.encoder, cut=options.format == "onnx" or encoding.truncate != "head-tail")
            difference = largest_difference(our_outputs(weights, texts), exporter.outputs(folder, weights, texts))
        record = _record(options, found, weights)
        use, front = ONNX, ""
        if options.format == "sentence-transformers":
            use, front = sentence_transformers_use(encoding, bool(model.tasks)), FRONT
        card = model_card(record, model.backbone.architecture, tuple(model.tasks.values()), use, front)
        (folder / "README.md").write_text(card, encoding="utf-8")
        finish(folder, out, record, exporter.record)
    return Exported(out, model.backbone.architecture.dim, tuple(model.tasks), difference)


def _record(options: ExportOptions, found: Found, weights: Weights) -> RunRecord:
    """That of the model, but for how it was made and from what."""
    source = weights.record
    return RunRecord(
        weights.checkpoint.stage,
        command_line("export", options),
        plain(options),
        source.seed if source else 0,
        source.data if source else {},
        source.metrics if source else {},
        {"path": str(found.path), "digest": digest_of(found.path)},
    )
