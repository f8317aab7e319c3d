from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from mtlkit.data.datasets.corpus import sample_passages
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.evaluation.forgetting import ClassFall, ConfusionChange
from mtlkit.evaluation.intervals import Interval
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.start_model import StartModel, cosines_of, distances, probe_texts
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.validation.evaluator import Evaluator

SCORES = {"topic": 0.75, "tags": 0.5, "stars": 0.25}


@pytest.fixture
def probes(text_encoder: TextEncoder) -> Encoded:
    return text_encoder.encode(["The cat sleeps.", "A saw lies on the barn.", "hill"])


@pytest.fixture
def remember(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, probes: Encoded
) -> Callable[..., StartModel]:
    """The start model of a model as it is, with these existing tasks."""

    def remember(*known: str) -> StartModel:
        objectives = head_objectives(tiny_model, tasks)
        evaluator = Evaluator(tiny_model, objectives, compute, False)
        return StartModel(tiny_model, {name: objectives[name] for name in known}, probes, evaluator)

    return remember


def read_all_as(model: MultiTaskModel, label: str) -> None:
    """Makes the topic head read every text as this."""
    with torch.no_grad():
        for weight in model.head("topic").parameters():
            weight.zero_()
        model.get_parameter("heads.topic.layers.1.bias")[model.tasks["topic"].labels.index(label)] = 1.0


def predictions(model: MultiTaskModel, task: TaskData) -> np.ndarray:
    rows = np.arange(len(task.validation))
    batch = task.validation.batch(rows)
    found = np.empty(len(rows), np.int64)
    with torch.no_grad():
        found[batch.rows] = model(batch, task.name).argmax(1).numpy()
    return found


def test_where_nothing_moved_nothing_changed(tiny_model: MultiTaskModel, remember: Callable[..., StartModel]) -> None:
    found = remember("topic", "tags", "stars").report(tiny_model.train(), SCORES)  # dropout must not speak here
    assert [change.task for change in found.changes] == ["topic", "tags", "stars"]
    for change in found.changes:
        assert (change.change, change.interval, change.forgetting) == (0.0, Interval(0.0, 0.0), 0.0)
    assert (found.cosine_mean, found.cosine_least, found.probes) == (1.0, 1.0, 3)
    assert list(found.distances) == ["embeddings", "layers:0", "layers:1", "pooling", "head:topic", "head:tags", "head:stars"]
    assert set(found.distances.values()) == {0.0}
    assert found.backward_transfer == 0.0
    assert not tiny_model.training


def test_a_block_scaled_by_a_quarter_has_moved_by_a_quarter(
    tiny_model: MultiTaskModel, remember: Callable[..., StartModel]
) -> None:
    memory = remember("topic")
    with torch.no_grad():
        for weight in tiny_model.part("layers:1").parameters():
            weight.mul_(1.25)
    found = memory.report(tiny_model, SCORES)
    assert found.distances["layers:1"] == pytest.approx(0.25, rel=1e-6)
    assert {value for part, value in found.distances.items() if part != "layers:1"} == {0.0}
    assert found.cosine_least is not None
    assert found.cosine_mean is not None
    assert found.cosine_least < found.cosine_mean < 1


def test_before_and_after_are_the_shares_of_validation_rows_that_are_right(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], remember: Callable[..., StartModel]
) -> None:
    labels, before = tasks["topic"].validation.labels, predictions(tiny_model, tasks["topic"])
    memory = remember("topic")
    read_all_as(tiny_model, "tool")
    (found,) = memory.report(tiny_model, SCORES).changes
    assert (found.before, found.after) == pytest.approx(((before == labels).mean(), (labels == 1).mean()))
    assert found.rows == len(labels) == 20


def test_task_with_reversed_labels_is_reported_with_its_best_stage(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], remember: Callable[..., StartModel]
) -> None:
    tools = int((tasks["topic"].validation.labels == 1).sum())
    share = tools / 20
    read_all_as(tiny_model, "tool")
    memory = remember("topic", "stars")
    memory.add("epoch 1", {"topic": 0.875, "tags": 0.5, "stars": -1.0})
    memory.add("epoch 2", {"tags": 0.75})
    read_all_as(tiny_model, "animal")
    report = memory.report(tiny_model, SCORES)
    topic, stars = report.changes
    assert (topic.before, topic.best, topic.after) == pytest.approx((share, 0.875, 1 - share))
    assert (topic.change, topic.forgetting) == pytest.approx((1 - 2 * share, 0.875 - 1 + share))
    assert topic.fallen == ClassFall("tool", 1.0, 0.0, tools)
    assert topic.pair == ConfusionChange("tool", "animal", tools, 1.0)
    assert (stars.change, stars.best) == (0.0, stars.before)
    assert report.backward_transfer == pytest.approx((1 - 2 * share) / 2)


