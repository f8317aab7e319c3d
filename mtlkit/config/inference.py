"""Options of the commands that use a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import DATA, MACHINE, MODEL, MachineOptions, OnBadRow, PromptOptions
from mtlkit.config.export_formats import EXPORT_FORMATS
from mtlkit.config.option import option
from mtlkit.config.training import OBJECTIVE

OUTPUT = "Output"
InferencePrecision = Literal["auto", "fp32", "bf16", "int8"]
Backend = Literal["auto", "torch", "onnx"]


def run_argument(help: str) -> Any:
    """The run that a command looks at."""
    return option(None, help, panel=MODEL, positional=True, metavar="RUN", default_text="the newest run")


def runs_folder() -> Any:
    """Where the newest run is found."""
    return option(Path("runs"), "Where runs are looked for.", panel=MODEL)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(PromptOptions, MachineOptions):
    """Every command that reads a model has these."""

    model: str | None = option(
        None, "Folder of a run or of a Hugging Face model, or a hub id.", panel=MODEL, default_text="the newest run"
    )
    runs: Path = runs_folder()
    precision: InferencePrecision = option(
        "auto", "Arithmetic; auto is bf16 on CUDA and fp32 elsewhere; int8 is the fastest on a CPU.", panel=MACHINE
    )
    backend: Backend = option("auto", "What runs the model; auto takes what is installed and fastest for the job.", panel=MACHINE)
    encoding: str | None = option(None, "Encoding of text files.", panel=DATA, default_text="as the model's data, else utf-8")


@dataclass(frozen=True, kw_only=True)
class TextOptions(ModelOptions):
    """Where texts come from."""

    texts: list[str] = option([], "Texts; a lone '-' reads them from standard input, one a line.", panel=DATA, positional=True)
    input: Path | None = option(
        None,
        "File of texts, as a source of --task: csv, jsonl, parquet, txt, ..., compressed or remote; '-' is standard input.",
        panel=DATA,
    )
    column: str | None = option(
        None,
        "Column of --input that holds the text; join several with '+'.",
        panel=DATA,
        default_text="found by its name",
    )


@dataclass(frozen=True, kw_only=True)
class VectorOptions(CheckedOptions):
    """Which vectors are meant, wherever vectors are asked for."""

    dim: int | None = option(
        None,
        "Keep the first N numbers of each vector, for which --matryoshka trains it.",
        panel=MODEL,
        metavar="N",
        minimum=1,
        default_text="as the model has it, else all of them",
    )


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(VectorOptions, TextOptions):
    """Options of `mtlkit embed`."""

    output: Path | None = option(
        None, "Write vectors to a .npy, .jsonl, .parquet or .safetensors file.", panel=OUTPUT, short="-o"
    )
    normalize: bool = option(False, "Scale vectors to length 1.", panel=OUTPUT)
    similarity: bool = option(
        False,
        "Give the similarity of every pair of texts (the cosine, unless the model has another), in place of vectors.",
        panel=OUTPUT,
    )
    batch_tokens: int | None = option(
        None, "Tokens of a batch.", panel=OUTPUT, minimum=8, default_text="3072 on a CPU, 65536 on a GPU"
    )
    resume: bool = option(False, "Continue an unfinished run of the same --output.", panel=OUTPUT)
    overwrite: bool = option(False, "Replace --output, and discard what an unfinished run of it did.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class PredictOptions(TextOptions):
    """Options of `mtlkit predict`."""

    task: str | None = option(
        None, "Ask one head.", panel=MODEL, default_text="those that the run's router finds fitting, else all"
    )


@dataclass(frozen=True, kw_only=True)
class EvalOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit eval`. `sts` and `probe` measure vectors, and leave heads alone."""

    task: list[str] = option(
        [],
        "Data for a head or for --probe, NAME=SOURCE; repeatable.",
        panel=DATA,
        metavar="NAME=SOURCE",
        default_text="the run's data; for --probe, else the samples",
    )
    sts: list[str] = option(
        [],
        "Pairs of sentences with scores: measure how well the similarity of their vectors follows these; repeatable.",
        panel=OBJECTIVE,
        metavar="SOURCE",
    )
    probe: bool = option(
        False, "Train a logistic regression on the frozen vectors of each task, and score that instead of heads.", panel=OBJECTIVE
    )
    text: list[str] = option(
        [], "Texts to measure a base's perplexity on.", panel=DATA, metavar="SOURCE", default_text="the run's held-out"
    )
    split: Literal["test", "validation", "train"] = option("test", "Which rows to evaluate on.", panel=DATA)
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA)
    confusion: bool = option(False, "Show confusion matrices and the pairs most often confused.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CheckedOptions):
    """Options of `mtlkit export`."""

    model: str | None = run_argument("Folder of a run or of a Hugging Face model, or a hub id.")
    out: Path | None = option(
        None,
        "Folder of the export.",
        panel=OUTPUT,
        positional=True,
        metavar="DIR",
        default_text="in the run, named as the format",
    )
    runs: Path = runs_folder()
    format: str = option(
        "sentence-transformers",
        "A folder that SentenceTransformer(DIR) loads, a base as a folder for text generation with transformers, an ONNX graph "
        "with every head, or a run in a quarter of the bytes.",
        panel=OUTPUT,
        choices=EXPORT_FORMATS,
    )
    card: Path | None = option(None, "A file of Markdown that goes into the model card.", panel=OUTPUT)
    overwrite: bool = option(False, "Replace an export of the same format in DIR.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class CurvesOptions(CheckedOptions):
    """Options of `mtlkit curves`."""

    run: Path | None = run_argument("Folder of a run, or a metrics.jsonl.")
    runs: Path = runs_folder()
    output: Path | None = option(None, "Draw the curves to an .svg or .png file.", panel=OUTPUT, short="-o")
    overwrite: bool = option(False, "Replace --output where it exists.", panel=OUTPUT)
    smooth: int | None = option(
        None,
        "Steps of a task that a smoothed loss stands for; 1 is no smoothing.",
        panel=OUTPUT,
        metavar="N",
        minimum=1,
        default_text="the square root of their number",
    )


@dataclass(frozen=True, kw_only=True)
class InfoOptions(CheckedOptions):
    """Options of `mtlkit info`."""

    run: Path | None = run_argument("Folder of a run, of an export or of a training that is not finished; or mini.")
    runs: Path = runs_folder()
    caches: bool = option(False, "List all caches with their sizes, in place of a run.", panel=OUTPUT)
    clear_caches: bool = option(False, "Remove all caches that no running process uses.", panel=OUTPUT)
