"""Options of the commands that use a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import DATA, ENCODINGS, MACHINE, MODEL, MachineOptions, OnBadRow, PromptOptions
from mtlkit.config.option import COMMON, option
from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.config.training import OBJECTIVE

OUTPUT = "Output"
InferencePrecision = Literal["auto", "fp32", "bf16", "int8"]
Backend = Literal["auto", "torch", "onnx"]


def run_argument(help: str) -> Any:
    """The run that a command looks at."""
    return option(None, help, panel=COMMON, positional=True, metavar="RUN", default_text="the newest run", complete="run")


def runs_folder() -> Any:
    """Where the newest run is found."""
    return option(Path("runs"), "Folder with your runs.", panel=MODEL, metavar="DIR")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(PromptOptions, MachineOptions):
    """Every command that reads a model has these."""

    model: str | None = option(
        None,
        "Folder of a run or of a Hugging Face model, a hub id, or mini.",
        metavar="MODEL",
        panel=COMMON,
        default_text="the newest run",
        complete="run",
    )
    runs: Path = runs_folder()
    precision: InferencePrecision = option(
        "auto", "Number format; auto is bf16 on CUDA and fp32 elsewhere; int8 is fastest on a CPU.", panel=MACHINE
    )
    backend: Backend = option(
        "auto", "Library that runs the model; auto picks the fastest one installed.", panel=MACHINE, advanced=True
    )
    encoding: str | None = option(
        None,
        "Encoding of text files.",
        metavar="NAME",
        panel=DATA,
        default_text="as the model's data, else utf-8",
        complete=ENCODINGS,
        rank=1,
    )


@dataclass(frozen=True, kw_only=True)
class TextOptions(ModelOptions):
    """Where texts come from."""

    texts: list[str] = option(
        [], "Texts; a single '-' reads them from standard input, one per line.", panel=COMMON, positional=True
    )
    input: Path | None = option(
        None,
        "File of texts: csv, jsonl, parquet, txt, ..., compressed or remote; '-' is standard input.",
        metavar="FILE",
        panel=COMMON,
        rank=1,
        complete="file",
    )
    column: str | None = option(
        None,
        "Column of --input with the text; join several with '+'.",
        metavar="NAME",
        panel=COMMON,
        rank=1,
        default_text="found by its name",
    )


@dataclass(frozen=True, kw_only=True)
class VectorOptions(CheckedOptions):
    """Which vectors are meant, wherever vectors are asked for."""

    dim: int | None = option(
        None,
        "Keep the first N numbers of each vector; for models trained with --matryoshka.",
        panel=MODEL,
        metavar="N",
        minimum=1,
        default_text="the model's own, else all",
    )


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(VectorOptions, TextOptions):
    """Options of `mtlkit embed`."""

    output: Path | None = option(
        None,
        "Write vectors to a .npy, .jsonl, .parquet or .safetensors file.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=2,
        complete="file",
    )
    similarity: bool = option(False, "Print the similarity of every pair of texts instead of vectors.", panel=COMMON, rank=3)
    normalize: bool = option(False, "Scale vectors to length 1.", panel=OUTPUT)
    resume: bool = option(False, "Continue an unfinished run of the same --output.", panel=OUTPUT)
    overwrite: bool = option(False, "Replace --output and discard unfinished parts of it.", panel=OUTPUT)
    batch_tokens: int | None = option(
        None, "Tokens per batch.", panel=MACHINE, minimum=8, default_text="3072 on a CPU, 65536 on a GPU", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class PredictOptions(TextOptions):
    """Options of `mtlkit predict`."""

    task: str | None = option(
        None,
        "Predict with one head only.",
        metavar="NAME",
        panel=COMMON,
        rank=2,
        default_text="the heads that the router picks, else all",
        complete="task",
    )


@dataclass(frozen=True, kw_only=True)
class EvalOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit eval`. `sts` and `probe` measure vectors, and leave heads alone."""

    task: list[str] = option(
        [],
        "Data for a head or for --probe; repeatable.",
        panel=COMMON,
        metavar="NAME=SOURCE",
        default_text="the run's data; for --probe, else the samples",
        rank=1,
        complete="source",
    )
    split: Literal["test", "validation", "train"] = option("test", "Rows to evaluate on.", panel=COMMON, rank=2)
    confusion: bool = option(False, "Show confusion matrices and the most confused pairs.", panel=COMMON, rank=3)
    output: Path | None = option(
        None,
        "With --confusion: write the whole matrices to a .csv file.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=4,
        complete="file",
    )
    sts: list[str] = option(
        [],
        "Sentence pairs with scores: measure how well the similarity of their vectors follows the scores; repeatable.",
        panel=OBJECTIVE,
        metavar="SOURCE",
        complete="source",
    )
    probe: bool = option(
        False, "Train a logistic regression on frozen vectors of each task and score that instead of heads.", panel=OBJECTIVE
    )
    text: list[str] = option(
        [],
        "Texts to measure a base's perplexity on; repeatable.",
        panel=DATA,
        metavar="SOURCE",
        default_text="the run's held-out texts",
        complete="source",
    )
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA, rank=1)
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CheckedOptions):
    """Options of `mtlkit export`."""

    model: str | None = run_argument("Folder of a run or of a Hugging Face model, or a hub id.")
    out: Path | None = option(
        None,
        "Folder to write the export to.",
        panel=COMMON,
        positional=True,
        metavar="DIR",
        default_text="in the run, named after the format",
        rank=1,
        complete="file",
    )
    format: str = option(
        "sentence-transformers",
        "sentence-transformers: for SentenceTransformer(DIR). transformers: a base for text generation. onnx: a graph with "
        "every head. compact: a run in a quarter of the bytes.",
        panel=COMMON,
        rank=2,
        choices=EXPORT_FORMATS,
    )
    runs: Path = runs_folder()
    card: Path | None = option(None, "Markdown file to include in the model card.", metavar="FILE", panel=OUTPUT, complete="file")
    overwrite: bool = option(False, "Replace an export of the same format in DIR.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class CurvesOptions(CheckedOptions):
    """Options of `mtlkit curves`."""

    run: Path | None = run_argument("Folder of a run, or a metrics.jsonl file.")
    output: Path | None = option(
        None, "Write the curves to an .svg or .png file.", metavar="FILE", panel=COMMON, short="-o", rank=1, complete="file"
    )
    smooth: int | None = option(
        None,
        "Average the loss over N steps (1 = no smoothing).",
        panel=COMMON,
        metavar="N",
        minimum=1,
        default_text="the square root of the number of steps",
        rank=2,
    )
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class InfoOptions(CheckedOptions):
    """Options of `mtlkit info`."""

    run: Path | None = run_argument("Folder of a run, an export or an unfinished training; or mini.")
    caches: bool = option(False, "List all caches and their sizes instead of a run.", panel=COMMON, rank=1)
    clear_caches: bool = option(False, "Remove all caches that no running process uses.", panel=COMMON, rank=2)
    runs: Path = runs_folder()
