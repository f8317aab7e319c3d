from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.evaluation.heads import ConfusedPair, most_confused


def test_regression_has_correlations_and_the_squared_error(odd_run: Path, odd_data: Path) -> None:
    model = load(odd_run)
    found = evaluate(EvalOptions(), model).tasks["stars"].metrics
    rows = [json.loads(line) for line in (odd_data / "stars" / "test.jsonl").read_text().splitlines()]
    predicted = [answer["stars"]["value"] for answer in model.predict([row["text"] for row in rows])]
    true = [row["label"] for row in rows]
    assert list(found) == ["kind", "n", *(key for name in ("pearson", "spearman", "mse") for key in (name, f"{name}_interval"))]
    assert (found["kind"], found["n"]) == ("regression", 18)
    assert found["pearson"] == pytest.approx(pearsonr(predicted, true)[0], abs=1e-5)
    assert found["spearman"] == pytest.approx(spearmanr(predicted, true)[0], abs=1e-5)
    assert found["mse"] == pytest.approx(np.mean((np.array(predicted) - true) ** 2), rel=1e-4)
    assert found["pearson"] > 0.7


def test_multi_label_has_a_table_per_label(odd_run: Path, odd_data: Path) -> None:
    model = load(odd_run)
    found = evaluate(EvalOptions(), model).tasks["tags"].metrics
    rows = [json.loads(line) for line in (odd_data / "tags" / "test.jsonl").read_text().splitlines()]
    predicted = [set(answer["tags"]["labels"]) for answer in model.predict([row["text"] for row in rows])]
    true = [set(row["label"]) for row in rows]
    assert (found["kind"], found["n"], found["labels"]) == ("multi-label", 18, ["[/]", "animal", "far"])
    assert found["accuracy"] == pytest.approx(np.mean([one == other for one, other in zip(predicted, true, strict=True)]))
    for label in found["labels"]:
        assert found["per_class"][label]["support"] == sum(label in labels for labels in true)
    hits = sum("animal" in one and "animal" in other for one, other in zip(predicted, true, strict=True))
    assert found["per_class"]["animal"]["recall"] == pytest.approx(hits / sum("animal" in labels for labels in true))
    assert found["per_class"]["animal"]["f1"] > 0.7


def test_heads_without_data_of_their_own_are_evaluated_on_what_is_named(odd_run: Path, data: Path) -> None:
    model = load(odd_run)
    assert list(evaluate(EvalOptions(), model).tasks) == ["stars", "tags"]
    found = evaluate(EvalOptions(task=[f"kind={data / 'kind'}"]), model)
    assert list(found.tasks) == ["kind"]
    assert found.tasks["kind"].metrics["n"] == 16


def test_a_run_trained_on_a_lone_file_has_no_test_split(runs: Path, data: Path, tmp_path: Path) -> None:
    from mtlkit.config.commands.train_mtl import TrainMtlOptions
    from mtlkit.recipes.train_mtl import train_mtl

    source = f"kind={data / 'kind' / 'train.csv'}"
    train_mtl(TrainMtlOptions(task=[source], init=str(runs / "mtl"), freeze=["backbone"], epochs=1, out=tmp_path / "run"))
    model = load(tmp_path / "run")
    with pytest.raises(DataError, match=r"no split 'test'; splits: train; use --split validation .*, or --task NAME=FILE"):
        evaluate(EvalOptions(), model)
    held_out = evaluate(EvalOptions(split="validation"), model)
    assert (held_out.split, held_out.tasks["kind"].metrics["n"]) == ("validation", 6)  # the tenth that training held out


def test_a_base_is_measured_on_the_texts_that_it_never_saw(runs: Path, data: Path) -> None:
    base = load(runs / "pretrain")
    found = evaluate(EvalOptions(), base)
    assert found.tasks == {}
    assert found.base["perplexity"] == pytest.approx(base.record.metrics["perplexity"], rel=1e-4)
    other = evaluate(EvalOptions(text=[str(data / "kind" / "test.csv")]), base)
    assert other.base["perplexity"] != found.base["perplexity"]
    with pytest.raises(UsageError, match="--text measures a base"):
        evaluate(EvalOptions(text=[str(data / "kind" / "test.csv")]), load(runs / "mtl"))


def test_the_most_confused_pairs_come_with_an_example() -> None:
    labels = ("a", "b", "c")
    true, predicted = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([1, 0, 1, 2, 1, 0, 2])
    texts = [f"text {number}" for number in range(7)]
    assert most_confused(labels, true, predicted, texts) == [
        ConfusedPair("a", "b", 2, "text 0"),
        ConfusedPair("b", "c", 1, "text 3"),
        ConfusedPair("c", "a", 1, "text 5"),
    ]
    assert most_confused(labels, true, true, texts) == []
    many = most_confused(tuple("abcdefgh"), np.arange(8), (np.arange(8) + 1) % 8, [str(number) for number in range(8)])
    assert len(many) == 5
