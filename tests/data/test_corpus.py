"""Texts for pretraining: which are read and which are held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.corpus import read_corpus, read_texts, read_train_and_held_out
from mtlkit.data.labelled_rows import Reading
from mtlkit.data.readers import Tally
from mtlkit.errors import DataError


def texts_of(source: str) -> list[str]:
    return list(read_texts(source, "utf-8", "error", Tally()))


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {number}\n\n" for number in range(200)))
    return path


def test_blank_texts_are_left_out_and_the_limit_counts_the_rest(lines: Path) -> None:
    assert texts_of(f"{lines}?limit=3") == ["line 0", "line 1", "line 2"]
    assert len(texts_of(str(lines))) == 200


def test_labels_are_not_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,text,note\nx,one,1\ny, two ,2\n")
    assert texts_of(str(path)) == ["one", " two "]
    assert texts_of(f"{path}?text=note+text") == ["1 one", "2  two "]


def test_training_split_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("one\n")
    (tmp_path / "unsupervised.txt").write_text("two\n")
    assert texts_of(str(tmp_path)) == ["one"]
    assert texts_of(f"{tmp_path}?split=unsupervised") == ["two"]
    with pytest.raises(DataError, match="no split 'dev'; splits: train, unsupervised"):
        texts_of(f"{tmp_path}?split=dev")


def test_a_twentieth_is_held_out_at_random_and_the_order_kept(lines: Path) -> None:
    train, held_out, tally = read_corpus([str(lines)], "utf-8", "error", seed=0)
    assert (len(train), len(held_out), tally.skipped) == (190, 10, 0)
    numbers = [int(text.split()[1]) for text in train]
    assert numbers == sorted(numbers)
    assert sorted(train + held_out) == sorted(f"line {number}" for number in range(200))
    assert read_corpus([str(lines)], "utf-8", "error", seed=0)[:2] == (train, held_out)
    assert read_corpus([str(lines)], "utf-8", "error", seed=1)[1] != held_out


def test_the_same_twentieth_of_a_source_is_held_out_in_every_training(lines: Path) -> None:
    train, held_out = read_train_and_held_out(f"{lines}?limit=100", Reading("utf-8", "error", Tally()))
    assert (len(train), len(held_out)) == (95, 5)
    assert (train, held_out) == read_corpus([f"{lines}?limit=100"], "utf-8", "error", seed=0)[:2]
    with pytest.raises(DataError, match=r"lines.txt\?limit=1: 1 texts; two are needed at least, one of them held out"):
        read_train_and_held_out(f"{lines}?limit=1", Reading("utf-8", "error", Tally()))


def test_sources_are_read_one_after_another(lines: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"text": "last"}\n')
    train, held_out, _ = read_corpus([f"{lines}?limit=20", str(tmp_path / "b.jsonl")], "utf-8", "error", seed=3)
    assert sorted(train + held_out) == sorted(["last", *(f"line {number}" for number in range(20))])


def test_skipped_rows_are_counted_over_all_sources(tmp_path: Path) -> None:  # fault 19
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("text\nfine\nalso fine\nnot,fine\n")
    sources = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    train, held_out, tally = read_corpus(sources, "utf-8", "skip", seed=0)
    assert len(train + held_out) == 4
    assert tally.skipped == 2
    with pytest.raises(DataError, match=r"a.csv:4: 2 fields where the header has 1"):
        read_corpus(sources, "utf-8", "error", seed=0)


@pytest.mark.parametrize("value", ["null", "{}"])
def test_row_without_text_is_an_error(tmp_path: Path, value: str) -> None:  # fault 20
    path = tmp_path / "a.jsonl"
    row = "{}" if value == "{}" else '{"text": null}'
    path.write_text('{"text": "one"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"a.jsonl:2: no text in column 'text'; fix it"):
        texts_of(str(path))


@pytest.mark.parametrize(("content", "found"), [("", 0), ("one\n", 1), ("\n \n", 0)])
def test_too_little_text_is_one_line(tmp_path: Path, content: str, found: int) -> None:  # fault 24
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_corpus([str(path)], "utf-8", "error", seed=0)
    assert str(caught.value) == f"{path}: {found} texts; two are needed at least, one of them held out"
