"""Options of every command that runs a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import DATA, ENCODINGS, MACHINE, MODEL, MachineOptions, PromptOptions, runs_folder
from mtlkit.config.option import COMMON, option

InferencePrecision = Literal["auto", "fp32", "bf16", "int8"]
Backend = Literal["auto", "torch", "onnx"]


def no_cache() -> Any:
    """Whether cached predictions are left alone."""
    return option(False, "Neither read nor write cached predictions of evaluated rows.", panel=MACHINE, advanced=True)


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
    input: list[str] = option(
        [],
        "Files of texts: csv, jsonl, parquet, txt, ..., compressed or remote; folders, quoted patterns; '-' is standard input.",
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
