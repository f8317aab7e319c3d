"""Options of `mtlkit embed`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.common import MACHINE, OUTPUT
from mtlkit.config.inference import TextOptions, VectorOptions
from mtlkit.config.option import COMMON, option
from mtlkit.config.outputs import OutputOptions

VectorType = Literal["float32", "float16", "int8", "binary"]


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(VectorOptions, OutputOptions, TextOptions):
    """Options of `mtlkit embed`."""

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
    dtype: VectorType = option(
        "float32",
        "Type of written vectors: int8 has a scale for each vector, binary is one bit for each number.",
        panel=OUTPUT,
    )
    batch_tokens: int | None = option(
        None, "Tokens per batch.", panel=MACHINE, minimum=8, default_text="3072 on a CPU, 65536 on a GPU", advanced=True
    )
