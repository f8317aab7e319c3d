"""What a head reads of a text, and of a pair of texts."""

from __future__ import annotations

import numpy as np
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.multitask import MultiTaskModel


def test_a_head_for_single_texts_reads_their_vectors() -> None:
    vectors = torch.randn(3, 4)
    assert head_inputs(vectors, None) is vectors


def test_a_head_for_pairs_reads_both_vectors_their_distance_and_their_product() -> None:
    vectors = torch.tensor([[1.0, -2.0], [3.0, 4.0], [0.5, 0.0]])
    inputs = head_inputs(vectors, np.array([[0, 2], [1, 1]]))
    assert inputs.tolist() == [[1, -2, 3, 4, 2, 6, 3, -8], [0.5, 0, 3, 4, 2.5, 4, 1.5, 0]]


def test_the_gradient_of_a_pair_reaches_both_texts() -> None:
    vectors = torch.randn(3, 2, requires_grad=True)
    head_inputs(vectors, np.array([[0], [2]])).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.abs().sum(1).gt(0).tolist() == [True, False, True]


def test_a_head_for_pairs_is_four_times_as_wide(tiny_model: MultiTaskModel) -> None:
    tiny_model.add_task(TaskSpec("nli", "classification", ("no", "yes"), pair="vectors"))
    assert tuple(tiny_model.head("nli").layers[-1].weight.shape) == (2, 4 * tiny_model.vector_dim)
