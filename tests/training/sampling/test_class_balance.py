from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.heads.base import loss_of
from mtlkit.model.heads.losses import PLAIN, LossOptions
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.sampling.class_balance import class_weights, drawn_classes, loss_options


def labelled(task: TaskData, labels: list[int] | list[list[float]]) -> TaskData:
    """The task with other training labels."""
    return replace(task, train=replace(task.train, labels=np.array(labels)))


def test_class_weights_make_classes_count_alike_and_have_mean_one(tasks: dict[str, TaskData]) -> None:
    topic = labelled(tasks["topic"], [0] * 9 + [1] * 3)
    assert class_weights(topic) == ((12 / 18, 12 / 6),)
    ((first, second),) = class_weights(topic)
    assert 9 * first == 3 * second
    assert (9 * first + 3 * second) / 12 == 1


def test_a_class_without_a_text_leaves_the_others_balanced(tasks: dict[str, TaskData]) -> None:
    three = replace(tasks["topic"], spec=replace(tasks["topic"].spec, labels=("animal", "tool", "place")))
    assert class_weights(labelled(three, [0, 0, 0, 2])) == ((4 / 6, 1.0, 4 / 2),)


def test_each_label_of_several_is_balanced_between_absence_and_presence(tasks: dict[str, TaskData]) -> None:
    tags = labelled(tasks["tags"], [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert class_weights(tags) == ((4 / 6, 4 / 2), (1.0, 1.0), (4 / 2, 4 / 6))


def test_options_are_of_tasks_with_classes_and_regression_beside_them_stays_plain(tasks: dict[str, TaskData]) -> None:
    found = loss_options(tasks, balanced=True, focal=2.0, smoothing=0.1)
    assert found == {
        "topic": LossOptions(class_weights(tasks["topic"]), 2.0, 0.1),
        "tags": LossOptions(class_weights(tasks["tags"]), 2.0, 0.1),
    }
    assert loss_options(tasks) == {"topic": PLAIN, "tags": PLAIN}
    assert loss_options({"stars": tasks["stars"]}) == {}


@pytest.mark.parametrize(
    ("options", "name"),
    [({"balanced": True}, "--class-weights balanced"), ({"focal": 2.0}, "--focal"), ({"smoothing": 0.1}, "--label-smoothing")],
)
def test_options_that_would_do_nothing_are_refused(tasks: dict[str, TaskData], options: dict[str, float], name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} is for tasks with classes.* stars \(regression\)"):
        loss_options({"stars": tasks["stars"]}, **options)  # type: ignore[arg-type]


def test_balanced_sampling_is_for_classification(tasks: dict[str, TaskData]) -> None:
    assert drawn_classes({"topic": tasks["topic"]})["topic"].tolist() == tasks["topic"].train.labels.tolist()
    with pytest.raises(UsageError, match="--sampling balanced: task 'tags' is multi-label: a row may have several labels"):
        drawn_classes(tasks)
    with pytest.raises(UsageError, match="task 'stars' is regression: its labels are numbers, not classes"):
        drawn_classes({"stars": tasks["stars"]})


def test_training_takes_the_options_and_validation_the_plain_loss(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    options = loss_options(tasks, focal=2.0, smoothing=0.2)
    changed, plain = head_objectives(tiny_model, tasks, options), head_objectives(tiny_model, tasks)
    rows = np.array([7, 0, 4])
    vectors = encode_all(tiny_model, tasks["topic"].train.encoded, compute)[torch.from_numpy(rows)]
    expected = loss_of(
        tiny_model.tasks["topic"],
        tiny_model.head("topic")(vectors),
        torch.from_numpy(tasks["topic"].train.labels[rows]),
        options["topic"],
    )
    assert torch.equal(changed["topic"].loss(vectors, rows), expected)
    assert not torch.allclose(expected, plain["topic"].loss(vectors, rows))
    assert torch.equal(changed["stars"].loss(vectors, rows), plain["stars"].loss(vectors, rows))
    for name in tasks:
        judged = encode_all(tiny_model, tasks[name].validation.encoded, compute)
        assert changed[name].evaluate(judged) == plain[name].evaluate(judged)
