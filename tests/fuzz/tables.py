"""Tables in every format: sound ones, and what training, evaluation and `embed --input` do with them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
from fuzz.sound import TEXTS, seal_run, write_run
from pyarrow import feather, parquet

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_for_evaluation, read_split
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.sources.text_files import count_rows, read_column
from mtlkit.errors import MtlkitError
from mtlkit.inference.load_weights import read_description
from mtlkit.runs.record import read_record

HEADER = ("text", "label", "number")
LABELS = ["a", "01", "[/]", "é", "b"]
ROWS = [(text, label, float(place)) for place in range(8) for text, label in zip(TEXTS, LABELS, strict=True)]
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: bytes(pyarrow.compress(content, "zstd", asbytes=True)),
}
FILES = {  # kind: the file that is written
    **{kind: f"rows.{kind}" for kind in ("csv", "tsv", "jsonl", "json", "ndjson", "parquet", "arrow", "feather", "txt", "conll")},
    "fasttext": "labelled.txt",
    **{suffix[1:]: f"rows.csv{suffix}" for suffix in COMPRESSED},
}


def write_rows(kind: str) -> Callable[[Path], None]:
    """A writer of a file of rows, in the format of its name."""

    def write(folder: Path) -> None:
        (folder / FILES[kind]).write_bytes(content_of(FILES[kind]))

    return write


def content_of(name: str) -> bytes:
    """The rows as a file of this name holds them."""
    suffix = Path(name).suffix
    if suffix in COMPRESSED:
        return COMPRESSED[suffix](content_of(Path(name).stem))
    if suffix in (".parquet", ".arrow", ".feather"):
        return _binary(suffix)
    if suffix in (".csv", ".tsv"):
        text = io.StringIO(newline="")
        csv.writer(text, delimiter="\t" if suffix == ".tsv" else ",").writerows([HEADER, *ROWS])
        return text.getvalue().encode()
    objects = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    if suffix == ".json":
        return json.dumps(objects, indent=1).encode()
    if suffix in (".jsonl", ".ndjson"):
        return "".join(json.dumps(one) + "\n" for one in objects).encode()
    if suffix == ".conll":
        sentences = ["".join(f"{word}\tNN\tB-{label}\n" for word in text.split()) for text, label, _ in ROWS]
        return "\n".join(sentences).encode()
    if name == FILES["fasttext"]:
        return "".join(f"__label__{label} {text.splitlines()[0] if text else '-'}\n" for text, label, _ in ROWS).encode()
    return ("\n".join(TEXTS * 8) + "\n").encode()


def _binary(suffix: str) -> bytes:
    """Arrow's formats, with a column of classes as `datasets` describes it."""
    numbers = [place % 2 for place in range(len(ROWS))]
    columns = {"text": [row[0] for row in ROWS], "label": numbers, "number": [row[2] for row in ROWS]}
    features = {"label": {"names": ["a", "b"], "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pyarrow.table(columns).replace_schema_metadata(described)
    sink = pyarrow.BufferOutputStream()
    if suffix == ".parquet":
        parquet.write_table(table, sink, row_group_size=16)
    elif suffix == ".feather":
        feather.write_feather(table, sink)
    else:
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=16)
    return sink.getvalue().to_pybytes()


def read_rows(folder: Path) -> None:
    """Reads a file as training and `embed --input` do; it counts as refused if all of them refuse it."""
    (path,) = folder.iterdir()
    ways = [
        lambda encoding=encoding, on_bad_row=on_bad_row, way=way: way(path, encoding, on_bad_row)
        for encoding, on_bad_row in (("utf-8", "error"), ("utf-8", "skip"), ("utf-16", "skip"))
        for way in (_table, _column)
    ]
    _try_all(ways)


def _try_all(ways: list[Callable[[], object]]) -> None:
    errors = []
    for way in ways:
        try:
            way()
        except MtlkitError as error:
            errors.append(error)
    if len(errors) == len(ways):
        raise errors[0]


def _table(path: Path, encoding: str, on_bad_row: str) -> None:
    address, query = parse_source(str(path))
    read_split(open_source(address, query), query, "train", ReadOptions(encoding, on_bad_row, SkippedRows()))  # type: ignore[arg-type]


def _column(path: Path, encoding: str, on_bad_row: str) -> None:
    count_rows(path)
    for _ in read_column(path, {"error": None, "skip": "text"}[on_bad_row], encoding):
        pass


SOURCES = {
    "topic": SourceRecord("rows.csv", {"train": ("rows.csv",)}, "csv", "utf-8", ",", True, True, ("text",), ("label",)),
    "tags": SourceRecord("rows.csv", text=("text",), label=("label",), kind="multi-label", sep="|", strip=True, fold=True),
    "stars": SourceRecord("rows.csv", text=("text",), label=("number",), kind="regression", unused=("label",), remarks=("a",)),
}


def write_sources(folder: Path) -> None:
    """A run whose config.json says how its data was read, and a table to read again."""
    (folder / "run").mkdir()
    write_run(folder / "run", sources=SOURCES)
    (folder / "rows.csv").write_bytes(content_of("rows.csv"))


def seal_sources(folder: Path) -> None:
    seal_run(folder / "run")


def read_sources(folder: Path) -> None:
    """Reads the records of a run's sources as `eval`, `embed --input` and `info` do."""
    recorded = read_description(folder / "run").sources
    read_record(folder / "run")
    path = folder / "rows.csv"
    ways: list[Callable[[], object]] = [lambda: list(read_column(path, None, "utf-8", list(recorded.values())))]
    ways += [
        lambda record=record: read_for_evaluation(  # type: ignore[misc]
            str(path), "test", ReadOptions("utf-8", "error", SkippedRows(), recorded=record), named=True
        )
        for record in recorded.values()
    ]
    _try_all(ways)
