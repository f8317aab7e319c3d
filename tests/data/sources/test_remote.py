"""Remote addresses through fsspec; its memory file system acts as one."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import fsspec
import pytest

from mtlkit.data.sources import RemoteSource, open_source
from mtlkit.data.sources.grammar.spec import Query, parse_source
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


def test_missing_items_are_reported(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(DataError, match=r"memory://nothing.*: no .*file"):
        open_source("memory://nothing/at/all.csv", Query()).splits()


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("s3://bucket/a.csv", "s3fs", "s3fs"),
        ("https://host/a.csv", "aiohttp", "'fsspec[http]'"),
        ("sftp://host/a.csv", "paramiko", "paramiko"),
        ("github://owner:name@/a.csv", "requests", "requests"),
        ("smb://host/share/a.csv", "smbclient", "smbprotocol"),
    ],
)
def test_a_missing_package_is_named_by_the_command_that_installs_it(
    url: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(url: str) -> None:
        raise ImportError("some advice") from ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError) as raised:
        open_source(url, Query()).splits()
    assert str(raised.value).endswith(f"install it with: pip install {package}")


def test_a_protocol_that_cannot_be_used_for_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("only in a browser\nsecond line")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError, match=r"only in a browser\)$"):
        open_source("pyscript://a/b.csv", Query()).splits()


def test_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"foo://a.*unknown protocol.*known: .*ftp.*s3"):
        open_source("foo://a/b.csv", Query()).splits()
    with pytest.raises(DataError, match="did you mean 'sftp'"):
        open_source("stfp://a/b.csv", Query()).splits()


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1:9", "no-such-host.invalid"])
def test_a_host_that_does_not_answer_is_a_fault_of_the_network(host: str) -> None:
    """The discard port refuses at once; a name under .invalid never resolves."""
    with pytest.raises(NetworkError, match=rf"^ftp://{host}/y\.csv: cannot be reached \(.*give a local file$"):
        open_source(f"ftp://{host}/y.csv", Query()).splits()


class EndpointConnectionError(Exception):
    """As botocore calls its own, which shares no class with the standard library."""


@pytest.mark.parametrize(
    "error", [OSError(errno.EHOSTUNREACH, "No route to host"), EndpointConnectionError("no endpoint"), TimeoutError()]
)
def test_what_other_libraries_say_of_the_network(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str) -> None:
        raise error

    monkeypatch.setattr("fsspec.core.url_to_fs", unreachable)
    with pytest.raises(NetworkError, match=r"sftp://host/a.csv: cannot be reached"):
        open_source("sftp://host/a.csv", Query()).splits()


def test_the_hub_is_left_alone_offline(monkeypatch: pytest.MonkeyPatch) -> None:  # fault 51
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set"):
        open_source("hf://datasets/some/data/train.csv", Query()).splits()
