"""The last phase of pretraining: its share of the steps, the frequencies that its head begins with, and its learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlkit.training import finishing
from mtlkit.training.finishing import TwoRates, log_frequencies
from mtlkit.training.optimizer import LearningRate


def test_frequencies_are_those_of_the_texts() -> None:
    ids = np.array([0] * 6 + [2] * 2, np.uint16)
    torch.testing.assert_close(log_frequencies(ids, 4).exp(), torch.tensor([7, 1, 3, 1]) / 12)


def test_frequencies_of_much_text_are_those_of_a_part_from_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "MOST_COUNTED", 1000)
    ids = np.repeat(np.array([0, 1, 3], np.uint16), 3000)
    shares = log_frequencies(ids, 4).exp()
    torch.testing.assert_close(shares, torch.tensor([1 / 3, 1 / 3, 0, 1 / 3]), atol=2e-3, rtol=0)
    assert shares[2] > 1e-4  # counted as less than a thousandth of about 900 tokens, but not as none


def test_each_phase_has_a_learning_rate_of_its_own() -> None:
    first, last = LearningRate(1.0, 60), LearningRate(1.0, 40)
    rates = TwoRates(first, last, 60)
    assert [rates.at(step) for step in (0, 5, 59)] == [first.at(0), 1.0, first.at(59)]
    assert [rates.at(step) for step in (60, 63, 99)] == [last.at(0), 1.0, last.at(39)]
    assert rates.at(59) < 0.2 < rates.at(61)
