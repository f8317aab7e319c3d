from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from support import write

from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.retrieval import RetrievalData, read_retrieval
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError, UsageError

HEADER = ("query-id", "corpus-id", "score")
QUERIES = [{"_id": "1", "text": "first"}, {"_id": "2", "text": "second"}, {"_id": 3, "text": "third"}]
CORPUS: list[dict[str, object]] = [
    {"_id": "b", "title": "A title", "text": "a text"},
    {"_id": "a", "title": "", "text": "no title"},
    {"_id": "c", "text": "no title field"},
    {"_id": "d", "title": "", "text": ""},
]
JUDGED = [("1", "b", "2"), ("1", "a", "0"), ("2", "c", "1"), ("2", "z", "1"), ("9", "a", "1")]


def lines(path: Path, rows: Sequence[Mapping[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(
    folder: Path,
    queries: Sequence[Mapping[str, object]] = QUERIES,
    corpus: Sequence[Mapping[str, object]] = CORPUS,
    judged: Sequence[tuple[str, ...]] = JUDGED,
    header: tuple[str, ...] = HEADER,
    tally: SkippedRows | None = None,
) -> RetrievalData:
    qrels = folder / "qrels.tsv"
    qrels.write_text("".join("\t".join(row) + "\n" for row in (header, *judged)))
    sources = lines(folder / "queries.jsonl", queries), lines(folder / "corpus.jsonl", corpus), str(qrels)
    return read_retrieval(sources, ReadOptions(None, "skip" if tally else "error", tally or SkippedRows()))


def test_layout_of_beir(tmp_path: Path) -> None:
    data = read(tmp_path)
    assert data.queries == ("first", "second")
    assert data.relevant == ({"b": 2.0}, {"c": 1.0, "z": 1.0})
    assert data.ids == ("b", "a", "c", "d")
    assert list(data.corpus.texts()) == ["A title a text", "no title", "no title field", ""]
    assert (data.unjudged, data.missing_queries, data.missing_documents) == (1, ("9",), ("z",))
    assert data.numbers.tolist() == [1, 0, 2, 3]  # alphabetical
    assert data.grades(np.array([[1, 0], [2, -1]])).tolist() == [[2, 0], [1, 0]]


def test_other_formats_and_columns(tmp_path: Path) -> None:
    queries = write(tmp_path / "queries.csv", [("id", "question"), ("1", "first")])
    corpus = write(tmp_path / "corpus.csv", [("id", "text"), ("a", "document")])
    judged = write(tmp_path / "test.csv", [("query_id", "corpus_id", "score"), ("1", "a", "1")])
    data = read_retrieval((f"{queries}?text=question", str(corpus), str(judged)), ReadOptions(None, "error", SkippedRows()))
    assert (data.queries, list(data.corpus.texts())) == (("first",), ["document"])


def test_bad_rows_are_named_by_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"queries.jsonl:2: no id in column '_id'"):
        read(tmp_path, queries=[QUERIES[0], {"text": "no id"}])
    with pytest.raises(DataError, match=r"queries.jsonl:4: the id '1' is repeated"):
        read(tmp_path, queries=[*QUERIES, QUERIES[0]])
    with pytest.raises(DataError, match=r"corpus.jsonl:5: no text in column 'text'"):
        read(tmp_path, corpus=[*CORPUS, {"_id": "e", "text": None}])
    with pytest.raises(DataError, match=r"qrels.tsv:3: column 'score' is not a finite number: 'high'"):
        read(tmp_path, judged=[JUDGED[0], ("1", "c", "high")])
    with pytest.raises(DataError, match=r"qrels.tsv:2: no id in column 'corpus-id'"):
        read(tmp_path, judged=[("1", " ", "1")])
    with pytest.raises(DataError, match=r"qrels.tsv:3: query '1' and document 'b' have two scores"):
        read(tmp_path, judged=[JUDGED[0], ("1", "b", "1")])
    tally = SkippedRows()
    assert read(tmp_path, judged=[*JUDGED, ("1", "c", "high")], tally=tally).queries == ("first", "second")
    assert tally.skipped == 1


def test_many_bad_rows_before_the_first_good_one_are_skipped(tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    damaged = "{damaged\n" * 150
    queries.write_text(damaged + json.dumps(QUERIES[0]) + "\n")
    judged = tmp_path / "qrels.jsonl"
    judged.write_text(damaged + json.dumps({"query-id": "1", "corpus-id": "a", "score": 1}) + "\n")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"_id": "a", "text": "a document"}) + "\n")
    tally = SkippedRows()
    data = read_retrieval((str(queries), str(corpus), str(judged)), ReadOptions(None, "skip", tally))
    assert (len(data.queries), tally.skipped) == (1, 300)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'query-id' not found in .*qrels.tsv; columns: query, corpus-id, score"):
        read(tmp_path, header=("query", "corpus-id", "score"))
    with pytest.raises(DataError, match=r"column '_id' not found in .*; columns: ident, text"):
        read(tmp_path, queries=[{"ident": "1", "text": "first"}])
    with pytest.raises(DataError, match=r"no query of .*queries.jsonl has a relevant document"):
        read(tmp_path, judged=[("7", "b", "1"), ("1", "b", "0")])
    with pytest.raises(DataError, match=r"no relevant document is in .*corpus.jsonl"):
        read(tmp_path, judged=[("1", "x", "1")])
    with pytest.raises(DataError, match=r"corpus.jsonl: no rows"):
        read(tmp_path, corpus=[])
    with pytest.raises(UsageError, match="standard input"):
        read_retrieval(("-:format=jsonl", "corpus.jsonl", str(tmp_path / "qrels.tsv")), ReadOptions(None, "error", SkippedRows()))
