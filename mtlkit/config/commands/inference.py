"""Options of the commands that run a model: embed, predict and eval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import (
    DATA,
    ENCODINGS,
    MACHINE,
    MODEL,
    OBJECTIVE,
    OUTPUT,
    MachineOptions,
    OnBadRow,
    PromptOptions,
    run_argument,
    runs_folder,
)
from mtlkit.config.option import COMMON, finite, option
from mtlkit.errors import UsageError, shorten

InferencePrecision = Literal["auto", "fp32", "bf16", "int8"]
Backend = Literal["auto", "torch", "onnx"]


def parse_retrieval(text: str) -> tuple[str, str, str]:
    """The sources in a value of `--retrieval`: queries, corpus, relevance judgements. Raises UsageError."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise UsageError(
            f"--retrieval {shorten(text)!r} is not three files; give queries, corpus and relevance judgements, such as "
            "queries.jsonl,corpus.jsonl,qrels.tsv"
        )
    return parts[0], parts[1], parts[2]


def parse_reject(text: str) -> float | Literal["auto"]:
    """The value of `--reject`. Raises UsageError."""
    if text == "auto":
        return "auto"
    rate = finite(text)
    if rate is None or not 0 <= rate < 1:
        raise UsageError(f"--reject {shorten(text)!r} is not auto or a share of texts; use a number from 0 up to 1, such as 0.05")
    return rate


@dataclass(frozen=True, kw_only=True)
class ModelOptions(PromptOptions, MachineOptions):
    """Options of every command that reads a model."""

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
    """Options for the texts to read."""

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
    """Options of every command that computes vectors."""

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
    pair: str | None = option(
        None,
        "For heads that read pairs of texts: the first text, before the second; with --input, its two columns.",
        metavar="FIRST SECOND|COLUMN,COLUMN",
        panel=COMMON,
        rank=2,
        default_text="with --input, the columns of the training data",
    )
    reject: str | None = option(
        None,
        "Reject texts that fit no class: the share of fitting texts that may be lost, such as 0.05, or auto (0.05).",
        panel=COMMON,
        metavar="RATE|auto",
        rank=3,
        parse=parse_reject,
        complete=("auto",),
    )


@dataclass(frozen=True, kw_only=True)
class EvalOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit eval`. `sts`, `probe` and `retrieval` evaluate vectors instead of heads."""

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
    run: str | None = run_argument("Folder of a run, or another model, as --model takes it.")
    against: str | None = option(
        None,
        "Compare with another model on the same rows: intervals of the differences, McNemar's test.",
        metavar="MODEL",
        panel=COMMON,
        rank=3,
        complete="run",
    )
    worst_first: bool = option(False, "Show the classes with the lowest F1 first.", panel=COMMON, rank=3)
    calibration: bool = option(
        False, "Show how often predictions of each confidence are right: a reliability table.", panel=COMMON, rank=3
    )
    output: Path | None = option(
        None,
        "With --confusion: write the whole matrices to a .csv file. With --calibration: draw a .png, .svg or .pdf picture.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=4,
        complete="file",
    )
    errors: Path | None = option(
        None,
        "Write the misclassified rows, with probabilities, to a .csv, .jsonl or .parquet file.",
        metavar="FILE",
        panel=COMMON,
        rank=4,
        complete="file",
    )
    out_of_scope: str | None = option(
        None,
        "Texts that fit no class of any head: measure how well predict --reject recognizes them.",
        metavar="SOURCE",
        panel=COMMON,
        rank=3,
        complete="source",
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
    retrieval: list[str] = option(
        [],
        "Queries, documents and relevance judgements in BEIR's layout: measure how well the vectors of queries find relevant "
        "documents (nDCG@10, MRR@10, recall); repeatable.",
        panel=OBJECTIVE,
        metavar="QUERIES,CORPUS,QRELS",
        parse=parse_retrieval,
        complete="file",
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
    overwrite: bool = option(False, "Replace --output and --errors.", panel=OUTPUT)

    @property
    def of_vectors(self) -> list[str]:
        """The given options that evaluate vectors instead of heads."""
        named = {"--sts": self.sts, "--probe": self.probe, "--retrieval": self.retrieval}
        return [name for name, value in named.items() if value]
