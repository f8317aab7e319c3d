"""Files as bytes and lines: compressed ones, those that are no files, and those that would fill the memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import socket
import sys
from pathlib import Path

import pyarrow
import pytest
from rights import as_any_user

from mtlkit.data.formats import expansion, text
from mtlkit.data.formats.files import split_suffix, stem_of
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow
from mtlkit.errors import DataError

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pyarrow.Codec("zstd").compress(content, asbytes=True),
}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(("name", "content"), [("a.csv", "text\nä\n"), ("a.JSONL", '{"text": "ä"}'), ("a.txt", "ä")])
def test_any_text_may_be_compressed(tmp_path: Path, suffix: str, name: str, content: str) -> None:
    path = tmp_path / f"{name}{suffix.upper()}"
    path.write_bytes(COMPRESS[suffix](content.encode()))
    assert list(read(path)) == [{"text": "ä"}]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_is_not_compressed_or_cut_off_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.csv{suffix}"
    whole = COMPRESS[suffix](b"text\n" + os.urandom(5000).hex().encode())
    for content in (b"text\nhello\n", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.csv\{suffix}: cannot be decompressed as \w+ \(") as error:
            list(read(path))
        assert "\n" not in str(error.value)


def test_a_wrong_byte_in_a_compressed_file_is_placed_by_the_text(tmp_path: Path) -> None:  # fault 23
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("text\ncafé\n".encode("latin-1")))
    with pytest.raises(DataError, match=r"byte 8 is not valid utf-8; .*--encoding latin-1"):
        list(read(path))


def test_a_file_that_expands_out_of_all_proportion_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fault 49
    monkeypatch.setattr(expansion, "ALWAYS_ALLOWED", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + b"words and words\n" * 400_000))
    with pytest.raises(DataError, match=r"expands from .* bytes to more than"):
        list(read(path))
    monkeypatch.setattr(expansion, "ALWAYS_ALLOWED", 1 << 27)
    assert sum(1 for _ in read(path)) == 400_000


def test_non_files_are_reported_at_once(tmp_path: Path) -> None:  # fault 46
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    (tmp_path / "folder.csv").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        for name, reason in {
            "pipe": "a named pipe, not a file; .*'-'",
            "zero": "a device, not a file",
            "gone": "a broken link to nowhere",
            "folder": "a folder, not a file",
            "socket": "a socket, not a file",
        }.items():
            for suffix in (".csv", ".csv.gz", ".jsonl", ".parquet"):
                path = (tmp_path / f"{name}.csv").rename(tmp_path / f"{name}{suffix}")
                with pytest.raises(DataError, match=reason) as error:
                    list(read(path))
                assert "\n" not in str(error.value)
                path.rename(tmp_path / f"{name}.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
def test_file_without_permission_is_reported(tmp_path: Path) -> None:  # fault 46
    (tmp_path / "a.csv").touch(mode=0)
    with as_any_user(), pytest.raises(DataError, match="permission denied"):
        list(read(tmp_path / "a.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_a_line_without_end_is_a_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(text, "LONGEST", 1000)
    monkeypatch.setattr(text, "CHUNK", 64)
    first = {".csv": "text\n", ".jsonl": "", ".txt": ""}[suffix]
    last = {".csv": "b", ".jsonl": '{"text": "b"}', ".txt": "b"}[suffix]
    path = tmp_path / f"a{suffix}"
    path.write_text(first + "a" * 5000 + "\n" + last)
    bad, row = read(path)
    assert isinstance(bad, BadRow)
    assert f"{path}:{2 if first else 1}: row longer than" in bad.reason
    assert row == {"text": "b"}


def test_names_are_parted_from_their_suffixes() -> None:
    assert split_suffix("Train.CSV.gz") == (".csv", "gzip")
    assert split_suffix("a.parquet") == (".parquet", None)
    assert split_suffix("a.b.tar.zst") == (".tar", "zstd")
    assert stem_of("news.train.csv.gz") == "news.train"
