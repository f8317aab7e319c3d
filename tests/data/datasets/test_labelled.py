"""Splits as tables of texts and labels: rows that are read, held out, limited or refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.data.datasets.held_out import hold_out
from mtlkit.data.datasets.labelled import (
    holds_out,
    read_for_evaluation,
    read_split,
    read_test,
    read_train_and_test,
    read_train_and_validation,
)
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.tables import cap_tables
from mtlkit.data.labels.codec import infer_spec
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import OnBadRow, SkippedRows
from mtlkit.errors import DataError


def reading(on_bad_row: OnBadRow = "error", encoding: str = "utf-8") -> ReadOptions:
    return ReadOptions(encoding, on_bad_row, SkippedRows())


def read_table(source: str, how: ReadOptions | None = None) -> LabelledTable:
    address, query = parse_source(source)
    return read_split(open_source(address, query), query, "train", how or reading())


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def numbered(path: Path, rows: int) -> Path:
    """A csv file of `text N`, every fourth of class `rare`."""
    lines = [f"text {row},{'rare' if row % 4 == 0 else 'common'}\n" for row in range(rows)]
    return written(path, "text,label\n" + "".join(lines))


def test_texts_and_labels_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "label,id,text\nx,1,one\ny,2,\nx,3,three\n")
    assert read_table(str(path)) == LabelledTable(["one", "", "three"], ["x", "y", "x"])


def test_columns_can_be_chosen_and_joined(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "title,body,stars,text\none,two,5,not this\n")
    assert read_table(f"{path}?text=title+body&label=stars") == LabelledTable(["one two"], ["5"])


def test_label_column_is_never_used_as_the_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "topic,words\nx,one\n")
    assert read_table(str(path)) == LabelledTable(["one"], ["x"])


@pytest.mark.parametrize("literal", ["NA", "None", "null", "nan", "N/A", "#N/A"])
def test_literal_na_none_and_null_are_kept_as_text_and_as_label(tmp_path: Path, literal: str) -> None:  # fault 21
    path = written(tmp_path / "a.csv", f"text,label\n{literal},yes\nother,{literal}\n")
    table = read_table(str(path))
    assert table == LabelledTable([literal, "other"], ["yes", literal])
    assert infer_spec("task", table.labels, "linear").labels == tuple(sorted(["yes", literal]))


def test_label_per_row_is_refused_as_classes_unless_requested(tmp_path: Path) -> None:  # fault 54
    path = written(tmp_path / "a.csv", "text,label\n" + "".join(f"text {row},{10 * row}.00\n" for row in range(60)))
    with pytest.raises(DataError, match=r"a.csv: 60 rows have 60 different labels \(0.00, 10.00, .*\?kind=regression"):
        read_train_and_validation(str(path), reading())
    train, validation = read_train_and_validation(f"{path}?kind=regression", reading())
    assert (len(train), len(validation)) == (54, 6)


def test_whole_numbers_read_as_classes_are_reported(tmp_path: Path) -> None:  # fault 54
    rows = "".join(f'{{"text": "t", "label": {row % 2}.0}}\n' for row in range(8))
    (remark,) = read_table(str(written(tmp_path / "a.jsonl", rows))).record.remarks
    assert "labels are whole numbers (0, 1), read as classes" in remark
    assert read_table(f"{tmp_path / 'a.jsonl'}?kind=regression").record.remarks == ()


def test_a_label_that_does_not_fit_the_others_is_named_by_its_row(tmp_path: Path) -> None:  # fault 54
    marks = written(tmp_path / "a.csv", 'text,label\na,1|0\n"b\nc",0|1\nbad\nd,1|1\ne,1|0|1\n')
    with pytest.raises(DataError, match=r"a\.csv:7: column 'label' contains \[1, 0, 1\], but other rows have lists of 2"):
        read_table(f"{marks}?sep=|", reading("skip"))
    scores = written(tmp_path / "b.csv", "text,label\na,1.5\nb,2.5\nc,N/A\nd,1.0\n")
    with pytest.raises(DataError, match=r"b\.csv:4: label 'N/A' is not a number, while 3 of 4 rows have one"):
        read_train_and_validation(str(scores), reading())
    with pytest.raises(DataError, match=r"b\.csv:4: column 'label' holds 'N/A', which is not a finite number"):
        read_table(f"{scores}?kind=regression")
    (tmp_path / "data").mkdir()
    written(tmp_path / "data" / "train.csv", "text,label\na,1.5\nb,2.5\n")
    written(tmp_path / "data" / "dev.csv", "text,label\na,1.5\nb,none\n")
    with pytest.raises(DataError, match=r"dev\.csv:3: column 'label' holds 'none', which is not a finite number"):
        read_train_and_validation(str(tmp_path / "data"), reading())
    how = reading("skip")
    assert read_table(f"{scores}?kind=regression", how).labels == ["1.5", "2.5", "1.0"]
    assert how.tally.skipped == 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["0|1|0", "1|1|0"], "labels such as '0|1|0' are read as names; to read marks 0 and 1, specify kind=multi-label"),
        (["010", "110"], "labels such as '010' are read as names"),
        (['"[""a""]"', "b"], "1 of 2 different labels look like lists"),
        (["10", "11"], ""),
        (["(a)", "b"], ""),
    ],
)
def test_marks_and_lists_read_as_names_are_reported(tmp_path: Path, labels: list[str], said: str) -> None:
    path = written(tmp_path / "a.csv", "text,label\n" + "".join(f"t,{label}\n" for label in labels))
    remarks = read_table(str(path)).record.remarks
    assert len(remarks) == bool(said)
    assert all(said in remark for remark in remarks)


def test_labels_that_look_like_several_are_reported_if_not_split(tmp_path: Path) -> None:  # fault 54
    path = written(tmp_path / "a.csv", "text,label\none,a|b\ntwo,a\n")
    (remark,) = read_table(f"{path}?kind=multi-label").record.remarks
    assert "each row has one label, such as 'a|b'; to split labels at '|', specify sep=|" in remark
    assert read_table(f"{path}?kind=multi-label&sep=|").record.remarks == ()


def test_a_first_row_without_a_label_is_a_bad_row_like_others(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": "b", "label": "x"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: no label in column 'label'"):
        read_table(str(path))
    assert read_table(str(path), reading("skip")) == LabelledTable(["b"], ["x"])


def test_how_a_source_was_read_is_kept(tmp_path: Path) -> None:  # faults 54 and 55
    path = written(tmp_path / "a.csv", "id,title,body,tags\n1,one,two,a|b\n2,three,four,b\n")
    record = read_table(f"{path}?text=title+body&label=tags&sep=|").record
    assert (record.text, record.label, record.unused, record.sep) == (("title", "body"), ("tags",), ("id",), "|")
    again = ReadOptions("utf-8", "error", SkippedRows(), recorded=record)
    assert read_table(str(path), again) == LabelledTable(["one two", "three four"], [("a", "b"), ("b",)])


def test_labels_1_and_01_and_1_0_are_three_classes(tmp_path: Path) -> None:  # fault 22
    path = written(tmp_path / "a.csv", "text,label\na,1\nb,01\nc,1.0\nd,1\n")
    table = read_table(str(path))
    assert table.labels == ["1", "01", "1.0", "1"]
    spec = infer_spec("task", table.labels, "linear")
    assert spec.kind == "classification"
    assert sorted(spec.labels) == ["01", "1", "1.0"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_short_row_is_an_error_and_never_a_class_called_none(tmp_path: Path, name: str) -> None:  # fault 20
    content = {
        "a.csv": "text,label\na,x\nshort\nb,y\n",
        "a.tsv": "text\tlabel\na\tx\nshort\nb\ty\n",
        "a.jsonl": '{"text": "a", "label": "x"}\n{"text": "short"}\n{"text": "b", "label": "y"}\n',
    }[name]
    path = written(tmp_path / name, content)
    with pytest.raises(DataError, match=r"a\.\w+:(3: 1 field, but|2: no label in column 'label'; fix it)"):
        read_table(str(path))
    how = reading("skip")
    assert read_table(str(path), how) == LabelledTable(["a", "b"], ["x", "y"])
    assert how.tally.skipped == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"text": "a", "label": null}', "no label in column 'label'"),
        ('{"text": "a", "label": ""}', "no label in column 'label'"),
        ('{"text": "a", "label": NaN}', "no label in column 'label'"),
        ('{"text": "a", "label": Infinity}', "no label in column 'label'"),
        ('{"text": null, "label": "x"}', "no text in column 'text'"),
        ('{"label": "x"}', "no text in column 'text'"),
    ],
)
def test_missing_value_is_named_by_row_and_column(tmp_path: Path, row: str, message: str) -> None:  # fault 20
    path = written(tmp_path / "a.jsonl", '{"text": "a", "label": "x"}\n' + row + "\n")
    with pytest.raises(DataError) as caught:
        read_table(str(path))
    assert str(caught.value).startswith(f"{path}:2: {message}; fix it")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt", "header.csv", "header.tsv", "blank.csv"])
def test_empty_or_header_only_file_is_one_line(tmp_path: Path, name: str) -> None:  # fault 24
    content = {"header.csv": "text,label\n", "header.tsv": "text\tlabel", "blank.csv": "\n\n"}.get(name, "")
    path = written(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_table(str(path))
    assert str(caught.value) == f"{path}: no rows in split 'train'; give a file with a header and rows"


def test_file_with_only_bad_rows_is_reported(tmp_path: Path) -> None:  # fault 24
    path = written(tmp_path / "a.csv", "text,label\none\ntwo\n")
    with pytest.raises(DataError, match=r"none of the rows in split 'train' can be read; 2 rows skipped, such as .*a.csv:2"):
        read_table(str(path), reading("skip"))


def test_wrong_column_name_gives_the_columns_and_the_nearest(tmp_path: Path) -> None:  # fault 25
    path = written(tmp_path / "a.csv", "headline,category\none,x\n")
    with pytest.raises(DataError) as caught:
        read_table(f"{path}?text=hedline&label=category")
    assert str(caught.value) == f"column 'hedline' not found in {path}; columns: headline, category; did you mean 'headline'?"
    with pytest.raises(DataError) as caught:
        read_table(f"{path}?text=headline&label=categories")
    assert str(caught.value) == (
        f"column 'categories' not found in {path}; columns: headline, category; did you mean 'category'?"
    )


def test_encoding_of_the_query_wins(tmp_path: Path) -> None:  # fault 23
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ncafé,x\n".encode("utf-16"))
    assert read_table(f"{path}?encoding=utf-16") == LabelledTable(["café"], ["x"])
    assert read_table(str(path), reading(encoding="utf-16")) == LabelledTable(["café"], ["x"])


def test_limit_draws_the_same_rows_every_time_and_keeps_their_order(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 200)
    table = read_table(f"{path}?limit=50")
    numbers = [int(text.split()[1]) for text in table.texts]
    assert len(numbers) == 50
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 100  # not the first 50: files are often sorted by label
    assert read_table(f"{path}?limit=50") == table
    assert len(read_table(f"{path}?limit=500")) == 200


def test_what_is_scored_on_is_not_limited(tmp_path: Path) -> None:
    numbered(tmp_path / "train.csv", 40)
    numbered(tmp_path / "test.csv", 30)
    train, test = read_train_and_test(f"{tmp_path}?limit=10", "test", reading())
    assert train == read_table(f"{tmp_path / 'train.csv'}?limit=10")
    assert len(train) == 10
    assert test == read_for_evaluation(str(tmp_path), "test", reading(), named=False)[0]
    with pytest.raises(DataError, match="split 'train' is what is trained on; score on another one with --split"):
        read_train_and_test(str(tmp_path), "train", reading())
    with pytest.raises(DataError, match="no split 'validation'; splits: test, train; choose with --split"):
        read_train_and_test(str(tmp_path), "validation", reading())


def test_without_a_validation_split_a_tenth_of_each_class_is_held_out(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 400)
    train, validation = read_train_and_validation(str(path), reading())
    assert Counter(validation.labels) == {"common": 30, "rare": 10}
    assert sorted(train.texts + validation.texts) == sorted(f"text {row}" for row in range(400))
    assert read_train_and_validation(str(path), reading()) == (train, validation)


def test_validation_split_is_taken_where_there_is_one(tmp_path: Path) -> None:
    numbered(tmp_path / "train.csv", 20)
    numbered(tmp_path / "dev.csv", 8)
    train, validation = read_train_and_validation(str(tmp_path), reading())
    assert (len(train), len(validation)) == (20, 8)


def test_split_to_train_on_can_be_named(tmp_path: Path) -> None:
    numbered(tmp_path / "extra.csv", 40)
    numbered(tmp_path / "test.csv", 10)
    assert len(read_train_and_validation(f"{tmp_path}?split=extra", reading())[0]) == 36
    with pytest.raises(DataError, match="no split 'train'; splits: extra, test"):
        read_train_and_validation(str(tmp_path), reading())


def test_evaluation_reads_the_split_asked_for(tmp_path: Path) -> None:
    numbered(tmp_path / "train.csv", 40)
    numbered(tmp_path / "test.csv", 8)
    table, split = read_for_evaluation(str(tmp_path), "test", reading(), named=False)
    assert (len(table), split) == (8, "test")
    table, split = read_for_evaluation(str(tmp_path), "validation", reading(), named=False)
    assert (table, split) == (read_train_and_validation(str(tmp_path), reading())[1], "validation")


def test_file_that_was_trained_on_is_not_evaluated_whole(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 40)
    with pytest.raises(DataError, match="no split 'test'; splits: train; use --split validation"):
        read_for_evaluation(str(path), "test", reading(), named=False)
    assert len(read_for_evaluation(str(path), "test", reading(), named=True)[0]) == 40


@pytest.mark.parametrize(
    ("labels", "held"),
    [
        (["a"] * 50 + ["b"] * 50, {"a": 5, "b": 5}),
        (["a", "b"] * 50 + ["c"] * 4, {"a": 5, "b": 5}),  # a tenth in all: the smallest classes give none
        ([f"class {row % 100}" for row in range(200)], 20),  # never a half, though each class has two rows
        ([f"class {row % 100}" for row in range(400)], 40),
        (["1.5", "2.5", "3.5"] * 10, 3),  # numbers in text files are no classes
        (["a"] * 20 + ["b"], {"a": 2}),  # fault 38: a class with one row stays in train
        ([1.5] * 30, {1.5: 3}),
        ([0.0, 1.0] * 20, {0.0: 2, 1.0: 2}),  # whole numbers are classes
        ([("a", "b")] * 30, {("a", "b"): 3}),
        ([("a",)] * 5 + [(f"rare {row}",) for row in range(20)], {("a",): 2}),  # every label keeps a row to train on
    ],
)
def test_a_tenth_of_the_rows_is_held_out_by_class(labels: list[Any], held: dict[Any, int] | int) -> None:
    marks = hold_out(labels, "a.csv")
    found = Counter(label for label, out in zip(labels, marks, strict=True) if out)
    assert (found if isinstance(held, dict) else sum(found.values())) == held
    if isinstance(labels[0], str) and not labels[0][0].isdigit():
        assert set(labels) == {label for label, out in zip(labels, marks, strict=True) if not out}
    assert np.array_equal(marks, hold_out(labels, "a.csv"))


@pytest.mark.parametrize(
    ("labels", "copies", "held"),
    [
        (["ab"[row // 8 % 2] for row in range(800)], 8, {"a": 40, "b": 40}),
        ([f"class {row // 4 % 20}" for row in range(160)], 4, 16),  # a tenth of a class is less than a text
        (["ab"[row // 8 % 2] for row in range(40)], 8, 8),  # so is a tenth of all
        (["ab"[row % 2] for row in range(400)], 4, 40),  # the same text with two labels
        ([row // 4 + 0.5 for row in range(200)], 4, 20),
        ([("x", "yz"[row // 8 % 2]) for row in range(400)], 8, 40),
    ],
)
def test_rows_with_the_same_text_are_held_out_together(labels: list[Any], copies: int, held: dict[str, int] | int) -> None:
    texts = [f"{('Text', ' TEXT ')[row % 2]} {row // copies}" for row in range(len(labels))]
    order = np.random.default_rng(0).permutation(len(labels))
    labels, texts = [labels[row] for row in order], [texts[row] for row in order]
    marks = hold_out(labels, "a.csv", texts=texts)
    train, out = ({texts[row].split()[1] for row in np.flatnonzero(marks == side)} for side in (False, True))
    assert not train & out
    found = Counter(label for label, out in zip(labels, marks, strict=True) if out)
    assert (found if isinstance(held, dict) else sum(found.values())) == held
    if isinstance(labels[0], str):
        assert set(labels) == {label for label, out in zip(labels, marks, strict=True) if not out}


@pytest.mark.parametrize("labels", [["a", "b"] * 20, [1.5, 2.5] * 20, [("a",), ("b",)] * 20])
def test_different_texts_do_not_change_what_is_held_out(labels: list[Any]) -> None:
    texts = [f"text {row}" for row in range(len(labels))]
    assert np.array_equal(hold_out(labels, "a.csv", texts=texts), hold_out(labels, "a.csv"))


def test_a_text_that_is_all_of_its_class_is_split_all_the_same() -> None:
    labels = ["a", "b"] * 20
    assert hold_out(labels, "a.csv", texts=labels).sum() == 4


@pytest.mark.parametrize(("share", "held"), [(0.0, 0), (0.02, 2), (0.3, 30), (0.5, 50), (0.97, 97)])
def test_another_share_is_held_out_by_class(share: float, held: int) -> None:
    labels = ["a", "b"] * 50
    marks = hold_out(labels, "a.csv", share=share)
    assert marks.sum() == held
    assert abs(marks[::2].sum() - marks[1::2].sum()) <= 1
    assert {label for label, out in zip(labels, marks, strict=True) if not out} == {"a", "b"}


def test_a_share_that_leaves_no_row_on_a_side_is_refused() -> None:
    with pytest.raises(DataError, match=r"^a\.csv: --holdout 0\.99 leaves none of 20 rows to train on"):
        hold_out(["a", "b"] * 10, "a.csv", share=0.99)
    with pytest.raises(DataError, match=r"^a\.csv: --holdout 0\.01 of 20 rows is none; give 0\.05 or more"):
        hold_out(["a", "b"] * 10, "a.csv", share=0.01)
    assert hold_out(["a", "b"] * 2, "a.csv").sum() == 1  # the default share holds out one at least


def test_validation_rows_of_a_run_are_those_of_its_share(tmp_path: Path) -> None:
    path = written(tmp_path / "lone.csv", "text,label\n" + "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(40)))
    third, none = replace(reading(), holdout=0.3), replace(reading(), holdout=0)
    train, validation = read_train_and_validation(str(path), third)
    assert (len(train), len(validation)) == (28, 12)
    assert read_for_evaluation(str(path), "validation", third, named=False)[0] == validation
    assert [len(table) for table in read_train_and_validation(str(path), none)] == [40, 0]
    with pytest.raises(DataError, match=r"--holdout 0"):
        read_for_evaluation(str(path), "validation", none, named=False)


@pytest.mark.parametrize(
    ("tags", "held"),
    [
        ([("B-A", "O"), ("O", "B-A"), ("B-C",)], {0, 1}),  # C stays in training
        ([("B-A",), ("B-C",), ("B-D",)], {0, 1, 2}),
    ],
)
def test_texts_with_tags_are_held_out_whole_without_the_only_one_of_a_tag(tags: list[tuple[str, ...]], held: set[int]) -> None:
    (row,) = np.flatnonzero(hold_out(tags, "a.conll", "tokens", ["x", "y", "z"]))
    assert row in held
    equal = hold_out([*tags, *tags[:2]], "a.conll", "tokens", ["x", "y", "z", "X ", "y"])
    assert equal[0] == equal[3]
    assert equal[1] == equal[4]


@pytest.mark.parametrize("rows", [0, 1])
def test_task_with_one_row_is_refused_with_the_reason(rows: int) -> None:  # fault 38
    with pytest.raises(DataError, match=rf"^a\.csv: {rows} rows?; a task needs at least two"):
        hold_out(["a"] * rows, "a.csv")


@pytest.mark.parametrize("labels", [["a", "b"], [f"class {row}" for row in range(30)], [("a",), ("b",)]])
def test_where_every_class_has_one_row_none_is_held_out(labels: list[Any]) -> None:  # fault 38
    with pytest.raises(DataError, match=r"^a\.csv: every class has only one row"):
        hold_out(labels, "a.csv")


def test_cap_cuts_the_larger_tables_only() -> None:
    small, large = LabelledTable(["s"] * 10, ["x"] * 10), LabelledTable([f"{row:03}" for row in range(100)], ["y"] * 100)
    tables = {"small": small, "large": large}
    assert cap_tables(tables, None) == tables
    shortest = cap_tables(tables, "shortest")
    assert shortest["small"] == small
    assert len(shortest["large"]) == 10
    assert shortest["large"].texts == sorted(shortest["large"].texts)
    assert shortest["large"].texts != large.texts[:10]
    assert cap_tables(tables, "shortest") == shortest
    assert {name: len(table) for name, table in cap_tables(tables, 40).items()} == {"small": 10, "large": 40}


def test_places_are_kept_where_asked_for_and_follow_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "text,label\n" + "".join(f"text {row},{'xy'[row % 2]}\n" for row in range(40)))
    assert read_train_and_validation(str(path), reading())[0].places == []
    how = ReadOptions("utf-8", "error", SkippedRows(), keep_places=True)
    for source in (str(path), f"{path}?limit=25"):
        for table in read_train_and_validation(source, how):
            assert table.places == [f"{path}:{int(text.removeprefix('text ')) + 2}" for text in table.texts]


def test_test_rows_and_whether_validation_is_held_out(tmp_path: Path) -> None:
    rows = "text,label\na,x\nb,y\n"
    written(tmp_path / "train.csv", rows)
    assert read_test(str(tmp_path), reading()) is None
    assert holds_out(str(tmp_path))
    written(tmp_path / "test.csv", "text,label\nc,x\n")
    assert read_test(str(tmp_path), reading()) == LabelledTable(["c"], ["x"])
    assert read_test(f"{tmp_path}?split=test", reading()) is None  # what is trained on is no test
    written(tmp_path / "dev.csv", rows)
    assert not holds_out(str(tmp_path))
    assert holds_out(f"{tmp_path}?split=dev")
    assert read_test(str(tmp_path / "train.csv"), reading()) is None
