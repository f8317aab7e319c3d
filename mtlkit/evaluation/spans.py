"""Span metrics of texts, counted as seqeval counts them: a span is correct if both its ends and its type are. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.class_figures import ratio
from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metric_names import MACRO_SPAN_F1, SPAN_F1, SPAN_PRECISION, SPAN_RECALL
from mtlkit.evaluation.metrics import because, class_scores, known, macro_f1, share

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Labelled spans of texts: the number of the text of each span, its first word or character, the end after its last, and the
    number of its type, all (S,)."""

    texts: Numbers
    starts: Numbers
    ends: Numbers
    types: Numbers

    def __len__(self) -> int:
        return len(self.texts)

    def table(self) -> Numbers:
        """The different spans as rows of text, start, end and type, (S', 4)."""
        return np.unique(np.stack([self.texts, self.starts, self.ends, self.types], axis=1), axis=0)


@dataclass(frozen=True)
class SpanCounts:
    """Spans of each of N texts and K types, (N, K) each: predicted correctly, true, predicted."""

    right: Numbers
    true: Numbers
    predicted: Numbers


def count_spans(true: Spans, predicted: Spans, texts: int, types: int) -> SpanCounts:
    """Counts the spans of N texts and K types; a span that is repeated in a text counts once."""
    sides = true.table(), predicted.table()
    rows, occurrences = np.unique(np.concatenate(sides), axis=0, return_counts=True)
    return SpanCounts(*(_counts(table, texts, types) for table in (rows[occurrences == 2], *sides)))


def _counts(table: Numbers, texts: int, types: int) -> Numbers:
    return np.bincount(table[:, 0] * types + table[:, 3], minlength=texts * types).reshape(texts, types)


def span_scores(names: tuple[str, ...], counts: SpanCounts) -> dict[str, Any]:
    """Precision, recall and F1 over all spans and per type; macro-F1 is the mean over types that occur (true or predicted).
    `names` are the types."""
    right, true, predicted = (part.sum(0) for part in (counts.right, counts.true, counts.predicted))
    metrics = {
        SPAN_F1.name: share(2 * right.sum(), (true + predicted).sum()),
        SPAN_PRECISION.name: share(right.sum(), predicted.sum()),
        SPAN_RECALL.name: share(right.sum(), true.sum()),
        MACRO_SPAN_F1.name: known(float(macro_f1(right, true, predicted))),
    }
    none = "no spans, true or predicted"
    reasons = dict.fromkeys(metrics, none) | {SPAN_PRECISION.name: "no spans predicted", SPAN_RECALL.name: "no true spans"}
    missing = {name: reason for name, reason in reasons.items() if metrics[name] is None}
    per_class = class_scores(names, right, true, predicted, "spans")
    return {**metrics, "labels": list(names), "per_class": per_class, **because(missing)}


def span_figures(counts: SpanCounts) -> Figures:
    """The metrics of `span_scores` as functions of the resampled texts."""
    parts = [part.astype(np.float64) for part in (counts.right, counts.true, counts.predicted)]

    def measure(resampled: Values) -> Measured:
        right, true, predicted = (resampled @ part for part in parts)
        overall = {
            SPAN_F1.name: ratio(2 * right.sum(1), (true + predicted).sum(1)),
            SPAN_PRECISION.name: ratio(right.sum(1), predicted.sum(1)),
            SPAN_RECALL.name: ratio(right.sum(1), true.sum(1)),
            MACRO_SPAN_F1.name: macro_f1(right, true, predicted),
        }
        scores = {"precision": ratio(right, predicted), "recall": ratio(right, true), "f1": ratio(2 * right, true + predicted)}
        return Measured(overall, scores)

    return Figures(rows=len(counts.true), measure=measure, classes=counts.true.shape[1])
