"""A router chooses the heads that predict, is evaluated, and is part of exports."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from exports import needs_onnx
from routers import routed_run

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.inference.load_model import load
from mtlkit.inference.routing import MIN_PROBABILITY, Prediction, is_answered, score_router, task_probabilities
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.export import export
from mtlkit.recipes.predict import predict

ANIMAL, MOOD = "The cat sleeps near the river.", "What a wonderful film, I loved it!"


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, runs: Path, data: Path) -> Path:
    return routed_run(tmp_path_factory.mktemp("routed"), runs, data)


def test_the_heads_answer_whose_task_fits(routed: Path) -> None:
    model = load(routed)
    assert model.tasks == ("kind", "state", "mood")
    assert model.router == ("kind", "mood")
    animal, mood = model.predict([ANIMAL, MOOD])
    assert list(animal) == ["kind", "state"]  # the router never learned of `state`
    assert list(mood) == ["state", "mood"]
    assert animal["kind"]["label"] == "animal"
    assert list(animal.router) == ["kind", "mood"]
    assert animal.router["kind"] > 1 - MIN_PROBABILITY
    assert mood.router["mood"] > 1 - MIN_PROBABILITY
    assert sum(mood.router.values()) == pytest.approx(1, abs=1e-5)
    assert isinstance(animal, dict)
    assert json.loads(json.dumps(animal)) == animal


def test_named_head_is_used_regardless_of_the_router(routed: Path) -> None:
    (answer,) = load(routed).predict([MOOD], task="kind")
    assert list(answer) == ["kind"]
    assert answer.router == {}


def test_without_a_router_all_heads_answer(runs: Path) -> None:
    model = load(runs / "mtl")
    assert model.router == ()
    (answer,) = model.predict([ANIMAL])
    assert (list(answer), answer.router) == (["kind", "state"], {})
    (row,) = predict(PredictOptions(texts=[ANIMAL]), model, io.StringIO())
    assert list(row) == ["text", "tasks"]


def test_rows_say_how_likely_each_task_is(routed: Path) -> None:
    model = load(routed)
    (row,) = predict(PredictOptions(texts=[MOOD]), model, io.StringIO())
    assert list(row) == ["text", "tasks", "router"]
    assert list(row["tasks"]) == ["state", "mood"]
    assert row["router"] == pytest.approx(model.predict([MOOD])[0].router, abs=1e-6)
    (asked,) = predict(PredictOptions(texts=[MOOD], task="mood"), model, io.StringIO())
    assert list(asked) == ["text", "tasks"]


@pytest.mark.parametrize(
    ("router", "answering"),
    [
        ({"a": 0.97, "b": 0.03}, ["a", "other"]),
        ({"a": 0.7, "b": 0.3}, ["a", "b", "other"]),
        ({"a": 0.2, "b": 0.8}, ["a", "b", "other"]),
        ({"a": 0.15, "b": 0.19, **{f"c{place}": 0.11 for place in range(6)}}, ["b", "other"]),  # none is likely
        ({}, ["a", "b", "other"]),
    ],
)
def test_the_likeliest_always_fits_and_an_unknown_one_too(router: dict[str, float], answering: list[str]) -> None:
    assert [task for task in ("a", "b", "other") if is_answered(task, router)] == answering


def test_predictions_are_plain_dicts_beside_the_routing() -> None:
    answer = Prediction({"a": {"value": 1.0}})
    assert answer == {"a": {"value": 1.0}}
    assert answer.router == {}
    (likely,) = task_probabilities(("a", "b"), np.array([[0.0, np.log(3)]], np.float32))
    assert likely == pytest.approx({"a": 0.25, "b": 0.75})


def test_balanced_accuracy_counts_each_task_that_has_texts_alike() -> None:
    true = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    logits = np.zeros((8, 3), np.float32)
    logits[[0, 1, 2, 3, 4, 5], 0] = 1  # all of the first
    logits[6, 1] = logits[7, 2] = 1  # half of the second
    found = score_router(("a", "b", "c"), logits, true)
    assert (found["n"], found["accuracy"], found["balanced_accuracy"]) == (8, 7 / 8, 0.75)
    assert found["labels"] == ["a", "b", "c"]
    assert found["confusion"] == [[6, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert [row["recall"] for row in found["per_class"].values()] == [1.0, 0.5, None]  # the third has no texts


def test_it_is_evaluated_on_the_test_rows_of_all_tasks(routed: Path) -> None:
    model = load(routed)
    found = evaluate(EvalOptions(confusion=True), model)
    assert found.router is not None
    metrics = found.router.metrics
    assert (metrics["n"], metrics["labels"], found.router.split) == (20, ["kind", "mood"], "test")
    assert metrics["balanced_accuracy"] > 0.9
    assert [sum(row) for row in metrics["confusion"]] == [16, 4]
    assert found.to_json()["router"] == metrics
    assert list(found.to_json()["tasks"]) == ["kind", "state", "mood"]
    errors = sum(pair.count for pair in found.router.confused)
    assert errors == round((1 - metrics["accuracy"]) * 20)


def test_share_of_a_single_task_is_reported(routed: Path, data: Path) -> None:
    model = load(routed)
    one = evaluate(EvalOptions(task=[f"kind={data / 'kind'}"]), model).router
    assert one is not None
    assert one.metrics["n"] == 16
    assert one.metrics["balanced_accuracy"] == one.metrics["accuracy"] == one.metrics["per_class"]["kind"]["recall"]
    assert evaluate(EvalOptions(task=[f"state={data / 'state'}"]), model).router is None  # it does not know that task


def test_a_task_without_a_router_is_evaluated_as_before(runs: Path) -> None:
    found = evaluate(EvalOptions(), load(runs / "mtl"))
    assert found.router is None
    assert list(found.to_json()) == ["model", "split", "tasks"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", [pytest.param("onnx", marks=[needs_onnx, pytest.mark.slow]), "compact"])
def test_exports_keep_it(format: str, routed: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(routed), out=tmp_path / "out", format=format))
    assert done.left_out == ()
    ours, theirs = load(routed), load(done.out, backend="auto")
    assert theirs.router == ("kind", "mood")
    for wanted, found in zip(ours.predict([ANIMAL, MOOD]), theirs.predict([ANIMAL, MOOD]), strict=True):
        assert list(found) == list(wanted)
        assert found.router == pytest.approx(wanted.router, abs=1e-5 if format == "onnx" else 0.05)


@pytest.mark.filterwarnings("ignore")
def test_format_that_cannot_store_a_setting_is_reported(routed: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(routed), out=tmp_path / "out"))
    assert done.left_out == ("router",)
    assert "The router of the run is not part of this export" in (done.out / "README.md").read_text()
    again = load(done.out)
    assert again.router == ()
    assert list(again.predict([MOOD])[0]) == ["kind", "state", "mood"]
