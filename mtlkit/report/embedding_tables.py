"""Tables about vectors: cosines of texts, similarity of sentences, probes. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtlkit.config.vector_settings import Similarity
from mtlkit.report.columns import compact_table, narrow
from mtlkit.report.tables import heat, new_table, number, reasons, titled
from mtlkit.report.text import literal, one_line

SIMILARITY_NAMES: dict[Similarity, str] = {
    "cosine": "cosine",
    "dot": "dot product",
    "euclidean": "negative Euclidean distance",
    "manhattan": "negative Manhattan distance",
}


def cosine_table(texts: Sequence[str], matrix: NDArray[np.float32], width: int, kind: Similarity = "cosine") -> Group | None:
    """Cosine of every pair of texts, on green that deepens with it (red below 0), or another similarity without colours.

    Many texts are named by number alone; None where even that is wider than `width`.
    """
    room = width - 9 * len(texts) - 8  # for a text
    table = new_table() if room >= 12 else Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    if room < 12 and 6 * len(texts) + 3 > width:
        return None
    table.add_column("")
    if room >= 12:
        table.add_column("text", max_width=room, overflow="ellipsis", no_wrap=True)
    for place in range(len(texts)):
        table.add_column(str(place + 1), justify="right", no_wrap=True)
    for place, (text, row) in enumerate(zip(texts, matrix.tolist(), strict=True)):
        named = [one_line(text)] if room >= 12 else []
        cells = [cosine_cell(value, 3 if named else 2) if kind == "cosine" else literal(f"{value:.4g}") for value in row]
        table.add_row(str(place + 1), *named, *cells)
    return titled(SIMILARITY_NAMES[kind], table)


def cosine_cell(value: float, digits: int) -> Text:
    return Text(number(value, digits), style=heat(abs(value), value > 0))


def sts_table(found: Sequence[Mapping[str, Any]]) -> Group:
    """A row a source: correlations of cosine and score with their intervals; what `Sts.to_json` gives."""
    table = compact_table()
    table.add_column("pairs of sentences", overflow="fold")
    for title in ("pairs", "Spearman", "95 % interval", "Pearson", "95 % interval"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found:
        figures = [text for name in ("spearman", "pearson") for text in estimate(row[name], row[f"{name}_interval"])]
        table.add_row(literal(f"{row['source']} ({row['split']})"), f"{row['pairs']:,}", *figures)
    name = SIMILARITY_NAMES[found[0].get("similarity", "cosine")]
    group = titled(f"Similarity of sentences: {name} of vectors of {found[0]['dim']} against scores", table)
    lines = [literal(f"{row['source']}: {reason}", "yellow") for row in found for reason in reasons(row)]
    return Group(group, *lines) if lines else group


def probe_table(found: Mapping[str, Mapping[str, Any]], width: int) -> Group:
    """A row a task; what `Probe.to_json` gives. Where it is too wide, the names of the tasks are cut, never a figure."""
    titles = ("train", "scored", "accuracy", "95 % interval", "macro-F1", "CV", "C")
    figures = zip(titles, *map(probe_figures, found.values()), strict=True)
    table = narrow({"task": list(found)}, [list(column) for column in figures], width)
    first = next(iter(found.values()))
    headline = literal(f"Logistic regression on frozen vectors of {first['dim']}, scored on {first['split']}", "bold")
    return Group(headline, table, literal("CV: accuracy in cross-validation on the training rows, by which C was chosen", "dim"))


def probe_figures(row: Mapping[str, Any]) -> list[str]:
    sizes = [f"{row[name]:,}" for name in ("train", "n")]
    accuracy = estimate(row["accuracy"], row["accuracy_interval"])
    return [*sizes, *accuracy, number(row["macro_f1"], 4), number(row["cross_validated"], 4), f"{row['c']:g}"]


def estimate(value: float | None, interval: Sequence[float] | None) -> tuple[str, str]:
    """A figure and its interval, of four digits; two dots, as a dash would look like a minus. Undefined ones are a dash."""
    if interval is None:
        return number(value, 4), number(None)
    low, high = interval
    return number(value, 4), f"{number(low, 4)}..{number(high, 4)}"
