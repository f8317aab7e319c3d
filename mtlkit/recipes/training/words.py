"""Compares the heads of a training on few rows with a bag of words: TF-IDF and logistic regression, of scikit-learn.

Only small sets are compared: fitting takes a second at most there, after an import of scikit-learn that takes two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.evaluation.bag_of_words import Example, Hits, cross_validated_hits, has_scikit_learn, hits_on
from mtlkit.evaluation.comparison import LEVEL
from mtlkit.evaluation.intervals import bootstrap_change, mcnemar, mean_of
from mtlkit.seeding import generator
from mtlkit.training.head_incidents import RowsJudged, WordsCompared
from mtlkit.training.objectives.base import HeadObjective, Objective

Tables = tuple[LabelledTable, LabelledTable]  # training and validation rows of a task

MOST_ROWS = 1_000  # of a task, to train and to validate on
MOST_PER_CLASS = 100  # median of the training rows
LEAST_ROWS = 30  # compared: the interval of fewer is too narrow
LEAST_WRONG = 6  # rows that a head must get wrong: McNemar's test finds no difference in fewer


def small_tables(tables: Mapping[str, Tables]) -> dict[str, Tables]:
    """The tables of tasks that are small enough to compare; others need not be kept."""
    return {name: both for name, both in tables.items() if len(both[0]) + len(both[1]) <= MOST_ROWS}


def compare_words(
    judged: Mapping[str, RowsJudged], tables: Mapping[str, Tables], objectives: Mapping[str, Objective]
) -> Iterator[WordsCompared]:
    """Compares each task on the rows that its head was judged on. Nothing without scikit-learn, or for larger sets."""
    for name, found in judged.items():
        objective = objectives[name]
        if name not in tables or not isinstance(objective, HeadObjective) or not _worth_it(objective, found):
            continue
        hits = _words(objective, tables[name], found)
        if hits is not None:
            yield _compared(found, hits)


def _worth_it(objective: HeadObjective, found: RowsJudged) -> bool:
    counts = np.unique(objective.task.train.labels, return_counts=True)[1]
    few = float(np.median(counts)) <= MOST_PER_CLASS and len(found.rows) >= LEAST_ROWS
    return few and int((~found.hits).sum()) >= LEAST_WRONG and has_scikit_learn()


def _words(objective: HeadObjective, tables: Tables, found: RowsJudged) -> Hits | None:
    """Which of the rows a bag of words gets right: trained on the training rows, or cross-validated like the head."""
    task, (train, validation) = objective.task, tables
    texts = [*_examples(train, task.train.rows), *_examples(validation, task.validation.rows)]
    classes = np.concatenate([task.train.labels, task.validation.labels])
    split = len(task.train)
    if not found.cross_validated:
        return hits_on(texts[:split], classes[:split], texts[split:], classes[split:])
    if int(found.rows.max()) < split:  # the head was not fitted to validation rows
        texts, classes = texts[:split], classes[:split]
    hits = cross_validated_hits(texts, classes)
    return None if hits is None else hits[found.rows]


def _examples(table: LabelledTable, rows: Rows) -> list[Example]:
    """The texts of these rows, or pairs of texts."""
    examples: list[str] | list[tuple[str, str]] = table.pairs if table.seconds else table.texts
    return [examples[row] for row in rows]


def _compared(found: RowsJudged, words: Hits) -> WordsCompared:
    head, count = found.hits, len(words)
    interval = bootstrap_change(mean_of(head), mean_of(words), count, generator(0, "words", found.task))
    better = interval.low > 0 and mcnemar(int((head & ~words).sum()), int((words & ~head).sum())) < LEVEL
    accuracies = float(head.mean()), float(words.mean())
    return WordsCompared(found.task, count, *accuracies, interval.ends, better, found.cross_validated)
