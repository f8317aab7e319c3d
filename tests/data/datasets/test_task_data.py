"""Tables with a head's label map as tokens and arrays, and tasks that are almost too small to train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare, prepare_task
from mtlkit.data.labels.marks import Label
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError, UsageError
from mtlkit.recipes.train_mtl import train_mtl

LONG = "The otter sleeps near the barn. " * 20
SPEC = TaskSpec("task", "classification", ("b", "a"))


def test_rows_keep_their_texts_and_labels(text_encoder: TextEncoder) -> None:
    table = LabelledTable(["The otter", "A saw", ""], ["a", "b", "a"])
    texts = prepare(SPEC, table, text_encoder)
    assert texts.labels.tolist() == [1, 0, 1]
    assert texts.rows.tolist() == [0, 1, 2]
    assert texts.encoded.ids.tolist() == text_encoder.encode(table.texts).ids.tolist()
    assert not texts.unseen
    assert len(texts) == 3


def test_label_unseen_in_training_is_counted_apart(text_encoder: TextEncoder) -> None:  # fault 26
    table = LabelledTable([LONG, "The otter", LONG, "A saw", LONG], ["new", "a", "b", "newer", "new"])
    texts = prepare(SPEC, table, text_encoder)
    assert texts.unseen == {"new": 2, "newer": 1}
    assert texts.rows.tolist() == [1, 2]
    assert texts.labels.tolist() == [1, 0]
    assert texts.encoded.ids.tolist() == text_encoder.encode(["The otter", LONG]).ids.tolist()
    assert texts.encoded.truncated == 1  # of the rows that are kept


def test_table_with_unseen_labels_only_is_explained(text_encoder: TextEncoder) -> None:  # fault 26
    with pytest.raises(DataError, match="task 'task': no row has a label that the head knows; data: 'x', 'y'; head: 'b', 'a'"):
        prepare(SPEC, LabelledTable(["one", "two"], ["x", "y"]), text_encoder)


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        (["A", "B"], "specify fold=yes$"),
        (["a ", "b"], ""),
        ([" a"], "specify strip=yes$"),
        ([" A"], "specify strip=yes and fold=yes$"),
    ],
)
def test_labels_in_another_spelling_are_reported_with_how_to_merge_them(
    text_encoder: TextEncoder, labels: list[Label], way: str
) -> None:
    texts = [f"text {label}" for label in labels]
    if not way:
        assert len(prepare(SPEC, LabelledTable(texts, labels), text_encoder)) == 1
        return
    with pytest.raises(DataError, match=f"no row has a label that the head knows; .*{way}"):
        prepare(SPEC, LabelledTable(texts, labels), text_encoder)


def test_order_of_labels_in_a_file_does_not_matter(text_encoder: TextEncoder) -> None:  # fault 27
    table = LabelledTable(["one", "two", "three"], ["a", "b", "a"])
    turned = LabelledTable(table.texts[::-1], table.labels[::-1])
    assert prepare(SPEC, table, text_encoder).labels.tolist() == prepare(SPEC, turned, text_encoder).labels.tolist()[::-1]


def test_truncated_texts_are_counted(text_encoder: TextEncoder) -> None:  # fault 29
    train, validation = LabelledTable(["short", LONG, LONG * 500, "short"], ["a", "b", "a", "b"]), LabelledTable(["short"], ["a"])
    task = prepare_task(SPEC, "a.csv", train, validation, text_encoder)
    assert task.train.encoded.truncated == 2
    assert task.name == "task"


def test_fingerprint_changes_with_the_data(text_encoder: TextEncoder) -> None:
    def fingerprint(texts: list[str], labels: list[Any]) -> str:
        task = prepare_task(SPEC, "a.csv", LabelledTable(texts, labels), LabelledTable(["x"], ["a"]), text_encoder)
        assert task.fingerprint["source"] == "a.csv"
        assert task.fingerprint["train"]["rows"] == len(texts)
        assert task.fingerprint["validation"]["rows"] == 1
        digest: str = task.fingerprint["train"]["sha256"]
        return digest

    original = fingerprint(["one", "two"], ["a", "b"])
    assert fingerprint(["one", "two"], ["a", "b"]) == original
    changed = [(["one", "two."], ["a", "b"]), (["one", "two"], ["b", "a"]), (["two", "one"], ["a", "b"]), (["one"], ["a"])]
    assert len({original, *(fingerprint(*change) for change in changed)}) == 5


def trained(tmp_path: Path, rows: list[tuple[str, str]], **options: Any) -> dict[str, Any]:
    """Metrics of a tiny model trained from scratch on these rows."""
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    shape: dict[str, Any] = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "max_length": 16, "epochs": 1}
    source = [f"small={tmp_path / 'a.csv'}"]
    return train_mtl(TrainMtlOptions(task=source, init="scratch", runs=tmp_path / "runs", **{**shape, **options})).metrics


def test_class_with_one_row_is_trained(tmp_path: Path) -> None:  # fault 38
    rows = [(f"text {number}", "usual") for number in range(10)] + [("the only one", "rare")]
    assert trained(tmp_path, rows)


def test_two_rows_of_one_class_each_are_explained(tmp_path: Path) -> None:  # fault 38
    with pytest.raises(DataError, match="every class has only one row, so none can be held out"):
        trained(tmp_path, [("one", "a"), ("two", "b")])


def test_single_class_is_explained(tmp_path: Path) -> None:  # fault 38
    with pytest.raises(DataError, match="task 'small': all 9 rows have the label 'a'; a head needs two classes") as caught:
        trained(tmp_path, [(f"text {number}", "a") for number in range(10)])
    assert caught.value.exit_code == 3
    assert not list((tmp_path / "runs").glob("*"))


def test_task_with_one_row_is_explained(tmp_path: Path) -> None:  # fault 38
    with pytest.raises(DataError, match="1 row; a task needs at least two"):
        trained(tmp_path, [("one", "a")])


PAIR = TaskSpec("same", "classification", ("no", "yes"), pair="vectors")
PAIRS = LabelledTable(["one", "two", "one"], ["yes", "no", "yes"], seconds=["two words", "one", "three words here"])


def test_each_text_of_pairs_is_encoded_once(text_encoder: TextEncoder) -> None:
    prepared = prepare(PAIR, PAIRS, text_encoder)
    assert (len(prepared), len(prepared.encoded)) == (3, 4)
    assert prepared.pairs is not None
    assert prepared.pairs.tolist() == [[0, 1, 0], [2, 0, 3]]
    lengths = prepared.encoded.lengths
    assert prepared.lengths.tolist() == [lengths[0] + lengths[2], lengths[0] + lengths[1], lengths[0] + lengths[3]]


def test_a_batch_of_pairs_has_each_text_once_and_says_where(text_encoder: TextEncoder) -> None:
    prepared = prepare(PAIR, PAIRS, text_encoder)
    rows = np.array([2, 0])
    batch = prepared.batch(rows)
    assert sorted(batch.rows) == [0, 2, 3]
    places = prepared.places(batch.rows, rows)
    assert places is not None
    assert batch.rows[places].tolist() == [[0, 0], [3, 2]]


def test_pairs_for_a_head_of_single_texts_are_refused_and_the_other_way_round(text_encoder: TextEncoder) -> None:
    with pytest.raises(UsageError, match="'same': its head reads one text"):
        prepare(replace(PAIR, pair=None), PAIRS, text_encoder)
    with pytest.raises(UsageError, match=r"'same': its head reads pairs of texts; specify .*pair=FIRST,SECOND"):
        prepare(PAIR, LabelledTable(["one", "two"], ["yes", "no"]), text_encoder)