def test_the_matrix_has_every_task_at_every_stage(tiny_model: MultiTaskModel, remember: Callable[..., StartModel]) -> None:
    memory = remember("topic")
    memory.add("epoch 1", {"topic": 0.125, "tags": 0.25})
    memory.add("epoch 2", {"topic": 0.375, "tags": 0.5})
    report = memory.report(tiny_model, {"topic": 0.0, "tags": 0.5})
    (topic,) = report.changes
    assert report.stages == ("before", "epoch 1", "epoch 2", "after")
    assert report.matrix == {  # after training a known task is measured again; stars had no data
        "topic": (topic.before, 0.125, 0.375, topic.before),
        "tags": (None, 0.25, 0.5, 0.5),
    }
    assert report.metrics == {"topic": "accuracy", "tags": "macro_f1"}
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["matrix"]["tags"] == [None, 0.25, 0.5, 0.5]


def test_new_heads_have_no_start_and_the_copy_of_the_others_stays(
    tiny_model: MultiTaskModel, remember: Callable[..., StartModel]
) -> None:
    memory = remember("tags")
    assert {name.split(".")[1] for name in memory.weights if name.startswith("heads.")} == {"tags"}
    with torch.no_grad():
        for weight in tiny_model.parameters():
            weight.mul_(3.0)
    found = memory.report(tiny_model, SCORES).distances
    assert found == {part: pytest.approx(2.0) for part in ("embeddings", "layers:0", "layers:1", "pooling", "head:tags")}


def test_without_known_tasks_and_probe_texts_there_is_still_a_report(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], text_encoder: TextEncoder, compute: Compute
) -> None:
    report = StartModel(tiny_model, {}, text_encoder.encode([]), Evaluator(tiny_model, {}, compute, False)).report(
        tiny_model, SCORES
    )
    assert (report.changes, report.backward_transfer) == ((), None)
    assert (report.cosine_mean, report.cosine_least, report.probes) == (None, None, 0)
    assert report.matrix["topic"] == (None, 0.75)
    assert len(report.matrix) == len(tasks)


def test_a_distance_is_that_of_all_weights_of_a_part_together() -> None:
    start = {"backbone.norm.weight": torch.tensor([3.0]), "backbone.norm.bias": torch.tensor([0.0, 4.0])}
    now = {"backbone.norm.weight": torch.tensor([3.0]), "backbone.norm.bias": torch.tensor([2.0, 4.0]), "other": torch.ones(1)}
    assert distances(start, now) == {"pooling": pytest.approx(2 / 5)}


def test_parts_are_listed_from_the_embeddings_upwards() -> None:
    names = ["token_weights", "tokens.weight", "blocks.0.out.bias", "blocks.1.out.bias", "norm.bias"]
    start = {"heads.a.layers.1.bias": torch.ones(1), **{f"backbone.{name}": torch.ones(1) for name in names}}
    assert list(distances(start, start)) == ["embeddings", "layers:0", "layers:1", "pooling", "head:a"]


def test_from_zeros_there_is_no_relative_distance_and_staying_there_is_none_at_all() -> None:
    start = {"heads.a.layers.1.bias": torch.zeros(2), "heads.b.layers.1.bias": torch.zeros(2)}
    now = {"heads.a.layers.1.bias": torch.ones(2), "heads.b.layers.1.bias": torch.zeros(2)}
    assert distances(start, now) == {"head:a": None, "head:b": 0.0}


def test_cosines_of_pairs_of_rows() -> None:
    left = np.array([[1, 0], [3, 4], [0, 0], [0, 0], [1e-3, 7]], np.float32)
    right = np.array([[0, 2], [-3, -4], [0, 0], [1, 0], [1e-3, 7]], np.float32)
    assert cosines_of(left, right).tolist() == pytest.approx([0.0, -1.0, 1.0, 0.0, 1.0])


def test_probe_texts_are_about_a_hundred_of_both_samples() -> None:
    texts, passages = probe_texts(), sample_passages()
    places = [passages.index(text) for text in texts]
    assert 95 <= len(set(texts)) == len(texts) <= 105
    assert probe_texts() == texts
    assert len({after - before for before, after in pairwise(places)}) == 1
    assert len(passages) - places[-1] <= places[1]
