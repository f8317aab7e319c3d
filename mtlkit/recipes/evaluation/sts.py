"""Semantic textual similarity: correlation of the similarity of two vectors with human scores of two sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.vector_settings import Similarity
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import read_scored_pairs
from mtlkit.errors import DataError
from mtlkit.evaluation.intervals import Interval, bootstrap_correlations
from mtlkit.evaluation.metrics import because, correlations, rounded
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import pair_similarities
from mtlkit.progress import counting
from mtlkit.seeding import generator

FEWEST = 3  # pairs; two always lie on a line
UNKNOWN = Interval(nan, nan), Interval(nan, nan)


@dataclass(frozen=True)
class StsResult:
    """Correlations of similarity and score over the pairs of a source, with their 95 % intervals.

    `dim` is the length of the vectors, and `similarity` the model's similarity function. An undefined correlation is None, and
    `undefined` maps its name to the reason. `record` says how the source was read.
    """

    source: str
    split: str
    pairs: int
    dim: int
    spearman: float | None
    spearman_interval: Interval
    pearson: float | None
    pearson_interval: Interval
    similarity: Similarity = "cosine"
    undefined: dict[str, str] = field(default_factory=dict)
    record: SourceRecord = field(default_factory=lambda: SourceRecord(""))

    def to_json(self) -> dict[str, Any]:
        intervals = {name: getattr(self, name).to_json() for name in ("spearman_interval", "pearson_interval")}
        plain = {name: value for name, value in vars(self).items() if name not in ("undefined", "record")}
        return {**plain, **intervals, **because(self.undefined)}


def measure_sts(source: str, options: EvalOptions, loaded: LoadedModel, reading: ReadOptions) -> StsResult:
    """Spearman's and Pearson's correlation of the similarities of sentence pairs with their scores, as in SentEval and MTEB.
    Raises UsageError, DataError.
    """
    width = loaded.output_dim(options.dim)
    table, split = read_scored_pairs(source, options.split, reading)
    if len(table) < FEWEST:
        raise DataError(f"{source}: {len(table)} scored pairs are too few for a correlation; give {FEWEST} at least")
    scores = np.array(table.scores, np.float64)
    if np.ptp(scores) == 0:
        raise DataError(
            f"{source}: column '{table.columns[-1]}' is {scores[0]:g} in all {len(table):,} rows of {split}, and nothing "
            "correlates with that; give scores that differ"
        )
    similarity = loaded.checkpoint.vectors.similarity
    with counting(f"encoding {source}", "encoded", 2 * len(table)):
        vectors = loaded.embed([*table.firsts, *table.seconds], dim=width)
    values = rounded(pair_similarities(vectors, similarity))
    metrics = correlations(values, scores, "cosines" if similarity == "cosine" else "similarities", "scores")
    undefined = metrics.get("undefined", {})
    pearson, spearman = UNKNOWN if undefined else bootstrap_correlations(values, scores, generator(options.seed, "sts"))
    figures = metrics["spearman"], spearman, metrics["pearson"], pearson
    return StsResult(source, split, len(table), width, *figures, similarity, undefined, table.record)
