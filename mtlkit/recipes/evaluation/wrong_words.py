"""The texts in which a head labels words wrongly, for `eval --errors`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mtlkit.data.labels.word_labels import text_offsets
from mtlkit.data.row_files import Record
from mtlkit.inference.predictions import answers_of_words
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.tasks.tag_decoding import answer_of_text, tags_of_spec

Entry = dict[str, Any]  # a span, or a word with its tag


def wrong_words(task: EvaluatedRows) -> Iterator[tuple[int, Record]]:
    """The texts with a wrong span or tag, those with the most first: `label` are the ones that were not predicted, `predicted`
    those that are not there."""
    offsets = text_offsets(task.labels)
    predicted = answers_of_words(task.spec, task.outputs, task.texts, task.words)
    ones, tags, found = np.ones(len(task.labels)), tags_of_spec(task.spec), list[tuple[int, list[Entry], list[Entry]]]()
    for row, (text, words) in enumerate(zip(task.texts, task.words, strict=True)):
        own = slice(int(offsets[row]), int(offsets[row + 1]))
        true = entries_of(answer_of_text(tags, task.labels[own, 0], ones[own], text, words))
        ours = entries_of(predicted[row])
        missed = [_named(entry) for entry in true if _key(entry) not in map(_key, ours)]
        wrong = [entry for entry in ours if _key(entry) not in map(_key, true)]
        if missed or wrong:
            found.append((row, missed, wrong))
    for row, missed, wrong in sorted(found, key=lambda item: -max(len(item[1]), len(item[2]))):
        yield row, {"label": missed, "predicted": wrong}


def entries_of(answer: dict[str, Any]) -> list[Entry]:
    """The spans or the tagged words of an answer."""
    entries: list[Entry] = answer.get("spans", answer.get("tags", []))
    return entries


def _key(entry: Entry) -> tuple[int, int, str]:
    return entry["start"], entry["end"], entry["label"]


def _named(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name != "probability"}
