"""Options of `mtlkit embed`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.common import MACHINE, OUTPUT
from mtlkit.config.inference import TextOptions, VectorOptions
from mtlkit.config.option import COMMON, option


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
    task: str | None = option(
        None,
        "Vectors as the head of this task reads them, through its adapter.",
        metavar="NAME",
        panel=COMMON,
        default_text="through no adapter of a task",
        rank=3,
        complete="task",
    )
    similarity: bool = option(False, "Print the similarity of every pair of texts instead of vectors.", panel=COMMON, rank=3)
    normalize: bool = option(False, "Scale vectors to length 1.", panel=OUTPUT)
    resume: bool = option(False, "Continue an unfinished run of the same --output.", panel=OUTPUT)
    overwrite: bool = option(False, "Replace --output and discard unfinished parts of it.", panel=OUTPUT)
    batch_tokens: int | None = option(
        None, "Tokens per batch.", panel=MACHINE, minimum=8, default_text="3072 on a CPU, 65536 on a GPU", advanced=True
    )
