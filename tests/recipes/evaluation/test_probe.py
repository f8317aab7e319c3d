from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from support import write

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.evaluation.intervals import wilson
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.evaluation import probe as recipe

VERBS = ["sleeps", "runs", "lies", "falls", "waits"]
NOUNS = {"animal": ["cat", "dog", "horse", "otter"], "tool": ["saw", "drill", "file", "lathe"], "place": ["hill", "barn", "road"]}


def rows() -> list[tuple[str, str]]:
    """Texts of three uneven classes; every seventh has a wrong one, so that no probe gets all of them right."""
    texts = [
        (f"The {noun} {verb} near number {place}.", kind)
        for kind, nouns in NOUNS.items()
        for noun in nouns
        for verb in VERBS
        for place in (1, 2)
    ]
    random = np.random.default_rng(0)
    mixed = [texts[place] for place in random.permutation(len(texts))]
    return [(text, "tool" if place % 7 == 0 else kind) for place, (text, kind) in enumerate(mixed)]


@pytest.fixture(autouse=True)
def few_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three values on the grid instead of nine: most of the time of these tests is spent in scikit-learn's solver."""
    monkeypatch.setattr(recipe, "PENALTIES", (0.01, 0.3, 10.0))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 80 rows to train on, 30 to score."""
    folder = tmp_path_factory.mktemp("probe")
    write(folder / "train.csv", [("text", "label"), *rows()[:80]])
    write(folder / "test.csv", [("text", "label"), *rows()[80:]])
    return folder


@pytest.fixture(scope="module")
def model(runs: Path) -> LoadedModel:
    return load(runs / "pretrain")  # without heads


@pytest.mark.parametrize("dim", [None, 6])
def test_a_probe_is_what_scikit_learn_makes_by_hand(model: LoadedModel, task: Path, dim: int | None) -> None:
    (found,) = evaluate(EvalOptions(probe=True, task=[f"what={task}"], dim=dim, seed=3), model).probes.values()
    names = ("animal", "place", "tool")
    train, test = rows()[:80], rows()[80:]
    x, y = model.embed([text for text, _ in train])[:, :dim], np.array([names.index(label) for _, label in train])
    scores = {}
    for c in recipe.PENALTIES:
        folds = []
        for learn, held in StratifiedKFold(5, shuffle=True, random_state=3).split(x, y):
            scaler = StandardScaler().fit(x[learn])
            fitted = LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(x[learn]), y[learn])
            folds.append(fitted.score(scaler.transform(x[held]), y[held]))
        scores[c] = np.mean(folds)
    best = max(scores, key=lambda c: scores[c])
    scaler = StandardScaler().fit(x)
    fitted = LogisticRegression(C=best, max_iter=1000).fit(scaler.transform(x), y)
    predicted = [names[label] for label in fitted.predict(scaler.transform(model.embed([text for text, _ in test])[:, :dim]))]
    true = [label for _, label in test]
    hits = sum(one == other for one, other in zip(predicted, true, strict=True))
    assert (found.c, found.cross_validated) == (best, pytest.approx(scores[best]))
    assert (found.train, found.metrics["n"], found.dim, found.split) == (80, 30, dim or 32, "test")
    assert found.metrics["accuracy"] == pytest.approx(hits / 30)
    assert found.metrics["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert found.metrics["accuracy_interval"] == wilson(hits, 30).to_json()
    assert len(set(scores.values())) > 1  # there was something to choose


def test_the_limit_cuts_the_training_rows_alone(model: LoadedModel, task: Path) -> None:
    whole = evaluate(EvalOptions(probe=True, task=[f"what={task}"]), model).probes["what"]
    cut = evaluate(EvalOptions(probe=True, task=[f"what={task}?limit=30"]), model).probes["what"]
    assert (whole.train, whole.metrics["n"]) == (80, 30)
    assert (cut.train, cut.metrics["n"]) == (30, 30)
    assert sum(map(sum, cut.metrics["confusion"])) == 30


def test_results_follow_from_the_seed_and_fit_into_json(model: LoadedModel, task: Path) -> None:
    options = EvalOptions(probe=True, task=[f"what={task}"])
    first = evaluate(options, model)
    assert first == evaluate(options, model)
    assert first.probes["what"].cross_validated != evaluate(replace(options, seed=1), model).probes["what"].cross_validated
    document = json.loads(json.dumps(first.to_json()))
    found = document["probe"]["what"]
    assert list(found)[:4] == ["source", "split", "dim", "train"]
    assert {"n", "accuracy", "accuracy_interval", "macro_f1", "cross_validated", "c", "confusion", "per_class"} <= set(found)
    assert "unseen_labels" not in found


def test_tasks_are_those_of_the_heads_else_the_samples(runs: Path, model: LoadedModel) -> None:
    found = evaluate(EvalOptions(probe=True), load(runs / "mtl"))
    assert list(found.probes) == ["kind", "state"]
    assert found.tasks == {}
    assert found.probes["kind"].metrics["n"] == 16
    assert list(evaluate(EvalOptions(probe=True), model).probes) == ["topic", "sentiment"]


def test_a_test_label_that_training_has_not_is_counted_apart(model: LoadedModel, task: Path, tmp_path: Path) -> None:  # fault 26
    write(tmp_path / "train.csv", [("text", "label"), *rows()[:80]])
    write(tmp_path / "test.csv", [("text", "label"), *rows()[80:], ("A fly.", "insect")])
    found = evaluate(EvalOptions(probe=True, task=[f"what={tmp_path}"]), model).probes["what"]
    assert (found.unseen, found.metrics["n"]) == ({"insect": 1}, 30)
    assert found.metrics == evaluate(EvalOptions(probe=True, task=[f"what={task}"]), model).probes["what"].metrics


@pytest.mark.parametrize("counts", [{"a": 12, "b": 2}, {"a": 9, "b": 7, "c": 1}])
def test_rare_classes_are_probed_with_the_folds_there_can_be(model: LoadedModel, tmp_path: Path, counts: dict[str, int]) -> None:
    lines = [(f"{label} text {number}", label) for label, count in counts.items() for number in range(count)]
    for name in ("train", "test"):
        write(tmp_path / f"{name}.csv", [("text", "label"), *lines])
    found = evaluate(EvalOptions(probe=True, task=[f"what={tmp_path}"]), model).probes["what"]
    assert found.train == sum(counts.values())
    assert found.metrics["accuracy"] > 0.5


def test_impossible_probes_are_reported(
    model: LoadedModel, task: Path, odd_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in (("stars", "regression"), ("tags", "multi-label")):
        with pytest.raises(UsageError, match=f"--probe needs one class per row, and task '{name}' is {kind}; name others"):
            evaluate(EvalOptions(probe=True, task=[f"{name}={odd_data / name}"]), model)
    lone = write(tmp_path / "lone.csv", [("text", "label"), ("a", "x"), ("b", "y")])
    with pytest.raises(DataError, match="no split 'test'; splits: train; choose with --split, or give a folder that has it"):
        evaluate(EvalOptions(probe=True, task=[f"what={lone}"]), model)
    write(tmp_path / "few" / "train.csv", [("text", "label"), ("a", "x"), ("b", "y"), ("c", "x")])
    write(tmp_path / "few" / "test.csv", [("text", "label"), ("a", "x")])
    with pytest.raises(DataError, match="too few rows to cross-validate on; give two rows at least of two classes"):
        evaluate(EvalOptions(probe=True, task=[f"what={tmp_path / 'few'}"]), model)
    monkeypatch.setattr(recipe, "has_scikit_learn", lambda: False)
    with pytest.raises(UsageError, match=r"--probe needs scikit-learn; install it with: pip install 'mtlkit\[probe\]'"):
        evaluate(EvalOptions(probe=True, task=[f"what={task}"]), model)
