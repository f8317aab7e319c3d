"""Which file of a folder makes which split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtlkit.data.sources import FolderSource, PatternSource, existing_split, find_split, open_source
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.splits import splits_named
from mtlkit.errors import DataError


def folder(place: Path, *names: str) -> Path:
    """Files of one row each, whose text is their name."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(json.dumps({"text": name}) if "jsonl" in name else f"text\n{name}\n")
    return place


def texts(source: Any, split: str) -> list[str]:
    return [row["text"] for row in source.rows(existing_split(source, split), "utf-8")]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("news_train", "train"),
        ("train2", "train"),
        ("newsTraining", "train"),
        ("TRAIN-00000-of-00004", "train"),
        ("trainset", "train"),
        ("imdb.dev.v2", "validation"),
        ("VAL", "validation"),
        ("valid", "validation"),
        ("reviews Validation", "validation"),
        ("Test", "test"),
        ("eval", "test"),
        ("testing_data", "test"),
        ("contest", None),
        ("latest", None),
        ("devices", None),
        ("restrain", None),
    ],
)
def test_split_is_recognized_by_a_word_of_the_file_name(name: str, split: str | None) -> None:
    assert splits_named(name) == ([split] if split else [])


@pytest.mark.parametrize("names", [("Train.csv", "Test.csv"), ("news_train.csv", "news_test.csv"), ("TRAIN.CSV", "Eval.jsonl")])
def test_the_test_file_of_a_folder_is_never_trained_on(tmp_path: Path, names: tuple[str, str]) -> None:
    source = open_source(str(folder(tmp_path, *names)), Query())
    assert texts(source, "train") == [names[0]]
    assert texts(source, "test") == [names[1]]
    assert find_split(source, "validation") is None
    assert source.record("utf-8").files == {"train": (names[0],), "test": (names[1],)}


def test_files_of_one_split_are_joined_and_files_of_none_are_named(tmp_path: Path) -> None:  # fault 55
    source = open_source(str(folder(tmp_path, "train.csv", "train2.csv", "unlabelled.csv", "test.csv")), Query())
    assert texts(source, "train") == ["train.csv", "train2.csv"]
    record = source.record("utf-8")
    assert record.files == {"train": ("train.csv", "train2.csv"), "test": ("test.csv",)}
    assert record.remarks == (f"{tmp_path}: not used: unlabelled.csv; to train on one, specify split=unlabelled",)
    assert texts(source, "unlabelled") == ["unlabelled.csv"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train.csv", "test_train.csv"), "several splits \\(test, train\\); rename it"),
        (("train.csv", "train.jsonl"), "train.csv, train.jsonl seem to be the same data"),
        (("train.csv", "train.jsonl.gz"), r"train.csv, train.jsonl.gz seem to be the same data"),
        (("data.csv", "test.csv"), "no split 'train'; splits: data, test"),
    ],
)
def test_a_folder_that_could_be_read_in_two_ways_is_refused(  # fault 54
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        texts(open_source(str(folder(tmp_path, *names)), Query()), "train")


@pytest.mark.parametrize("above", ["", "data/", "data/news/"])
def test_folders_may_be_splits(tmp_path: Path, above: str) -> None:
    names = [f"{above}{name}" for name in ("Train/a.csv", "Train/b.jsonl", "test/part-1.csv", ".git/train.csv")]
    source = open_source(str(folder(tmp_path, *names)), Query())
    assert texts(source, "train") == names[:2]
    assert texts(source, "test") == names[2:3]
    assert source.record("utf-8").files["train"] == tuple(names[:2])


def test_other_folders_beside_files_are_left_alone(tmp_path: Path) -> None:
    source = open_source(str(folder(tmp_path, "train.csv", "test.csv", "old/train.csv")), Query())
    assert texts(source, "train") == ["train.csv"]


@pytest.mark.parametrize("pattern", ["*.csv", "**/*.csv", "n*/[tT]*.csv"])
def test_a_pattern_is_read_as_a_folder_is(tmp_path: Path, pattern: str) -> None:
    folder(tmp_path, "news/train.csv", "news/test.csv", "news/train.jsonl")
    address, query = parse_source(f"{tmp_path}/{'news/' if pattern == '*.csv' else ''}{pattern}:limit=5")
    source = open_source(address, query)
    assert isinstance(source, PatternSource)
    assert (texts(source, "train"), texts(source, "test")) == (["news/train.csv"], ["news/test.csv"])


def test_pattern_without_matches_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches"):
        open_source(f"{tmp_path}/*.csv", Query()).splits()


def test_a_data_set_saved_by_its_library_is_read(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    one, two = (datasets.Dataset.from_dict({"text": [text], "label": [1]}, features) for text in "ab")
    datasets.DatasetDict({"train": one, "test": two}).save_to_disk(tmp_path / "both")
    one.save_to_disk(tmp_path / "one")
    (tmp_path / "one" / "cache-0123.arrow").write_bytes(b"of an earlier map")
    source = open_source(str(tmp_path / "both"), Query())
    assert isinstance(source, FolderSource)
    assert list(source.rows("train", "utf-8")) == [{"text": "a", "label": "yes"}]
    assert texts(source, "test") == ["b"]
    assert texts(open_source(str(tmp_path / "one"), Query()), "train") == ["a"]
