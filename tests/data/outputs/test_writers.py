"""Files of vectors, written in parts and read back by the libraries whose formats they are."""

from __future__ import annotations

import csv
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

from mtlkit.config.commands.embed import VectorType
from mtlkit.data.outputs.columns import Column, Layout, OutputRows, VectorColumn, quantized
from mtlkit.data.outputs.writers import WRITERS, check_format, check_vector_type, output_file
from mtlkit.errors import SavingError, UsageError

Vectors = NDArray[np.float32]

TEXTS = ["plain", "", 'a "quoted" one', "line\nbreak", "café 😀 \u2028", "[/] \x1b[31m", "7", "8", "9", "10", "11"]
VECTORS = np.random.default_rng(0).standard_normal((11, 5)).astype(np.float32)
PARTS = (3, 0, 1, 7)
LAYOUT = Layout(True, (), VectorColumn(5))


def read_jsonl(path: Path) -> tuple[list[str] | None, Vectors]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    return [row["text"] for row in rows], np.array([row["vector"] for row in rows], np.float32)


def read_parquet(path: Path) -> tuple[list[str] | None, Vectors]:
    table = parquet.read_table(path)
    vectors = table["vector"].combine_chunks()
    return table["text"].to_pylist(), vectors.values.to_numpy(zero_copy_only=False).reshape(len(table), -1)


def read_csv(path: Path) -> tuple[list[str] | None, Vectors]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([json.loads(row["vector"]) for row in rows], np.float32)


READERS: dict[str, Callable[[Path], tuple[list[str] | None, Vectors]]] = {
    ".npy": lambda path: (None, np.load(path, allow_pickle=False)),
    ".jsonl": read_jsonl,
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".safetensors": lambda path: (None, load_file(path)["vectors"]),
}

every_suffix = pytest.mark.parametrize("suffix", [*WRITERS])


def write(path: Path) -> None:
    with output_file(path, LAYOUT) as writer:
        start = 0
        for size in PARTS:
            writer.add(LAYOUT.batch(OutputRows(TEXTS[start : start + size], VECTORS[start : start + size])))
            start += size


def test_every_format_is_tested() -> None:
    assert set(WRITERS) == set(READERS)


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
    with output_file(path, LAYOUT):
        pass
    if suffix == ".parquet":
        assert parquet.read_table(path).num_rows == 0
    else:
        assert READERS[suffix](path)[1].shape == (0, 5)


def test_many_parts_keep_the_header_in_its_place(tmp_path: Path) -> None:
    rows = np.arange(30_000, dtype=np.float32)[:, None]
    for suffix in (".npy", ".safetensors"):
        path = tmp_path / f"vectors{suffix}"
        with output_file(path, Layout(True, (), VectorColumn(1))) as writer:
            for start in range(0, len(rows), 100):
                writer.add({"text": [""] * 100, "vector": rows[start : start + 100]})
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
        with output_file(path, LAYOUT) as writer:
            writer.add(LAYOUT.batch(OutputRows(TEXTS[:3], VECTORS[:3])))
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


@pytest.mark.parametrize(
    ("suffix", "vectors", "keep", "said"),
    [
        (".npz", True, False, "is not one of .npy, .safetensors, .jsonl, .csv, .parquet"),
        (".npy", False, False, "is not one of .jsonl, .csv, .parquet"),
        (".npy", True, True, "--keep needs another format"),
    ],
)
def test_unknown_format_is_refused_before_any_work(suffix: str, vectors: bool, keep: bool, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_format(suffix, f"out{suffix}", vectors=vectors, keep=keep)


TYPES: list[VectorType] = ["float16", "int8", "binary"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".safetensors"])
def test_smaller_types_are_read_back_with_their_scales(tmp_path: Path, suffix: str, kind: VectorType) -> None:
    path, vectors = tmp_path / f"vectors{suffix}", np.tile(VECTORS[:, :4], 2)
    layout = Layout(False, (), VectorColumn(8, kind))
    wanted, scales = quantized(vectors, kind)
    if scales is not None and suffix == ".npy":
        with pytest.raises(UsageError, match="has no place"):
            check_vector_type(suffix, VectorColumn(8, kind))
        return
    with output_file(path, layout) as writer:
        for start in (0, 4):
            writer.add(layout.batch(OutputRows(TEXTS[start : start + 4], vectors[start : start + 4])))
    if suffix == ".npy":
        assert np.array_equal(np.load(path), wanted[:8])
    elif suffix == ".safetensors":
        tensors = load_file(path)
        assert np.array_equal(tensors["vectors"], wanted[:8])
        assert scales is None or np.array_equal(tensors["scales"], scales[:8])
    else:
        table = parquet.read_table(path)
        assert np.array_equal(np.array(table["vector"].to_pylist(), wanted.dtype), wanted[:8])
        assert scales is None or np.array_equal(table["scale"].to_numpy(), scales[:8])


VALUES = [(1, "a", {"x": 1.5}, None), (None, 'say "b"\n', None, {"r": 1.0})]
COLUMNS = (Column("id", "int"), Column("note", "string"), Column("tasks", "json"), Column("router", "json", optional=True))


def test_values_are_nested_in_jsonl_and_flat_elsewhere(tmp_path: Path) -> None:
    layout = Layout(False, COLUMNS)
    for suffix in (".jsonl", ".csv", ".parquet"):
        with output_file(tmp_path / f"out{suffix}", layout) as writer:
            writer.add(layout.batch(OutputRows(["1", "2"], None, VALUES)))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[0] == {"id": 1, "note": "a", "tasks": {"x": 1.5}}  # an optional column without a value is left out
    assert lines[1] == {"id": None, "note": 'say "b"\n', "tasks": None, "router": {"r": 1.0}}
    with (tmp_path / "out.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["id", "note", "tasks", "router"],
            ["1", "a", '{"x": 1.5}', ""],
            ["", 'say "b"\n', "", '{"r": 1.0}'],
        ]
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist()[0] == {
        "id": 1,
        "note": "a",
        "tasks": '{"x": 1.5}',
        "router": None,
    }
