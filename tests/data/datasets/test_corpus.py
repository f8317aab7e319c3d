"""Texts for pretraining: which are read and which are held out."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from mtlkit.data.datasets.corpus import SplitTexts, read_corpus, read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError


def texts_of(source: str) -> list[str]:
    return list(read_texts(source, ReadOptions("utf-8", "error", SkippedRows())))


def split_of(*sources: object, seed: int = 0, skip: bool = False) -> SplitTexts:
    return read_corpus(
        [str(source) for source in sources], ReadOptions("utf-8", "skip" if skip else "error", SkippedRows()), seed
    )


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
    split = split_of(lines)
    assert (len(split.train), len(split.held_out), split.tally.skipped, split.origin) == (190, 10, 0, "")
    numbers = [int(text.split()[1]) for text in split.train]
    assert numbers == sorted(numbers)
    assert sorted(split.train + split.held_out) == sorted(f"line {number}" for number in range(200))
    assert split_of(lines) == split
    assert split_of(lines, seed=1).held_out != split.held_out


def test_equal_texts_stay_on_one_side(tmp_path: Path) -> None:
    words = [
        f"{first} {second}" for first in ["red", "blue", "green", "grey", "black"] for second in ["cat", "dog", "fish", "bird"]
    ]
    rows = [form for word in words for form in (word, word.upper(), f"  {word}", word.replace(" ", "   "))]
    (tmp_path / "a.txt").write_text("\n".join(rows * 2))
    for seed in range(5):
        split = split_of(tmp_path / "a.txt", seed=seed)
        train, held_out = ({" ".join(text.lower().split()) for text in texts} for texts in (split.train, split.held_out))
        assert held_out
        assert not train & held_out
        assert len(split.train) + len(split.held_out) == 160


def test_a_text_that_is_nearly_a_training_text_is_not_held_out(tmp_path: Path) -> None:
    story = "Once upon a time a small grey fox lived at the edge of a wood, and every night it counted the {} stars above."
    near = [story.format(number) for number in range(20)]
    random = Random(0)
    others = ["".join(random.choices("abcdefgh ", k=60)) for _ in range(300)]
    (tmp_path / "a.txt").write_text("\n".join(near + others))
    for seed in range(8):
        split = split_of(tmp_path / "a.txt", seed=seed)
        assert split.held_out
        assert not set(near) & set(split.held_out)


def test_near_texts_alone_are_held_out_all_the_same(tmp_path: Path) -> None:
    near = [f"Once upon a time a small grey fox lived at the edge of a wood and counted {number} stars" for number in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(near))
    assert len(split_of(tmp_path / "a.txt").held_out) == 2


def test_texts_that_are_all_the_same_cannot_be_held_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The same.\nthe same.\n" * 5)
    with pytest.raises(DataError, match="all 10 texts are equal"):
        split_of(tmp_path / "a.txt")


def test_a_validation_split_is_held_out(lines: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "train.csv").write_text("text\n" + "".join(f"train {number}\n" for number in range(30)))
    (folder / "validation.csv").write_text("text\nunseen one\nunseen two\n")
    (folder / "test.csv").write_text("text\nnever read\n")
    split = split_of(folder)
    assert (len(split.train), split.held_out) == (30, ["unseen one", "unseen two"])
    assert str(folder) in split.origin
    both = split_of(folder, f"{lines}?limit=100")
    assert both.train[:30] == split.train
    assert len(both.held_out) == 2 + 5
    assert "validation split of" in both.origin
    lone = tmp_path / "lone.txt"
    lone.write_text("one text\n")
    assert len(split_of(folder, lone).train) == 31


def test_sources_are_read_one_after_another(lines: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"text": "last"}\n')
    split = split_of(f"{lines}?limit=20", tmp_path / "b.jsonl", seed=3)
    assert sorted(split.train + split.held_out) == sorted(["last", *(f"line {number}" for number in range(20))])


def test_skipped_rows_are_counted_over_all_sources(tmp_path: Path) -> None:  # fault 19
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text\n{name} fine\n{name} also good\nnot,fine\n")
    sources = [tmp_path / "a.csv", tmp_path / "b.csv"]
    split = split_of(*sources, skip=True)
    assert len(split.train + split.held_out) == 4
    assert split.tally.skipped == 2
    with pytest.raises(DataError, match=r"a.csv:4: 2 fields, but the header has 1"):
        split_of(*sources)


@pytest.mark.parametrize("value", ["null", "{}"])
def test_row_without_text_is_an_error(tmp_path: Path, value: str) -> None:  # fault 20
    path = tmp_path / "a.jsonl"
    row = "{}" if value == "{}" else '{"text": null}'
    path.write_text('{"text": "one"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"a.jsonl:2: no text in column 'text'; fix it"):
        texts_of(str(path))


@pytest.mark.parametrize(("content", "count"), [("", "0 texts"), ("one\n", "1 text"), ("\n \n", "0 texts")])
def test_too_few_texts_are_refused(tmp_path: Path, content: str, count: str) -> None:  # fault 24
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        split_of(path)
    assert str(caught.value) == f"{path}: {count}; at least two are needed, as one is held out"


def test_an_error_says_that_repeated_texts_were_left_out(tmp_path: Path) -> None:
    path = tmp_path / "alike.txt"
    path.write_text("".join(f"The committee met again on day {day} to hear the report of its members.\n" for day in range(30)))
    with pytest.raises(DataError) as caught:
        read_corpus([str(path)], ReadOptions("utf-8", "error", SkippedRows()), 0, "near")
    left_out = "29 that repeat others were left out, and --dedup none keeps them"
    assert str(caught.value) == f"{path}: 1 text; at least two are needed, as one is held out; {left_out}"
    assert len(read_corpus([str(path)], ReadOptions("utf-8", "error", SkippedRows()), 0).train) == 28


def test_repeated_texts_are_left_out_before_texts_are_held_out(tmp_path: Path) -> None:
    story = "Once upon a time a small grey fox lived at the edge of a wood, and every night it counted the {} stars above."
    rows = [f"line {number} of {'abcdefghij'[number % 10] * 9}" for number in range(100)] + [story.format(n) for n in range(40)]
    (tmp_path / "a.txt").write_text("\n".join([*rows, *(row.upper() for row in rows[:30])]))
    for seed in range(3):
        split = read_corpus([str(tmp_path / "a.txt")], ReadOptions("utf-8", "error", SkippedRows()), seed, "near")
        assert (split.removed.equal, split.removed.near) == (30, 39)
        assert len(split.train) + len(split.held_out) == 101
        assert split.ends == (len(split.train),)


def test_texts_of_a_validation_split_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("".join(f"line {number}\n" for number in range(20)) + "Held  Out\n")
    (tmp_path / "validation.txt").write_text("held out\nheld out\nanother one\n")
    (tmp_path / "more.txt").write_text("line 3\nsomething else altogether\n")
    sources = [str(tmp_path / "more.txt"), f"{tmp_path}"]
    reading = ReadOptions("utf-8", "error", SkippedRows())
    split = read_corpus(sources, reading, 0, "exact")
    assert "Held  Out" not in split.train
    assert [text for text in split.held_out if "held" in text] == ["held out", "held out"]  # what is measured stays
    assert (split.train + split.held_out).count("line 3") == 1
    assert split.removed.equal == 2
    assert "Held  Out" in read_corpus(sources, reading, 0).train
