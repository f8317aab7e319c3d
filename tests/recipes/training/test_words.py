"""Heads on small sets are compared with a bag of words, on the rows that they were not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training import words
from mtlkit.recipes.training.words import Tables, compare_words, small_tables
from mtlkit.report.training.messages import training_messages
from mtlkit.training.head_incidents import RowsJudged
from mtlkit.training.objectives.base import HeadObjective

pytest.importorskip("sklearn", reason="a bag of words is fitted by scikit-learn")


@pytest.fixture
def tables() -> Tables:
    """Rows whose class is a word in them: 60 to train on and 40 to validate on."""
    texts = [f"{('cat', 'saw')[row % 2]} number {row % 7}" for row in range(100)]
    table = LabelledTable(texts, [("animal", "tool")[row % 2] for row in range(100)])
    return table.select(np.arange(60)), table.select(np.arange(60, 100))


@pytest.fixture
def objective(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], tables: Tables, text_encoder: TextEncoder) -> HeadObjective:
    return HeadObjective(tiny_model, prepare_task(tasks["topic"].spec, "tests", *tables, text_encoder))


@pytest.mark.parametrize("cross_validated", [False, True])
def test_a_head_that_guesses_is_told_that_words_do_better(
    objective: HeadObjective, tables: Tables, *, cross_validated: bool
) -> None:
    rows = np.arange(60) if cross_validated else np.arange(60, 100)
    found = RowsJudged("topic", rows, np.arange(len(rows)) % 2 == 0, cross_validated)
    (compared,) = compare_words({"topic": found}, {"topic": tables}, {"topic": objective})
    assert (compared.rows, compared.head, compared.words, compared.better) == (len(rows), 0.5, 1.0, True)
    assert compared.interval[0] > 0.2
    (message,) = training_messages(compared)
    assert message.warning
    assert "a bag of words" in message.text
    assert "1.000 against 0.500" in message.text


def test_a_difference_that_may_be_chance_is_a_detail(objective: HeadObjective, tables: Tables) -> None:
    hits = np.arange(40) >= words.LEAST_WRONG
    worse = replace(tables[0], texts=[f"number {row % 7}" for row in range(60)])  # words that say nothing
    found = {"topic": RowsJudged("topic", np.arange(60, 100), hits)}
    (compared,) = compare_words(found, {"topic": (worse, tables[1])}, {"topic": objective})
    assert not compared.better
    (message,) = training_messages(compared)
    assert message.detail
    assert "does worse" in message.text


def test_nothing_is_fitted_for_good_heads_few_rows_or_large_sets(
    objective: HeadObjective, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_words", None)  # not callable
    rows, wrong = np.arange(60, 100), np.zeros(40, bool)
    good = {"topic": RowsJudged("topic", rows, np.arange(40) >= words.LEAST_WRONG - 1)}
    few = {"topic": RowsJudged("topic", rows[:20], wrong[:20])}
    for found in (good, few):
        assert not list(compare_words(found, {"topic": tables}, {"topic": objective}))
    bad = {"topic": RowsJudged("topic", rows, wrong)}
    assert not list(compare_words(bad, {}, {"topic": objective}))
    monkeypatch.setattr(words, "MOST_PER_CLASS", 20)
    assert not list(compare_words(bad, {"topic": tables}, {"topic": objective}))
    assert small_tables({"topic": tables}) == {"topic": tables}
    monkeypatch.setattr(words, "MOST_ROWS", 99)
    assert small_tables({"topic": tables}) == {}
