"""Detection by the first bytes of a text file: plain, compressed, or from a pipe."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from mtlkit.data.formats.beginning import check_beginning
from mtlkit.data.sources.readers import read
from mtlkit.errors import DataError

TABLE = "text,label\nhello,a\nthere,b\n"


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("a.csv", TABLE)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TABLE.encode("utf-16"), "byte 0 is not valid utf-8; .*--encoding utf-16$"),
        (TABLE.encode("utf-32"), "byte 0 is not valid utf-8; .*--encoding utf-32$"),
        (TABLE.encode("utf-16-le"), "contains NUL bytes.*--encoding utf-16-le$"),
        (TABLE.replace("e", "é").encode("utf-16-be"), "contains NUL bytes.*--encoding utf-16-be$"),
        (gzip.compress(TABLE.encode(), mtime=0), r"compressed.*\.gz, or decompress it"),
        (archive(), "a zip archive, or an Excel file"),
        (b"PAR1\x15\x04", "a parquet file; .*format=parquet"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path: Path, content: bytes, said: str) -> None:  # fault 23
    for name in ("a.csv", "a.txt", "a.jsonl", "a.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"^{tmp_path / name}: {said}"):
            list(read(tmp_path / name))
    with pytest.raises(DataError, match=f"^standard input: {said}"):
        check_beginning(io.BytesIO(content), "standard input", "utf-8")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    with pytest.raises(DataError, match=rf"^{tmp_path / 'a.csv.gz'}: {said}"):
        list(read(tmp_path / "a.csv.gz"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"])
def test_text_in_the_encoding_that_is_named_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE.encode(encoding))
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    assert list(read(tmp_path / "a.csv", named)) == [{"text": "hello", "label": "a"}, {"text": "there", "label": "b"}]


@pytest.mark.parametrize("content", [b"", b"a\0b\n", b"a\0\0\0b\n", b"PK\n", b"\x1f\n", b"BZh\n"])
def test_text_with_few_odd_bytes_is_text(content: bytes) -> None:
    opened = io.BytesIO(content)
    check_beginning(opened, "a.txt", "utf-8")
    assert opened.read() == content
