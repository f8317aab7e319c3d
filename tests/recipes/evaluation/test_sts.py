from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from support import write

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluate import evaluate

WORDS = {"animal": ["cat", "dog", "horse", "trout"], "tool": ["hammer", "saw", "drill", "lathe"]}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of two animals, two tools, or one of each, with a score that says so, and a few ties."""
    folder = tmp_path_factory.mktemp("sts")
    kinds = {word: kind for kind, words in WORDS.items() for word in words}
    rows = [
        (f"The {one} sleeps.", f"The {other} lies near the barn.", str(4 * (kinds[one] == kinds[other]) + len(other) % 3 / 2))
        for one in kinds
        for other in kinds
    ]
    write(folder / "test.csv", [("sentence1", "sentence2", "score"), *rows])
    write(folder / "validation.csv", [("sentence1", "sentence2", "score"), *rows[:20]])
    return folder


@pytest.fixture(scope="module")
def model(runs: Path) -> LoadedModel:
    return load(runs / "mtl")


@pytest.mark.parametrize("dim", [None, 4])
def test_correlations_are_those_of_scipy(model: LoadedModel, pairs: Path, dim: int | None) -> None:
    (found,) = evaluate(EvalOptions(sts=[str(pairs)], dim=dim), model).sts
    rows = [line.split(",") for line in (pairs / "test.csv").read_text().splitlines()[1:]]
    first, second = np.split(model.embed([row[side] for side in (0, 1) for row in rows])[:, :dim].astype(float), 2)
    cosines = ((first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)).round(6)
    scores = [float(row[2]) for row in rows]
    assert (found.source, found.split, found.pairs, found.dim) == (str(pairs), "test", 64, dim or 32)
    assert found.spearman == pytest.approx(spearmanr(cosines, scores).statistic, abs=1e-9)
    assert found.pearson == pytest.approx(pearsonr(cosines, scores).statistic, abs=1e-9)
    assert found.pearson > 0.1
    assert found.spearman_interval.low < found.spearman < found.spearman_interval.high
    assert found.pearson_interval.low < found.pearson < found.pearson_interval.high


def test_splits_limits_and_several_sources(model: LoadedModel, pairs: Path) -> None:
    sources = [str(pairs), str(pairs / "test.csv"), f"{pairs}?limit=7"]
    found = evaluate(EvalOptions(sts=sources, split="validation"), model)
    assert [(sts.split, sts.pairs) for sts in found.sts] == [("validation", 20), ("test.csv", 64), ("validation", 7)]
    document = json.loads(json.dumps(found.to_json()))
    assert list(document) == ["model", "split", "sts", "probe"]
    assert [row["source"] for row in document["sts"]] == sources
    assert all(len(row["spearman_interval"]) == len(row["pearson_interval"]) == 2 for row in document["sts"])


def test_intervals_follow_from_the_seed(model: LoadedModel, pairs: Path) -> None:
    first, again, other = (evaluate(EvalOptions(sts=[str(pairs)], seed=seed), model).sts[0] for seed in (0, 0, 1))
    assert first == again
    assert first.spearman_interval != other.spearman_interval
    assert first.spearman == other.spearman


def test_unmeasurable_values_are_reported(model: LoadedModel, pairs: Path, data: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", [("sentence1", "sentence2", "score"), ("a", "b", "1"), ("a", "c", "2")])
    with pytest.raises(DataError, match="2 scored pairs are too few for a correlation; give 3 at least"):
        evaluate(EvalOptions(sts=[str(few)]), model)
    with pytest.raises(DataError, match="no split 'train'; splits: test, validation"):
        evaluate(EvalOptions(sts=[str(pairs)], split="train"), model)
    with pytest.raises(UsageError, match="--dim 33: the vectors of"):
        evaluate(EvalOptions(sts=["none.csv"], dim=33), model)
    with pytest.raises(UsageError, match="--task names data of heads or of --probe"):
        evaluate(EvalOptions(sts=[str(pairs)], task=[f"kind={data / 'kind'}"]), model)
    with pytest.raises(UsageError, match="--text measures a base, --sts vectors"):
        evaluate(EvalOptions(sts=[str(pairs)], text=["sample:topic"]), model)
    with pytest.raises(UsageError, match="--dim truncates vectors for --sts, --probe and --retrieval"):
        evaluate(EvalOptions(dim=4), model)
    with pytest.raises(UsageError, match="key 'lim'"):
        evaluate(EvalOptions(sts=[str(pairs), f"{pairs}?lim=3"]), model)
