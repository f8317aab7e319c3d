"""How a source was read, in one line."""

from __future__ import annotations

from collections import Counter

from mtlkit.config.source_record import SourceRecord
from mtlkit.report.sources import source_line, unseen_line


def test_every_choice_is_in_the_line() -> None:
    record = SourceRecord(
        "d",
        {"train": ("a_train.csv", "b_train.csv"), "test": ("test.csv",)},
        "csv",
        "latin-1",
        "\t",
        quoting=False,
        header=False,
        text=("title", "body"),
        label=("tags",),
        unused=("id",),
        kind="multi-label",
        sep="|",
        names=("a", "b"),
        fold=True,
    )
    assert source_line(record, "topic") == (
        "topic: text=title+body, label=tags (multi-label); sep='|', marks: a, b, fold=yes; not used: id; "
        "csv, delimiter 'tab', no quoting, no header, latin-1; train: a_train.csv, b_train.csv; test: test.csv"
    )


def test_columns_that_are_left_out_of_a_pair_are_named() -> None:  # fault 55
    record = SourceRecord("p.csv", {"train": ("p.csv",)}, first="anchor", second="positive", unused=("negative",))
    assert source_line(record, "p.csv") == "p.csv: first=anchor, second=positive; not used: negative"


def test_lines_stay_short() -> None:
    names = tuple("x" * 5000 for _ in range(1000))
    record = SourceRecord("a", {"train": names}, text=names[:1], label=names[:1], unused=names, names=names)
    assert len(source_line(record, "t")) < 1500
    line = unseen_line(Counter({f"label {number} {'x' * 5000}": number + 1 for number in range(10_000)}), "row")
    assert line.startswith("50,005,000 rows with a label unseen in training ('label 9999 xx")
    assert len(line) < 400
