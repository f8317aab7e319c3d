"""Pairs of texts from files: columns, scores, bad rows, held-out rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import PairTable, read_pairs, read_scored_pairs, read_train_and_validation_pairs
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import OnBadRow, SkippedRows
from mtlkit.errors import DataError


def reading(on_bad_row: OnBadRow = "error") -> ReadOptions:
    return ReadOptions("utf-8", on_bad_row, SkippedRows())


def read(source: str, scored: bool = False, how: ReadOptions | None = None) -> PairTable:
    address, query = parse_source(source)
    return read_pairs(open_source(address, query), query, "train", how or reading(), scored)


def written(path: Path, content: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def numbered(path: Path, rows: int) -> Path:
    return written(path, "sentence1,sentence2,score\n" + "".join(f"one {row},two {row},{row}\n" for row in range(rows)))


def test_pairs_come_in_the_order_of_the_file_with_scores_only_where_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "score,sentence2,id,sentence1\n4.5,b,1,a\n 0 ,d,2,c\n-1e-1,f,3,e\n")
    assert read(str(path)) == PairTable(["a", "c", "e"], ["b", "d", "f"])
    assert read(str(path), scored=True) == PairTable(["a", "c", "e"], ["b", "d", "f"], [4.5, 0.0, -0.1])


def test_columns_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"sentence1": "no", "sentence2": "no", "q": "a", "r": 7, "likeness": 3}\n')
    assert read(f"{path}?first=q&second=r&label=likeness", scored=True) == PairTable(["a"], ["7"], [3.0])


def test_negatives(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "anchor,positive,negative_1,negative_2\na,b,x,y\nc,d,y,z\n")
    table = read(str(path))
    assert (table.firsts, table.seconds, table.negatives) == (["a", "c"], ["b", "d"], [["x", "y"], ["y", "z"]])
    assert table.record.negatives == ("negative_1", "negative_2")
    assert table.select([1]).negatives == [["y"], ["z"]]  # type: ignore[arg-type]
    assert table.all_values() == ["a", "c", "b", "d", "x", "y", "y", "z"]
    assert read(f"{path}?negatives=negative_2").negatives == [["y", "z"]]
    assert read(f"{path}:first=anchor,second=positive,negatives=negative_2,negative_1").negatives == [["y", "z"], ["x", "y"]]
    none = read(f"{path}?negatives=none")
    assert (none.negatives, none.record.unused) == ([], ("negative_1", "negative_2"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,b ", "3: column 'negative' has the same text as column 'positive'; a negative must differ"),
        ("a,b,a", "3: column 'negative' has the same text as column 'anchor'"),
        ("a,b c, B  C", "3: column 'negative' has the same text as column 'positive'"),
        ("a,b,", "3: no text in column 'negative'"),
        ("a,b", "3: "),
        ("a,b,x,y", "3: "),
    ],
)
def test_a_bad_negative_is_named_or_skipped(row: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"anchor,positive,negative\na,b,x\n{row}\n")
    with pytest.raises(DataError) as caught:
        read(str(path))
    assert f"{path}:{message}" in str(caught.value)
    how = reading("skip")
    assert len(read(str(path), how=how)) == 1
    assert how.tally.skipped == 1


def test_scored_pairs_have_no_negatives(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "anchor,positive,negative,score\na,b,x,1\n")
    assert read(str(path), scored=True).negatives == []
    with pytest.raises(DataError, match="scored pairs have no negatives; remove negatives=negative"):
        read(f"{path}?negatives=negative", scored=True)


@pytest.mark.parametrize(
    ("query", "scored", "message"),
    [
        (
            "",
            False,
            "cannot tell which columns are the pair; columns: q, r, likeness; specify ?first=NAME&second=NAME, and "
            "&negatives=NAME for a hard negative",
        ),
        ("?first=q&second=s", False, "column 's' not found in {path}; columns: q, r, likeness"),
        ("?first=q&second=r", True, "cannot tell which column is the score; columns: q, r, likeness; specify ?label=NAME"),
        ("?first=q&second=r&label=likenes", True, "columns: q, r, likeness; did you mean 'likeness'?"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_those_that_are(  # fault 25
    query: str, scored: bool, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", "q,r,likeness\na,b,3\n")
    with pytest.raises(DataError) as caught:
        read(f"{path}{query}", scored)
    assert str(caught.value).endswith(message.format(path=path))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"sentence1": "a", "score": 1}', "2: no text in column 'sentence2'"),
        ('{"sentence1": null, "sentence2": "b", "score": 1}', "2: no text in column 'sentence1'"),
        ('{"sentence1": " ", "sentence2": "b", "score": 1}', "2: no text in column 'sentence1'"),
        ('{"sentence1": "a", "sentence2": "", "score": 1}', "2: no text in column 'sentence2'"),
        ('{"sentence1": "a", "sentence2": "b"}', "2: column 'score' is not a finite number: None"),
        ('{"sentence1": "a", "sentence2": "b", "score": NaN}', "2: column 'score' is not a finite number: nan"),
        ('{"sentence1": "a", "sentence2": "b", "score": 1e999}', "2: column 'score' is not a finite number: inf"),
        ('{"sentence1": "a", "sentence2": "b", "score": "high"}', "2: column 'score' is not a finite number: 'high'"),
        ('{"sentence1": "a", "sentence2": "b", "score": [1]}', "2: column 'score' is not a finite number: [1]"),
    ],
)
def test_a_bad_row_is_named_or_skipped_and_counted(row: str, message: str, tmp_path: Path) -> None:  # faults 19, 20
    good = '{"sentence1": "a", "sentence2": "b", "score": 2}\n'
    path = written(tmp_path / "a.jsonl", good + row + "\n" + good)
    with pytest.raises(DataError) as caught:
        read(str(path), scored=True)
    assert str(caught.value) == f"{path}:{message}; fix it, or skip such rows with --on-bad-row skip"
    how = reading("skip")
    assert read(str(path), True, how) == PairTable(["a", "a"], ["b", "b"], [2.0, 2.0])
    assert (how.tally.skipped, how.tally.reasons) == (1, [f"{path}:{message}"])


def test_a_short_row_is_a_bad_one(tmp_path: Path) -> None:  # fault 20
    path = written(tmp_path / "a.csv", "sentence1,sentence2\na,b\nshort\n")
    with pytest.raises(DataError, match=r"a\.csv:3: 1 field, but the header has 2; fix it"):
        read(str(path))


def test_without_any_pair_the_error_is_one_line(tmp_path: Path) -> None:  # fault 24
    path = written(tmp_path / "a.csv", "sentence1,sentence2\n")
    with pytest.raises(DataError) as caught:
        read(str(path))
    assert str(caught.value) == f"{path}: no pairs in split 'train'; give a file with a header and rows"


def test_a_limit_draws_pairs_at_random_always_the_same_in_their_order(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 100)
    drawn = read(f"{path}?limit=10", scored=True)
    assert drawn.scores == sorted(set(drawn.scores))
    assert len(drawn) == 10
    assert max(drawn.scores) > 20  # not simply the first
    assert drawn.firsts == [f"one {score:.0f}" for score in drawn.scores]
    assert drawn.seconds == [f"two {score:.0f}" for score in drawn.scores]
    assert read(f"{path}?limit=10", scored=True) == drawn
    assert len(read(f"{path}?limit=1000")) == 100


@pytest.mark.parametrize(("rows", "held"), [(4, 2), (12, 2), (200, 20)])
def test_a_tenth_is_held_out_two_at_least(rows: int, held: int, tmp_path: Path) -> None:
    path = str(numbered(tmp_path / "a.csv", rows))
    train, validation = read_train_and_validation_pairs(path, reading(), True)
    assert (len(train), len(validation)) == (rows - held, held)
    assert sorted(train.scores + validation.scores) == list(range(rows))
    for table in (train, validation):
        assert table.scores == sorted(table.scores)
        assert table.firsts == [f"one {score:.0f}" for score in table.scores]
    assert read_train_and_validation_pairs(path, reading(), True) == (train, validation)


def test_equal_pairs_stay_on_one_side(tmp_path: Path) -> None:
    lines = [f"one {row % 30},two {row % 30}" if row < 120 else f"TWO  {row % 30}, one {row % 30} " for row in range(240)]
    path = tmp_path / "a.csv"
    path.write_text("anchor,positive\n" + "\n".join(lines) + "\n")
    train, validation = read_train_and_validation_pairs(str(path), reading(), False)
    sides = [{frozenset((first.strip().split()[-1], "pair")) for first in table.firsts} for table in (train, validation)]
    assert (len(train), len(validation)) == (216, 24)  # 3 of 30 pairs, 8 times each
    assert not sides[0] & sides[1]


def test_too_few_different_pairs_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("anchor,positive\n" + "a,b\nc,d\ne,f\n" * 5)
    with pytest.raises(DataError, match="15 pairs, 3 of them different; at least four different ones"):
        read_train_and_validation_pairs(str(path), reading(), False)


def test_a_validation_split_is_taken_where_there_is_one(tmp_path: Path) -> None:
    numbered(tmp_path / "set" / "train.csv", 5)
    numbered(tmp_path / "set" / "dev.csv", 2003)
    train, validation = read_train_and_validation_pairs(str(tmp_path / "set"), reading(), True)
    assert train.scores == [0, 1, 2, 3, 4]
    assert len(validation) == 2000  # all are compared with all, so their number is bounded
    assert validation.firsts == [f"one {score:.0f}" for score in validation.scores]
    assert validation.scores == sorted(set(validation.scores))


def test_too_few_pairs_to_compare_are_one_line(tmp_path: Path) -> None:  # fault 24
    path = numbered(tmp_path / "a.csv", 3)
    with pytest.raises(DataError) as caught:
        read_train_and_validation_pairs(str(path), reading(), False)
    assert str(caught.value) == f"{path}: 3 pairs; at least four different ones are needed, as two are held out"
    numbered(tmp_path / "set" / "train.csv", 5)
    numbered(tmp_path / "set" / "validation.csv", 1)
    with pytest.raises(DataError) as caught:
        read_train_and_validation_pairs(str(tmp_path / "set"), reading(), False)
    assert str(caught.value).endswith("set: a split has only one pair; give at least two pairs in each split")


def test_a_split_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    numbered(tmp_path / "set" / "train.csv", 5)
    with pytest.raises(DataError, match="no split 'other'; splits: train"):
        read_train_and_validation_pairs(f"{tmp_path / 'set'}?split=other", reading(), False)


def test_pairs_to_evaluate_on_are_a_split_or_a_whole_file(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.csv", 5)
    assert read_scored_pairs(str(path), "test", reading()) == (read(str(path), scored=True), "a.csv")
    numbered(tmp_path / "set" / "train.csv", 5)
    numbered(tmp_path / "set" / "test.csv", 3)
    table, name = read_scored_pairs(str(tmp_path / "set"), "test", reading())
    assert (table.scores, name) == ([0, 1, 2], "test")
    with pytest.raises(DataError, match="no split 'validation'; splits: test, train; choose with --split"):
        read_scored_pairs(str(tmp_path / "set"), "validation", reading())


def test_a_fingerprint_is_made_of_both_texts_and_the_score() -> None:
    assert PairTable(["a", "b"], ["c", "d"], [1.0, 2.5]).all_values() == ["a", "b", "c", "d", "1.0", "2.5"]
