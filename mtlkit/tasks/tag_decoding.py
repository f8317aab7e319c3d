"""From the outputs of a head for words to tags, spans and their metrics."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.encoded import firsts
from mtlkit.data.labels.tag_schemes import OUTSIDE, Tags, split_tag, tags_of
from mtlkit.data.labels.word_labels import text_offsets
from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metrics import Array, classification, confusion, share
from mtlkit.evaluation.spans import SpanCounts, count_spans, span_figures, span_scores
from mtlkit.model.heads.tag_sequences import Scores, table_of, viterbi

Numbers = NDArray[np.int64]


def tags_of_spec(spec: TaskSpec) -> Tags:
    """The tags of a head."""
    return tags_of(spec.labels, spec.tags)


class Decoder:
    """Decodes outputs, once for the metrics, intervals and calibration of an evaluation: remembers the tags of the last ones."""

    def __init__(self) -> None:
        self.last: tuple[weakref.ref[Array], TaskSpec, Numbers, Numbers] | None = None

    def __call__(self, spec: TaskSpec, outputs: Array, offsets: Numbers) -> Numbers:
        """`decoded`; the outputs must not change in place."""
        last = self.last  # threads may replace it
        if last is not None and last[0]() is outputs and last[1] == spec and np.array_equal(last[2], offsets):
            return last[3]
        tags = decoded(spec, outputs, offsets)
        tags.flags.writeable = False
        self.last = weakref.ref(outputs), spec, offsets, tags
        return tags


def decoded(spec: TaskSpec, outputs: Array, offsets: Numbers) -> Numbers:
    """The tags predicted for W words, (W,), from outputs (W, tags): the likeliest ones of each text that the scheme allows. Words
    of a text begin at its offset."""
    if spec.tags == "plain":
        likeliest: Numbers = outputs.argmax(1)
        return likeliest
    return viterbi(outputs, firsts(offsets), allowed_table(spec))


def allowed_table(spec: TaskSpec) -> Scores:
    """The transitions between the tags of a head, as `tag_sequences` takes them: 0, or -inf for those that its scheme forbids."""
    allowed = tags_of_spec(spec).transitions()
    return table_of(*(np.where(part, 0.0, -np.inf) for part in (allowed.start, allowed.pairs, allowed.end)))


def text_scores(spec: TaskSpec, predicted: Numbers, labels: Array) -> dict[str, Any]:
    """All metrics of predicted tags, (W,), for encoded labels, (W, 2): of spans with the accuracy of tags, or of plain tags."""
    true = labels[:, 0]
    counted = {"words": len(labels)}
    if spec.tags == "plain":
        return counted | classification(spec.labels, confusion(len(spec.labels), true, predicted))
    scores = span_scores(tags_of_spec(spec).types, _counts(spec, predicted, labels))
    metrics = {name: scores.pop(name) for name in list(scores) if not isinstance(scores[name], list | dict)}
    accuracy = {"accuracy": share((true == predicted).sum(), len(true))}
    return counted | metrics | accuracy | scores | {"word_confusion": type_confusion(tags_of_spec(spec), true, predicted)}


def type_confusion(tags: Tags, true: Numbers, predicted: Numbers) -> dict[str, Any]:
    """Counts of words by their true and predicted type, with O for words outside of spans: {"labels", "confusion"}."""
    parts = [split_tag(name) for name in tags.names]
    number = np.array([0 if part is None else 1 + tags.types.index(part[1]) for part in parts])
    names = (OUTSIDE, *tags.types)
    return {"labels": list(names), "confusion": confusion(len(names), number[true], number[predicted]).tolist()}


def text_figures(spec: TaskSpec, predicted: Numbers, labels: Array) -> Figures:
    """The metrics of `text_scores` as functions of the resampled texts."""
    lengths = np.diff(text_offsets(labels))
    if spec.tags == "plain":
        of_words = classification_figures(spec.labels, labels[:, 0], predicted)
        return Figures(len(lengths), lambda counts: of_words.measure(np.repeat(counts, lengths, axis=1)), of_words.classes)
    figures = span_figures(_counts(spec, predicted, labels))
    right = np.add.reduceat((labels[:, 0] == predicted).astype(np.float64), text_offsets(labels)[:-1])

    def measure(counts: Values) -> Measured:
        overall, per_class = figures.measure(counts)
        return Measured({**overall, "accuracy": counts @ right / (counts @ lengths)}, per_class)

    return Figures(figures.rows, measure, figures.classes)


def _counts(spec: TaskSpec, predicted: Numbers, labels: Array) -> SpanCounts:
    tags, offsets = tags_of_spec(spec), text_offsets(labels)
    true, found = tags.spans(labels[:, 0], offsets), tags.spans(predicted, offsets)
    return count_spans(true, found, len(offsets) - 1, len(tags.types))


def answer_of_text(tags: Tags, predicted: Numbers, probabilities: Array, text: str, words: Numbers) -> dict[str, Any]:
    """What is predicted for a text: {"spans": [...]}, or {"tags": [...]} with an entry for each word if tags are no spans.

    predicted, probabilities: the tag of each word and its probability, (n,). words: where they are in the text, (n, 2). The
    probability of a span is that of all its tags, as if words were independent.
    """
    if tags.scheme == "plain":
        entries = [(start, start + 1, tags.names[tag]) for start, tag in enumerate(predicted.tolist())]
    else:
        spans = tags.spans(predicted, np.array([0, len(predicted)]))
        types = [tags.types[number] for number in spans.types]
        entries = list(zip(spans.starts.tolist(), spans.ends.tolist(), types, strict=True))
    answer = []
    for start, end, label in entries:
        first, last = int(words[start, 0]), int(words[end - 1, 1])
        place = {"start": first, "end": last, "text": text[first:last]}
        answer.append({**place, "label": label, "probability": float(probabilities[start:end].prod())})
    return {"tags" if tags.scheme == "plain" else "spans": answer}


def in_short(answer: dict[str, Any]) -> str:
    """An answer as a cell of a table: `PER Ada Lovelace, LOC London`; of a single word, its tag."""
    if "label" in answer:
        return str(answer["label"])
    entries = answer.get("spans", answer.get("tags", []))
    return ", ".join(f"{entry['label']} {entry['text']}" for entry in entries)
