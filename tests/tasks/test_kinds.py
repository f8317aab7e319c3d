"""What every kind of task gives, from its labels to its figures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.data.labels.marks import Label
from mtlkit.model.heads.base import build_head, loss_of
from mtlkit.tasks.base import kind_of

LABELS: dict[str, list[Label]] = {
    "classification": ["cat", "dog", "cat", "owl"],
    "multi-label": [("a", "b"), (), ("b",), ("a",)],
    "ordinal": ["1", "3", "1", "10"],
    "regression": [0.5, 2.5, 1.25, 4.0],
    "tokens": [("B-person",), ("O",), ("B-place",), ("O",)],
}
DIM = 8


@pytest.fixture(params=list(LABELS))
def spec(request: pytest.FixtureRequest) -> TaskSpec:
    """A task of each kind, made from its labels."""
    name: str = request.param
    return kind_of(name).make_spec("task", LABELS[name], "linear", ())


def test_all_kinds_are_tested_here() -> None:
    assert list(KINDS) == list(LABELS)


def test_names_of_kinds_are_read_without_torch() -> None:
    code = "import sys; from mtlkit.config.registries.task_kinds import KINDS; print(len(KINDS), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [str(len(KINDS)), "False"], done.stderr


def test_a_spec_survives_a_file(spec: TaskSpec) -> None:
    stored = {**spec.to_json(), "labels": list(spec.labels)}
    assert TaskSpec.from_json(stored) == spec
    with pytest.raises(ValueError, match="known kinds: classification, multi-label, ordinal, regression, tokens"):
        TaskSpec.from_json({**stored, "kind": "colour"})
    with pytest.raises(ValueError, match="labels"):
        TaskSpec.from_json({**stored, "labels": [] if spec.labels else ["a"]})


def test_outputs_that_are_right_score_best(spec: TaskSpec) -> None:
    kind, rows = kind_of(spec.kind), LABELS[spec.kind]
    labels, kept = kind.encode(spec, rows)
    assert len(labels) == len(kept) == len(rows)
    if kind.ordered:
        outputs = np.where(labels[:, None] <= np.arange(spec.outputs), 9, -9).astype(np.float32)
    elif kind.classes in ("one", "words"):
        outputs = np.eye(spec.outputs, dtype=np.float32)[labels.reshape(len(rows), -1)[:, 0]] * 9
    else:
        outputs = (labels.reshape(len(rows), -1) - (0.5 if kind.classes == "several" else 0.0)).astype(np.float32) * 9
    figures = kind.score(spec, outputs, labels)
    assert figures[kind.metrics[0].name] == pytest.approx(1.0)
    assert {metric.name for metric in kind.metrics} <= set(figures)
    each_once = np.ones((1, len(rows)))
    assert kind.measure(spec, outputs, labels)(each_once) == pytest.approx([1.0])
    decided = kind.decisions(spec, outputs)
    assert (decided is None) == (kind.classes != "one")


def test_a_head_learns(spec: TaskSpec) -> None:
    torch.manual_seed(0)
    kind, vectors = kind_of(spec.kind), torch.randn(4, DIM)
    labels = torch.from_numpy(kind.encode(spec, LABELS[spec.kind])[0])
    head = build_head(spec, DIM, 0.0)
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    first = float(loss_of(spec, head(vectors), labels).detach())
    for _ in range(100):
        optimizer.zero_grad()
        loss_of(spec, head(vectors), labels).backward()
        optimizer.step()
    assert float(loss_of(spec, head(vectors), labels).detach()) < first / 5


def test_sampled_labels_have_the_form_of_labels(spec: TaskSpec) -> None:
    torch.manual_seed(0)
    kind = kind_of(spec.kind)
    labels = torch.from_numpy(kind.encode(spec, LABELS[spec.kind])[0])
    outputs = build_head(spec, DIM, 0.0)(torch.randn(4, DIM)).detach()
    drawn = kind.sample(spec, outputs, torch.Generator().manual_seed(0))
    assert drawn.shape == labels.shape
    assert kind.log_likelihood(spec, outputs, drawn) <= 0
    assert loss_of(spec, outputs, drawn).isfinite()


def test_divergence_is_zero_for_equal_outputs_alone(spec: TaskSpec) -> None:
    torch.manual_seed(0)
    kind, outputs = kind_of(spec.kind), torch.randn(4, spec.outputs)
    assert float(kind.divergence(spec, outputs, outputs, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(kind.divergence(spec, outputs + torch.randn_like(outputs), outputs, 2.0)) > 1e-3


def test_answers_fit_a_cell(spec: TaskSpec) -> None:
    kind = kind_of(spec.kind)
    shares = kind.probabilities(spec, np.zeros((1, spec.outputs), np.float32))
    answer = kind.answer(spec, shares[0].tolist())
    assert kind.in_short(answer)
    assert kind.chance_loss(spec) > 0
    assert kind.help.endswith(".")
    assert kind.outputs_help.endswith(".")
