"""`eval --retrieval`: how well the vectors of queries find relevant documents.

Equal to the InformationRetrievalEvaluator of sentence-transformers. Documents are encoded and compared in blocks: in memory are
the vectors of the queries and of one block, and the ids of all documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.evaluate import EvalOptions, parse_retrieval
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.retrieval import RetrievalData, read_retrieval
from mtlkit.errors import counted, listed, rows_from
from mtlkit.evaluation.comparison import TaskComparison
from mtlkit.evaluation.retrieval import DEEPEST, compare_queries, query_metrics, with_query_intervals
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.nearest import Nearest
from mtlkit.inference.prompts import DOCUMENT_PROMPTS, QUERY_PROMPTS, role_prompt
from mtlkit.inference.similarity import scaled_for, similarities_of_scaled
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import parts
from mtlkit.seeding import generator

QUERIES_AT_ONCE = 1024


@dataclass(frozen=True)
class RetrievalResult:
    """The means of the metrics over the queries, with their 95 % intervals as `NAME_interval`. `source` is that of the
    judgements, `dim` is the length of the vectors; `remarks` say what was left out."""

    source: str
    queries: int
    documents: int
    dim: int
    metrics: dict[str, Any]
    remarks: tuple[str, ...] = ()
    comparison: TaskComparison | None = None

    def to_json(self) -> dict[str, Any]:
        sizes = {"source": self.source, "queries": self.queries, "documents": self.documents, "dim": self.dim}
        return {**sizes, **self.metrics, **({"remarks": list(self.remarks)} if self.remarks else {})}


def measure_retrieval(
    text: str, options: EvalOptions, loaded: LoadedModel, against: LoadedModel | None, reading: ReadOptions
) -> RetrievalResult:
    """The metrics of retrieval for one value of `--retrieval`, and how `against` differs. Raises UsageError, DataError."""
    data = read_retrieval(parse_retrieval(text), reading)
    metrics = metrics_by_query(data, options, loaded)
    comparison = None
    if against is not None:
        others = metrics_by_query(data, options, against)
        comparison = compare_queries(data.name, metrics, others, generator(options.seed, "against", data.name))
    means = with_query_intervals(metrics, generator(options.seed, "retrieval", data.name))
    width = loaded.output_dim(options.dim)
    return RetrievalResult(data.name, len(data.queries), len(data.ids), width, means, tuple(remarks_on(data)), comparison)


def metrics_by_query(data: RetrievalData, options: EvalOptions, loaded: LoadedModel) -> dict[str, NDArray[np.float64]]:
    """The metrics of each query by name, (Q,) each."""
    kind, width = loaded.checkpoint.vectors.similarity, loaded.output_dim(options.dim)
    roles, settings = (QUERY_PROMPTS, DOCUMENT_PROMPTS), loaded.checkpoint.vectors
    prompts = [None if options.prompt is not None else role_prompt(settings, names) for names in roles]
    with counting("encoding queries", "encoded", len(data.queries)):
        queries = scaled_for(loaded.embed(data.queries, prompt=prompts[0], dim=width), kind)
    nearest, start = Nearest(len(queries), min(DEEPEST, len(data.ids))), 0
    with counting(f"encoding {data.corpus.source.name}", "encoded", len(data.ids)):
        for part in parts(data.corpus.texts()):
            with rows_from(start):
                documents = scaled_for(loaded.embed(part, prompt=prompts[1], dim=width), kind)
            numbers = data.numbers[start : start + len(part)]
            for first in range(0, len(queries), QUERIES_AT_ONCE):
                some = slice(first, first + QUERIES_AT_ONCE)
                nearest.add(some, similarities_of_scaled(queries[some], documents, kind), numbers)
            start += len(part)
    found, _ = nearest.best()
    return query_metrics(data.grades(found), [list(own.values()) for own in data.relevant])


def remarks_on(data: RetrievalData) -> list[str]:
    """What was left out of the metrics or counts as not found."""
    remarks = []
    if data.unjudged:
        remarks.append(f"{counted(data.unjudged, 'query', 'queries')} without a relevant document left out")
    if data.missing_queries:
        remarks.append(f"judgements of unknown queries left out: {listed(data.missing_queries, 3)}")
    if data.missing_documents:
        remarks.append(f"relevant documents missing from the corpus, counted as not found: {listed(data.missing_documents, 3)}")
    return remarks
