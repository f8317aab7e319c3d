"""Span metrics, against seqeval and against sets of spans with character offsets."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from seqeval.metrics import classification_report

from mtlkit.data.labels.tag_schemes import Tags, complete_tags
from mtlkit.evaluation.figures import with_intervals
from mtlkit.evaluation.spans import SpanCounts, Spans, count_spans, span_figures, span_scores

BIO = complete_tags(["B-PER", "B-LOC", "B-ORG"])
BIOES = complete_tags(["S-PER", "S-LOC", "S-ORG"])


def texts(tags: Tags, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True tags, predicted ones that are often right, and where each text begins; many sequences are invalid."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(random.integers(0, 12, size=50))])
    true = np.where(random.random(offsets[-1]) < 0.4, 0, random.integers(len(tags.names), size=offsets[-1]))
    predicted = np.where(random.random(len(true)) < 0.7, true, random.integers(len(tags.names), size=len(true)))
    return true, predicted, offsets


def counts_of(tags: Tags, true: np.ndarray, predicted: np.ndarray, offsets: np.ndarray) -> SpanCounts:
    return count_spans(tags.spans(true, offsets), tags.spans(predicted, offsets), len(offsets) - 1, len(tags.types))


def as_names(tags: Tags, flat: np.ndarray, offsets: np.ndarray) -> list[list[str]]:
    return [[tags.names[number] for number in row] for row in np.split(flat, offsets[1:-1])]


@pytest.mark.parametrize("tags", [BIO, BIOES], ids=["bio", "bioes"])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_seqeval(tags: Tags, seed: int) -> None:
    true, predicted, offsets = texts(tags, seed)
    found = span_scores(tags.types, counts_of(tags, true, predicted, offsets))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = classification_report(as_names(tags, true, offsets), as_names(tags, predicted, offsets), output_dict=True)
    micro, macro = report.pop("micro avg"), report.pop("macro avg")
    assert found["span_f1"] == pytest.approx(micro["f1-score"])
    assert found["span_precision"] == pytest.approx(micro["precision"])
    assert found["span_recall"] == pytest.approx(micro["recall"])
    assert found["macro_span_f1"] == pytest.approx(macro["f1-score"])
    del report["weighted avg"]
    assert set(report) == set(found["per_class"])
    for name, row in found["per_class"].items():
        wanted = (report[name]["precision"], report[name]["recall"], report[name]["f1-score"], report[name]["support"])
        assert (row["precision"], row["recall"], row["f1"], row["support"]) == pytest.approx(wanted)


def test_scores_by_character_offsets_are_those_by_words() -> None:
    true, predicted, offsets = texts(BIO, 0)
    lengths = np.random.default_rng(1).integers(1, 8, size=len(true))
    ends = np.concatenate([np.cumsum(row + 1) for row in np.split(lengths, offsets[1:-1])])  # words of a text and blanks between

    def in_characters(spans: Spans) -> Spans:
        first, last = offsets[spans.texts] + spans.starts, offsets[spans.texts] + spans.ends - 1
        return Spans(spans.texts, ends[first] - 1 - lengths[first], ends[last] - 1, spans.types)

    sides = BIO.spans(true, offsets), BIO.spans(predicted, offsets)
    by_words = count_spans(*sides, len(offsets) - 1, 3)
    by_characters = count_spans(*map(in_characters, sides), len(offsets) - 1, 3)
    assert np.array_equal(by_words.right, by_characters.right)
    assert by_words.right.sum() == len(
        set(map(tuple, in_characters(sides[0]).table())) & set(map(tuple, in_characters(sides[1]).table()))
    )


def test_a_repeated_span_counts_once() -> None:
    spans = Spans(*np.array([[0, 0, 1], [2, 2, 0], [3, 3, 1], [1, 1, 0]]))
    counts = count_spans(spans, spans, 3, 2)
    assert counts.right.tolist() == counts.true.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_undefined_scores_have_a_reason() -> None:
    none, one = Spans(*np.zeros((4, 0), np.int64)), Spans(*np.array([[0], [0], [1], [1]]))
    found = span_scores(("PER", "LOC"), count_spans(one, none, 2, 2))
    assert (found["span_f1"], found["span_precision"], found["span_recall"]) == (0.0, None, 0.0)
    assert found["undefined"] == {"span_precision": "no spans predicted"}
    assert found["per_class"]["PER"]["undefined"]["recall"] == "no spans"
    nothing = span_scores(("PER", "LOC"), count_spans(none, none, 2, 2))
    assert set(nothing["undefined"]) == {"span_f1", "span_precision", "span_recall", "macro_span_f1"}


def test_intervals_are_over_texts() -> None:
    true, predicted, offsets = texts(BIO, 0)
    counts = counts_of(BIO, true, predicted, offsets)
    scores, figures = span_scores(BIO.types, counts), span_figures(counts)
    values = figures.values()
    for name, value in values.overall.items():
        assert scores[name] == pytest.approx(value[0])
    assert [row["f1"] for row in scores["per_class"].values()] == pytest.approx(values.per_class["f1"][0])
    document = with_intervals(scores, figures, np.random.default_rng(0))
    for row in (document, *document["per_class"].values()):
        for name in [name for name in row if name.endswith("_interval")]:
            assert row[name][0] < row[name.removesuffix("_interval")] < row[name][1]
    doubled = np.r_[np.ones((1, 50)) * 2]  # each text twice
    assert figures.measure(doubled).overall["span_f1"][0] == pytest.approx(scores["span_f1"])
