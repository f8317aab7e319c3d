"""Addresses of data: the samples, files, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.sources import FileSource, FolderSource, HubSource, find_split, open_source
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.errors import DataError


def test_sample_is_a_folder_inside_the_package() -> None:
    source = open_source("sample:topic", Query())
    assert isinstance(source, FolderSource)
    assert source.name == "sample:topic"
    assert source.splits() == ["test", "train", "validation"]


def test_unknown_sample_lists_those_there_are() -> None:
    with pytest.raises(DataError, match=r"sample:topics: no such sample; samples: sample:sentiment, sample:topic; did you mean"):
        open_source("sample:topics", Query())


@pytest.mark.parametrize("name", ["sample:..", "sample:../..", "sample:"])
def test_sample_name_is_no_path(name: str) -> None:
    with pytest.raises(DataError, match="no such sample"):
        open_source(name, Query())


def test_missing_file_names_the_nearest_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    with pytest.raises(DataError, match=r"trian.csv: no such file; did you mean 'train.csv'\?"):
        open_source(str(tmp_path / "trian.csv"), Query())
    with pytest.raises(DataError, match=r"no such file$"):
        open_source(str(tmp_path / "no" / "such" / "folder"), Query())


def test_short_names_stand_for_hub_ids() -> None:
    assert open_source("ag_news", Query()) == HubSource("fancyzhx/ag_news", None)
    assert open_source("imdb", Query(config="plain_text")) == HubSource("stanfordnlp/imdb", "plain_text")


def test_file_is_one_split(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    source = open_source(str(tmp_path / "a.txt"), Query())
    assert isinstance(source, FileSource)
    assert source.splits() == ["train"]
    assert list(source.rows("train", "utf-8")) == [{"text": "one"}]


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_folder_has_a_file_a_split_under_any_usual_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.csv").write_text("text\none\n")
    (tmp_path / f"{name}.jsonl").write_text('{"text": "two"}\n')
    (tmp_path / "README.md").write_text("not data")
    source = open_source(str(tmp_path), Query())
    assert source.splits() == ["train", "validation"]
    assert find_split(source, "validation") == find_split(source, name) == "validation"
    assert find_split(source, "test") is None
    assert list(source.rows("validation", "utf-8")) == [{"text": "two"}]


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text\none\n")
    (tmp_path / "train.jsonl").write_text('{"text": "two"}\n')
    with pytest.raises(DataError, match=r"train.csv, train.jsonl seem to be the same data"):
        open_source(str(tmp_path), Query()).rows("train", "utf-8")


def test_folder_without_data_lists_the_expected_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .csv, .tsv, .*, .parquet.* file in this folder"):
        open_source(str(tmp_path), Query()).splits()


def test_a_folder_of_raw_text_files_is_one_training_split(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(f"text of {name}\n")
    source = open_source(str(tmp_path), Query())
    assert source.splits() == ["a", "b", "train"]
    assert [row["text"] for row in source.rows("train", "utf-8")] == ["text of a.txt", "text of b.txt"]
    assert [row["text"] for row in source.rows("b", "utf-8")] == ["text of b.txt"]


def test_shards_of_a_split_are_read_one_after_another(tmp_path: Path) -> None:
    for number in (1, 0):
        (tmp_path / f"train-0000{number}-of-00002.txt").write_text(f"shard {number}\n")
    (tmp_path / "test.txt").write_text("test\n")
    source = open_source(str(tmp_path), Query())
    assert source.splits() == ["test", "train"]
    assert [row["text"] for row in source.rows("train", "utf-8")] == ["shard 0", "shard 1"]
