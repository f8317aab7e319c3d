"""Addresses of other machines, through fsspec; its memory file system stands for one."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pytest

from mtlkit.data.grammar import Query, parse_source
from mtlkit.data.sources import RemoteSource, open_source
from mtlkit.errors import DataError, NetworkError, UsageError


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    for name in ("/news/train.csv", "/news/deep/Test.jsonl"):
        with system.open(name, "w") as file:
            file.write('{"text": "b"}' if "jsonl" in name else "text,label\na,x\n")
    yield system
    system.rm("/news", recursive=True)


def test_files_folders_and_patterns_are_read(memory: fsspec.AbstractFileSystem) -> None:
    for address, splits in {
        "memory://news": ["test", "train"],
        "memory://news/train.csv": ["train"],
        "memory://news/*.csv": ["train"],
    }.items():
        source = open_source(*parse_source(f"{address}:limit=3"))
        assert isinstance(source, RemoteSource)
        assert source.splits() == splits
        assert list(source.rows("train", "utf-8")) == [{"text": "a", "label": "x"}]
    assert list(open_source("memory://news", Query()).rows("test", "utf-8")) == [{"text": "b"}]
    assert open_source("memory://news", Query()).record("utf-8").delimiter == ","


def test_what_is_not_there_is_told(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(DataError, match=r"memory://nothing.*: no .*file"):
        open_source("memory://nothing/at/all.csv", Query()).splits()


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError, match=r"s3://bucket/a.csv: .*pip install s3fs"):
        open_source("s3://bucket/a.csv", Query()).splits()
    with pytest.raises(UsageError, match=r"pip install 'fsspec\[http\]'"):
        open_source("https://host/a.csv", Query()).splits()


def test_an_unknown_protocol_is_told() -> None:
    with pytest.raises(DataError, match="foo://a"):
        open_source("foo://a/b.csv", Query()).splits()


def test_the_hub_is_left_alone_offline(monkeypatch: pytest.MonkeyPatch) -> None:  # fault 51
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match="offline"):
        open_source("hf://datasets/some/data/train.csv", Query()).splits()
