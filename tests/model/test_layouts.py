from __future__ import annotations

import numpy as np
import torch

from mtlkit.batch import Batch
from mtlkit.model.layouts import Grouped


def test_every_token_of_a_text_counts_once_and_no_other() -> None:
    states = torch.tensor([[1.0, 0.0], [3.0, 2.0], [10.0, 10.0], [20.0, 10.0], [0.0, 3.0], [3.0, 3.0], [6.0, 0.0]])
    batch = Batch.flat(np.arange(7), [2, 2, 3], np.arange(3))
    assert Grouped(batch).mean(states).tolist() == [[2.0, 1.0], [15.0, 10.0], [3.0, 2.0]]


def test_lengths_that_return_later_are_not_mixed_up() -> None:
    states = torch.tensor([[2.0], [1.0], [3.0], [4.0]])
    assert Grouped(Batch.flat(np.arange(4), [1, 2, 1], np.arange(3))).mean(states).tolist() == [[2.0], [2.0], [4.0]]
