from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from mtlkit.data.sources import parquet as parquet_module
from mtlkit.data.sources.text_files import count_rows, read_column
from mtlkit.errors import DataError


def write(path: Path, **columns: list[Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_a_column_of_a_parquet_file_is_read_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "BATCH_ROWS", 7)
    texts = [f"text {number}" * (number % 3) for number in range(50)]
    path = write(tmp_path / "a.parquet", id=list(range(50)), text=texts)
    assert list(read_column(path, None, "utf-8")) == texts
    assert list(read_column(path, "id", "utf-8")) == [str(number) for number in range(50)]
    assert list(read_column(path, "text+text", "utf-8")) == [f"{text} {text}" for text in texts]
    assert list(read_column(path, "id+text", "utf-8"))[10] == f"10 {texts[10]}"
    assert count_rows(path) == 50


@pytest.mark.parametrize("column", ["text", "other+text"])
def test_a_row_without_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str) -> None:  # fault 20
    monkeypatch.setattr(parquet_module, "BATCH_ROWS", 2)
    path = write(tmp_path / "a.parquet", text=["a", "b", "c", None, None], other=["", "", "", "", None])
    stream = read_column(path, column, "utf-8")
    assert next(stream).endswith("a")
    with pytest.raises(DataError) as error:
        list(stream)
    assert str(error.value) == f"{path}: row 4 has no text in column '{column}'"


def test_faults_of_parquet_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", one=["a"], two=["b"])
    with pytest.raises(DataError, match=r"which column is the text; columns: one, two; specify --column NAME"):
        read_column(path, None, "utf-8")
    with pytest.raises(DataError, match=r"column 'on' not found in .*; columns: one, two; did you mean 'one'"):
        read_column(path, "on", "utf-8")
    with pytest.raises(DataError, match="no rows"):
        read_column(write(tmp_path / "b.parquet", text=pyarrow.array([], pyarrow.string())), None, "utf-8")  # type: ignore[arg-type]
    (tmp_path / "c.parquet").write_text("<html>")
    with pytest.raises(DataError, match=r"c.parquet: not a readable parquet file"):
        read_column(tmp_path / "c.parquet", None, "utf-8")
    with pytest.raises(DataError, match=r"c.parquet: not a readable parquet file"):
        count_rows(tmp_path / "c.parquet")


def test_only_parquet_reports_its_number_of_rows(tmp_path: Path) -> None:
    assert count_rows(tmp_path / "a.csv") is None
