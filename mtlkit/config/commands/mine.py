"""Options of `mtlkit mine`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.common import DATA, OUTPUT, OnBadRow
from mtlkit.config.inference import ModelOptions, VectorOptions
from mtlkit.config.option import COMMON, option


@dataclass(frozen=True, kw_only=True)
class MineOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit mine`."""

    source: str | None = option(
        None,
        "Pairs of matching texts, as train-sentence --objective pairs reads them.",
        panel=COMMON,
        positional=True,
        metavar="SOURCE",
        complete="source",
    )
    output: Path | None = option(
        None,
        "Write the pairs with their negatives to a .csv, .jsonl or .parquet file.",
        panel=COMMON,
        metavar="FILE",
        short="-o",
        rank=1,
        complete="file",
    )
    corpus: str | None = option(
        None,
        "Texts to choose negatives from.",
        panel=COMMON,
        metavar="SOURCE",
        rank=1,
        default_text="the second texts of all pairs",
        complete="source",
    )
    negatives: int = option(3, "Negatives per pair.", panel=COMMON, metavar="N", minimum=1, maximum=100, rank=2)
    margin: float = option(
        0.05, "How much less similar than the positive a negative must be, at least.", panel=COMMON, minimum=0, rank=2
    )
    cap: float | None = option(
        None, "Highest similarity of a negative.", panel=COMMON, metavar="SIMILARITY", default_text="none", rank=2
    )
    skip: int = option(
        0, "Leave out the N candidates that are most similar to the first text.", panel=COMMON, metavar="N", minimum=0, rank=3
    )
    depth: int = option(
        100, "Choose among the N most similar candidates.", panel=COMMON, metavar="N", minimum=1, maximum=10_000, rank=3
    )
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA, rank=1)
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)
