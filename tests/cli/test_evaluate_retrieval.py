"""The output of `eval --retrieval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mtlkit

if TYPE_CHECKING:
    from .conftest import Typed

CORPUS = ["The cat sleeps.", "A saw lies broken.", "The horse sleeps.", "A drill lies there.", "The otter eats."]
QUERIES = ["a sleeping cat", "a broken saw", "nothing"]


@pytest.fixture
def files(tmp_path: Path) -> str:
    for name, texts in (("queries", QUERIES), ("corpus", CORPUS)):
        rows = [{"_id": f"{name[0]}{index}", "text": text} for index, text in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq0\tc0\t2\nq0\tc2\t1\nq1\tc1\t1\nq1\tgone\t1\n")
    return ",".join(str(tmp_path / name) for name in ("queries.jsonl", "corpus.jsonl", "qrels.tsv"))


def test_table_and_json(typed: Typed, runs: Path, files: str) -> None:
    shown = typed("eval", "--model", runs / "sentence", "--retrieval", files, width=80)
    assert shown.code == 0, shown.err
    assert shown.widest <= 80
    assert "2 queries, 5 documents" in shown.out
    assert "1 query without a relevant document left out" in shown.err
    assert "counted as not found: gone" in shown.err
    answer = typed("eval", "--model", runs / "sentence", "--retrieval", files, "--json")
    (document,) = json.loads(answer.out)["retrieval"]
    for metric in ("ndcg@10", "graded_ndcg@10", "mrr@10", "recall@1", "recall@10", "recall@100"):
        low, high = document[f"{metric}_interval"]
        assert low <= document[metric] <= high
        assert f"{document[metric]:.4f}" in shown.out
    assert document["recall@100"] == 0.75  # one of four is not in the corpus
    queries, corpus = (mtlkit.load(runs / "sentence").embed(texts, normalize=True) for texts in (QUERIES[:2], CORPUS))
    order = np.argsort(-queries @ corpus.T)
    ranks = [1 + min(row.tolist().index(document) for document in own) for row, own in zip(order, ([0, 2], [1]), strict=True)]
    assert document["mrr@10"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_another_model_on_the_same_queries(typed: Typed, runs: Path, files: str) -> None:
    answer = typed("eval", "--model", runs / "sentence", "--retrieval", files, "--against", runs / "sentence", width=200)
    assert answer.code == 0, answer.err
    assert "on the same 2 queries" in " ".join(answer.out.split())  # a title with long paths is broken
    assert "no clear difference in nDCG@10: 0.0 points" in answer.out


def test_impossible_requests_are_one_line(typed: Typed, runs: Path, files: str, tmp_path: Path) -> None:
    answer = typed("eval", "--model", runs / "sentence", "--retrieval", files.rpartition(",")[0])
    assert answer.code == 2
    assert "is not three files; give queries, corpus and relevance judgements" in answer.err
    answer = typed("eval", "--model", runs / "sentence", "--retrieval", files, "--task", f"kind={tmp_path}")
    assert answer.code == 2
    assert "--retrieval evaluates no heads" in answer.err
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq0\tc0\thigh\n")
    answer = typed("eval", "--model", runs / "sentence", "--retrieval", files)
    assert (answer.code, answer.err.count("\n") <= 3) == (3, True)
    assert "qrels.tsv:2: column 'score' is not a finite number: 'high'" in answer.err
