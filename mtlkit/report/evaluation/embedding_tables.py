"""Tables of similarities, STS results and probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtlkit.config.vector_settings import Similarity
from mtlkit.evaluation.metric_names import RETRIEVAL
from mtlkit.report.columns import LEAST_NAME, compact_table, narrow, taken
from mtlkit.report.evaluation.confusion import heat
from mtlkit.report.tables import estimate, new_table, number, reasons, titled
from mtlkit.report.text import literal, one_line

SIMILARITY_NAMES: dict[Similarity, str] = {
    "cosine": "cosine",
    "dot": "dot product",
    "euclidean": "negative Euclidean distance",
    "manhattan": "negative Manhattan distance",
}


def cosine_table(texts: Sequence[str], matrix: NDArray[np.float32], width: int, kind: Similarity = "cosine") -> Group | None:
    """Similarity of every pair of texts; cosines on a green (negative: red) background.

    Texts are shown by number only if there are many; None if even that exceeds `width`.
    """
    text_width = width - 9 * len(texts) - 8
    table = new_table() if text_width >= 12 else Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    if text_width < 12 and 6 * len(texts) + 3 > width:
        return None
    table.add_column("")
    if text_width >= 12:
        table.add_column("text", max_width=text_width, overflow="ellipsis", no_wrap=True)
    for index in range(len(texts)):
        table.add_column(str(index + 1), justify="right", no_wrap=True)
    for index, (text, row) in enumerate(zip(texts, matrix.tolist(), strict=True)):
        named = [one_line(text)] if text_width >= 12 else []
        cells = [cosine_cell(value, 3 if named else 2) if kind == "cosine" else literal(f"{value:.4g}") for value in row]
        table.add_row(str(index + 1), *named, *cells)
    return titled(SIMILARITY_NAMES[kind], table)


def cosine_cell(value: float, digits: int) -> Text:
    return Text(number(value, digits), style=heat(abs(value), value > 0))


def sts_table(results: Sequence[Mapping[str, Any]]) -> Group:
    """One row per source, as `StsResult.to_json` returns it: correlations with their intervals."""
    table = compact_table()
    table.add_column("sentence pairs", overflow="fold")
    for title in ("pairs", "Spearman", "95 % interval", "Pearson", "95 % interval"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in results:
        figures = [text for name in ("spearman", "pearson") for text in estimate(row[name], row[f"{name}_interval"])]
        table.add_row(literal(f"{row['source']} ({row['split']})"), f"{row['pairs']:,}", *figures)
    name = SIMILARITY_NAMES[results[0].get("similarity", "cosine")]
    group = titled(f"Semantic textual similarity: {name} of {results[0]['dim']}-dimensional vectors", table)
    lines = [literal(f"{row['source']}: {reason}", "yellow") for row in results for reason in reasons(row)]
    return Group(group, *lines) if lines else group


def retrieval_table(result: Mapping[str, Any]) -> Group:
    """A row per metric, with its interval; `result` is as `RetrievalResult.to_json` returns it."""
    table = compact_table()
    for title in ("retrieval", "mean", "95 % interval"):
        table.add_column(title, justify="left" if title == "retrieval" else "right", no_wrap=True)
    for metric in RETRIEVAL:
        if metric.name in result:
            table.add_row(metric.title, *estimate(result[metric.name], result[f"{metric.name}_interval"]))
    sizes = f"{result['queries']:,} queries, {result['documents']:,} documents, {result['dim']}-dimensional vectors"
    return titled(f"Retrieval: {sizes} ({one_line(result['source']).plain})", table)


def probe_table(results: Mapping[str, Mapping[str, Any]], width: int) -> Group:
    """One row per task, as `ProbeResult.to_json` returns it. Where `width` is too small, the intervals of cross-validation and of
    macro-F1 are left out."""
    titles = ("train", "scored", "accuracy", "95 % interval", "macro-F1", "95 % interval", "CV", "95 % interval", "C")
    figures = [list(column) for column in zip(titles, *map(probe_figures, results.values()), strict=True)]
    for least in (7, 5):
        if taken(figures) + LEAST_NAME > width:
            del figures[least]
    table = narrow({"task": list(results)}, figures, width)
    first = next(iter(results.values()))
    headline = literal(f"Logistic regression on frozen {first['dim']}-dimensional vectors, evaluated on {first['split']}", "bold")
    return Group(headline, table, literal("CV: cross-validated accuracy on the training rows, used to choose C", "dim"))


def probe_figures(row: Mapping[str, Any]) -> list[str]:
    sizes = [f"{row[name]:,}" for name in ("train", "n")]
    metrics = [text for name in ("accuracy", "macro_f1") for text in estimate(row[name], row[f"{name}_interval"])]
    return [*sizes, *metrics, *estimate(row["cross_validated"], row["cross_validated_interval"]), f"{row['c']:g}"]
