"""Parquet and Arrow files: rows are read by bytes, not by a fixed number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pytest
from pyarrow import parquet

from mtlkit.data.formats import expansion
from mtlkit.data.formats.files import LocalFile
from mtlkit.data.sources import parquet as module
from mtlkit.data.sources.parquet import parquet_batches, parquet_file
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.text_files import read_column
from mtlkit.errors import DataError


def repeated(letters: int, rows: int, *, dictionary: bool) -> Any:
    """A table whose text is one and the same in all rows."""
    values = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array(["a" * letters]))
    return pyarrow.table({"text": values if dictionary else values.cast(pyarrow.string()), "label": ["x"] * rows})


@pytest.mark.parametrize("dictionary", [False, True])
def test_a_dictionary_bomb_is_refused_in_bounded_memory(tmp_path: Path, dictionary: bool) -> None:  # fault 49
    path = tmp_path / "a.parquet"
    parquet.write_table(repeated(1 << 18, 600, dictionary=dictionary), path, compression="zstd")
    assert path.stat().st_size < 5000
    pyarrow.default_memory_pool().release_unused()
    before = pyarrow.total_allocated_bytes()
    for rows in (read(path), read_column(path, None, "utf-8")):
        with pytest.raises(DataError, match=r"expands from .* bytes to more than"):
            list(rows)
    assert pyarrow.total_allocated_bytes() - before < 1 << 20


def test_batches_hold_fewer_rows_where_values_are_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 1 << 20)
    monkeypatch.setattr(expansion, "ALWAYS_ALLOWED", 1 << 30)
    path = tmp_path / "a.parquet"
    parquet.write_table(repeated(1 << 17, 100, dictionary=False), path)
    with parquet_file(path) as opened:
        sizes = [batch.num_rows for batch in parquet_batches(opened, LocalFile(path))]
    assert max(sizes) <= 8
    assert sum(sizes) == 100
    monkeypatch.undo()
    parquet.write_table(pyarrow.table({"text": [f"text {number}" for number in range(5000)]}), path)
    with parquet_file(path) as opened:
        assert [batch.num_rows for batch in parquet_batches(opened, LocalFile(path))] == [1024] * 4 + [904]


@pytest.mark.parametrize("suffix", ["arrow", "feather"])
def test_arrow_files_and_streams_are_read(tmp_path: Path, suffix: str) -> None:
    table = pyarrow.table({"text": ["a", "b"] * 1000, "label": [1, 2] * 1000})
    path = tmp_path / f"a.{suffix}"
    if suffix == "feather":
        pyarrow.feather.write_feather(table, str(path))
    else:
        with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table)
    rows = list(read(path))
    assert rows == table.to_pylist()
    assert rows[-1].place == f"{path}:2000"  # type: ignore[union-attr]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not a readable Arrow file"):
        list(read(path))


def test_a_parquet_file_without_rows_has_none(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "a.parquet")
    assert list(read(tmp_path / "a.parquet")) == []


@pytest.mark.parametrize("name", ["a.arrow", "a.feather"])
@pytest.mark.parametrize("offset", [2**30, -5])
def test_offsets_outside_the_file_are_not_followed(tmp_path: Path, name: str, offset: int) -> None:  # fault 49
    path = tmp_path / name
    table = pyarrow.table({"text": ["a cat", "a saw", "it"], "label": ["x", "y", "x"]})
    if name == "a.feather":
        pyarrow.feather.write_feather(table, path, compression="uncompressed")
    else:
        with pyarrow.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    assert len(list(read(path))) == 3
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 5, 10, 12))
    assert path.read_bytes().count(offsets) == 1
    path.write_bytes(path.read_bytes().replace(offsets, offsets[:8] + offset.to_bytes(4, "little", signed=True) + offsets[12:]))
    for rows in (read(path), read_column(path, None, "utf-8")):
        with pytest.raises(DataError, match="not a readable Arrow file"):
            list(rows)


def test_an_old_feather_file_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    path.write_bytes(b"FEA1" + bytes(40) + b"FEA1")
    with pytest.raises(DataError, match=r"a\.feather: Feather version 1 .*python -c .*write_feather"):
        list(read(path))
