"""Files of vectors, written in parts and read back by the libraries whose formats they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from numpy.typing import NDArray
from pyarrow import parquet
from safetensors.numpy import load_file

from mtlkit.data.vector_writers import WRITERS, check_suffix, vector_file
from mtlkit.errors import SavingError, UsageError

Vectors = NDArray[np.float32]

TEXTS = ["plain", "", 'a "quoted" one', "line\nbreak", "café 😀 \u2028", "[/] \x1b[31m", "7", "8", "9", "10", "11"]
VECTORS = np.random.default_rng(0).standard_normal((11, 5)).astype(np.float32)
PARTS = (3, 0, 1, 7)


def read_jsonl(path: Path) -> tuple[list[str] | None, Vectors]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    return [row["text"] for row in rows], np.array([row["vector"] for row in rows], np.float32)


def read_parquet(path: Path) -> tuple[list[str] | None, Vectors]:
    table = parquet.read_table(path)
    vectors = table["vector"].combine_chunks()
    return table["text"].to_pylist(), vectors.values.to_numpy(zero_copy_only=False).reshape(len(table), -1)


READERS: dict[str, Callable[[Path], tuple[list[str] | None, Vectors]]] = {
    ".npy": lambda path: (None, np.load(path, allow_pickle=False)),
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".safetensors": lambda path: (None, load_file(path)["vectors"]),
}

every_suffix = pytest.mark.parametrize("suffix", [*WRITERS])


def write(path: Path) -> None:
    with vector_file(path, 5) as writer:
        start = 0
        for size in PARTS:
            writer.add(TEXTS[start : start + size], VECTORS[start : start + size])
            start += size


def test_every_format_is_tested() -> None:
    assert list(WRITERS) == list(READERS)


@every_suffix
def test_vectors_written_in_parts_are_read_back_equal(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    write(path)
    texts, vectors = READERS[suffix](path)
    assert texts in (None, TEXTS)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, VECTORS)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@every_suffix
def test_suffix_in_capitals_is_the_same_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix.upper()}"
    write(path)
    assert np.array_equal(READERS[suffix](path)[1], VECTORS)


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".safetensors"])
def test_file_without_rows_is_still_one_of_its_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    with vector_file(path, 5):
        pass
    if suffix == ".parquet":
        assert parquet.read_table(path).num_rows == 0
    else:
        assert READERS[suffix](path)[1].shape == (0, 5)


def test_many_parts_keep_the_header_in_its_place(tmp_path: Path) -> None:
    rows = np.arange(30_000, dtype=np.float32)[:, None]
    for suffix in (".npy", ".safetensors"):
        path = tmp_path / f"vectors{suffix}"
        with vector_file(path, 1) as writer:
            for start in range(0, len(rows), 100):
                writer.add([""] * 100, rows[start : start + 100])
        assert np.array_equal(READERS[suffix](path)[1], rows)


def test_parquet_holds_lists_of_fixed_length_in_parts(tmp_path: Path) -> None:
    write(tmp_path / "vectors.parquet")
    with parquet.ParquetFile(tmp_path / "vectors.parquet") as file:
        assert file.schema_arrow.field("vector").type == pyarrow.list_(pyarrow.float32(), 5)
        assert file.num_row_groups > 1


@every_suffix
def test_failure_half_way_leaves_what_stood_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    path.write_text("before")

    def fail() -> None:
        with vector_file(path, 5) as writer:
            writer.add(TEXTS[:3], VECTORS[:3])
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@every_suffix
def test_file_is_replaced_and_readable_by_whom_the_system_lets(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vectors{suffix}"
    path.write_text("before")
    before = os.umask(0o022)
    try:
        write(path)
    finally:
        os.umask(before)
    assert np.array_equal(READERS[suffix](path)[1], VECTORS)
    assert path.stat().st_mode & 0o777 == 0o644


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SavingError, match=r"gone/vectors.npy: No such file or directory"):
        write(tmp_path / "gone" / "vectors.npy")


@pytest.mark.parametrize("name", ["vectors.csv", "vectors", "vectors.npz"])
def test_unknown_suffix_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"is not one of .npy, .jsonl, .parquet, .safetensors"):
        check_suffix(tmp_path / name)
