"""Tables with labels in several columns, as trainings and evaluations read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_for_evaluation, read_split, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.tables import cap_tables, different_texts
from mtlkit.data.datasets.task_data import prepare
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError

HEADER = "text,topic,mood,stars\n"


def reading(**options: object) -> ReadOptions:
    return replace(ReadOptions("utf-8", "error", SkippedRows()), **options)  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 rows: `mood` in half of them, `stars` in a quarter, and one row without any label."""
    path = tmp_path / "r.csv"
    rows = [f"text {row},{'ab'[row % 2]},{('x', '', 'y', '')[row % 4]},{row / 2 if row % 4 == 1 else ' '}" for row in range(40)]
    path.write_text(HEADER + "\n".join([*rows, "no label,,,"]) + "\n")
    return path


def test_a_blank_is_a_gap_in_its_own_column_only(table: Path) -> None:
    how = reading(keep_places=True)
    sources = named_sources([f"{table}?labels=topic,mood,stars"])
    splits = {}
    for name, source in sources.items():
        path, query = parse_source(source)
        splits[name] = read_split(open_source(path, query), query, "train", how)
    assert {name: (len(split), split.gaps) for name, split in splits.items()} == {
        "topic": (40, 0),
        "mood": (20, 20),
        "stars": (10, 30),
    }
    assert splits["mood"].texts[1] == "text 2"
    assert (splits["stars"].labels[1], splits["stars"].places[1]) == ("2.5", f"{table}:7")
    assert splits["topic"].pool is splits["mood"].pool is splits["stars"].pool  # read once
    assert "1 of 41 rows in split 'train' have no label at all" in splits["topic"].record.remarks[-1]
    assert (splits["mood"].record.label, splits["mood"].record.unused) == (("mood",), ())


def test_all_columns_hold_out_the_same_rows(table: Path) -> None:
    sources = named_sources([f"{table}?labels=topic,mood,stars&kind.stars=regression"])
    how = reading()
    tables = {name: read_train_and_validation(source, how) for name, source in sources.items()}
    held = set(tables["topic"][1].texts)
    assert held
    for train, validation in tables.values():
        assert set(validation.texts) <= held
        assert held.isdisjoint(train.texts)
        assert len(validation) == len(validation.texts) == round(0.1 * (len(train) + len(validation)))
    alone, split = read_for_evaluation(sources["stars"], "validation", reading(), named=False)
    assert (alone, split) == (tables["stars"][1], "validation")


def test_texts_are_tokenized_once_for_all_columns(table: Path, text_encoder: TextEncoder) -> None:
    sources, how = named_sources([f"{table}?labels=topic,mood"]), reading()
    splits = {name: read_train_and_validation(source, how)[0] for name, source in sources.items()}
    assert list(different_texts(splits.values())) == list(splits["topic"].texts)
    topic = prepare(TaskSpec("topic", "classification", ("a", "b")), splits["topic"], text_encoder)
    mood = prepare(TaskSpec("mood", "classification", ("x", "y")), splits["mood"], text_encoder)
    assert topic.encoded is topic.pool is mood.pool
    assert mood.index is not None
    for row, text in enumerate(mood.index):
        assert mood.encoded.take(np.array([row])).ids.tolist() == topic.encoded.take(np.array([text])).ids.tolist()


def test_a_cap_draws_rows_of_the_table(table: Path) -> None:
    sources, how = named_sources([f"{table}?labels=topic,mood"]), reading()
    splits = {name: read_train_and_validation(source, how)[0] for name, source in sources.items()}
    capped = cap_tables(splits, 12)
    topic, mood = capped["topic"], capped["mood"]
    assert (len(topic), topic.gaps) == (12, 0)
    assert topic.pool is mood.pool
    assert len(mood) + mood.gaps == 12
    assert mood.texts == [mood.pool.texts[row] for row in mood.index]  # type: ignore[union-attr]
    assert cap_tables(splits, 100) == splits


def test_a_model_reads_each_column_as_it_was_trained_to(table: Path) -> None:
    records = {"mood": SourceRecord("r.csv", label=("mood",), text=("text",), kind="multi-label")}
    sources = named_sources([f"{table}?labels=topic,mood"])
    how = reading(records=records)
    labels = {name: read_for_evaluation(source, "train", how, named=True)[0].labels[:2] for name, source in sources.items()}
    assert labels == {"topic": ["a", "b"], "mood": ["x", "y"]}


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ("one,a,x,1\ntwo,b,y,2\n", "topic,moood", r"column 'moood' not found in .*r.csv; columns: .* did you mean 'mood'\?"),
        ("one,a,,1\ntwo,b,,2\n", "topic,mood", "column 'mood' has no label in split 'train'; remove it from labels="),
        ("one,a,x,1\ntwo,b,,2\n", "topic,mood", "column 'mood' has 1 label"),
        ("one,a,x,1\ntwo,b,x,many\n", "topic,stars&kind.stars=regression", "r.csv:3: column 'stars' holds 'many'"),
    ],
)
def test_wrong_columns_are_refused(rows: str, labels: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(HEADER + rows)
    last = list(named_sources([f"{path}?labels={labels}"]).values())[-1]
    with pytest.raises(DataError, match=message):
        read_train_and_validation(last, reading())
