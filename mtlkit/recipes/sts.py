"""Semantic textual similarity: how well the similarity of two vectors follows what people say of two sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit.config.inference import EvalOptions
from mtlkit.config.vector_settings import Similarity
from mtlkit.data.batching import generator
from mtlkit.data.labelled_rows import Reading
from mtlkit.data.pairs import read_scored_pairs
from mtlkit.errors import DataError
from mtlkit.intervals import Interval, bootstrap_correlations
from mtlkit.metrics import correlation, correlation_of_ranks
from mtlkit.recipes.loading import LoadedModel
from mtlkit.recipes.vectors import pair_similarities, width_of

FEWEST = 3  # pairs: two always lie on a line


@dataclass(frozen=True)
class Sts:
    """Correlations of similarity and score over the pairs of a source, with their 95 % intervals; `dim` numbers of each vector;
    `similarity` is the model's own function, the cosine unless it says otherwise."""

    source: str
    split: str
    pairs: int
    dim: int
    spearman: float
    spearman_interval: Interval
    pearson: float
    pearson_interval: Interval
    similarity: Similarity = "cosine"

    def to_json(self) -> dict[str, Any]:
        intervals = {name: getattr(self, name).to_json() for name in ("spearman_interval", "pearson_interval")}
        return {**vars(self), **intervals}


def measure_sts(source: str, options: EvalOptions, loaded: LoadedModel, reading: Reading) -> Sts:
    """Spearman's and Pearson's correlation of the similarity of each pair of sentences with its score, as SentEval and MTEB
    measure. Raises UsageError, DataError."""
    width = width_of(options, loaded)
    table, split = read_scored_pairs(source, options.split, reading)
    if len(table) < FEWEST:
        raise DataError(f"{source}: {len(table)} scored pairs are too few for a correlation; give {FEWEST} at least")
    similarity = loaded.checkpoint.vectors.similarity
    found = pair_similarities(loaded.embed([*table.firsts, *table.seconds], dim=width), similarity)
    scores = np.array(table.scores, np.float64)
    pearson_interval, spearman_interval = bootstrap_correlations(found, scores, generator(options.seed, "sts"))
    spearman, pearson = correlation_of_ranks(found, scores), correlation(found, scores)
    return Sts(source, split, len(table), width, spearman, spearman_interval, pearson, pearson_interval, similarity)
