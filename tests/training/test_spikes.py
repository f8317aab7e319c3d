from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.training.spikes import LEAST, REMEMBERED, LossSpikes, Spike, highest


def told(spikes: LossSpikes, loss: float, norm: float = 1.0, task: str = "topic") -> Spike | None:
    """Looks at a step and remembers it."""
    said = spikes.detect({task: loss}, norm)
    spikes.add({task: loss}, norm)
    return said


def steady(steps: int = LEAST) -> LossSpikes:
    """One that knows losses about 2 and gradients of length 1."""
    spikes = LossSpikes()
    for step in range(steps):
        assert not told(spikes, 2.0 + 0.1 * (-1) ** step)
    return spikes


def test_what_is_usual_ends_six_robust_deviations_above_the_median() -> None:
    assert highest([1.0, 2.0, 3.0, 4.0, 100.0]) == pytest.approx(3 + 6 * 1.4826 * 1)  # 100 moves neither
    assert highest([10.0] * 5) == pytest.approx(13.0)  # what hardly moves: a twentieth of it
    assert highest([-10.0] * 5) == pytest.approx(-7.0)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.floats(0.1, 10))
def test_no_value_of_a_kind_is_a_spike_and_the_unit_does_not_matter(values: list[float], unit: float) -> None:
    assert highest(values) >= np.median(values)
    assert highest([unit * value for value in values]) == pytest.approx(unit * highest(values))


def test_jump_of_loss_or_gradient_is_reported_with_figures() -> None:
    assert steady().detect({"topic": 2.88}, 1.0) is None
    assert steady().detect({"topic": 2.9}, 1.0) == Spike("loss", 2.9, 2.0, pytest.approx(2 + 6 * 1.4826 * 0.1))
    assert str(steady().detect({"topic": 2.0}, 1.31)) == "gradient norm 1.31 is a spike (median 1, limit 1.3)"
    assert steady().detect({"topic": 0.0}, 0.0) is None  # falling is what losses are for


def test_nothing_is_a_spike_before_enough_is_known_of_the_same_tasks() -> None:
    assert steady(LEAST - 1).detect({"topic": 1000.0}, 1000.0) is None
    spikes = steady()
    assert spikes.detect({"stars": 1000.0}, 1000.0) is None
    assert spikes.detect({"topic": 500.0, "stars": 500.0}, 1000.0) is None
    for _ in range(LEAST):
        assert not told(spikes, 50.0, task="stars")
    assert not spikes.detect({"stars": 50.0}, 1.0)
    assert spikes.detect({"topic": 50.0}, 1.0)


def test_the_losses_of_several_tasks_count_together_in_any_order() -> None:
    spikes = LossSpikes()
    for _ in range(LEAST):
        spikes.add({"topic": 1.0, "stars": 3.0}, 1.0)
    assert spikes.detect({"stars": 1.0, "topic": 4.1}, 1.0) is None
    found = spikes.detect({"stars": 1.0, "topic": 4.3}, 1.0)
    assert found
    assert (found.figure, found.value, found.median) == ("loss", 5.3, 4.0)


def test_looking_remembers_nothing() -> None:
    spikes = steady()
    before = spikes.state_dict()
    assert spikes.detect({"topic": 900.0}, 1.0)
    assert not spikes.detect({"topic": 2.0}, 1.0)
    assert spikes.state_dict() == before


def test_one_spike_does_not_hide_the_next() -> None:
    spikes = steady(60)
    assert all(told(spikes, 500.0) for _ in range(10))
    assert not told(spikes, 2.0)


def test_what_stays_high_is_usual_before_long() -> None:
    """As when more of a model begins to train: a training that skips spikes must not skip every step from there on."""
    spikes = steady(REMEMBERED)
    said = [bool(told(spikes, 2.0, 4.0)) for _ in range(REMEMBERED)]
    assert said.index(False) <= REMEMBERED // 2 + 1
    assert not any(said[said.index(False) :])


def test_only_the_last_steps_count() -> None:
    spikes = steady()
    for _ in range(REMEMBERED):
        told(spikes, 2000.0)
    assert highest(spikes.history["topic", "loss"]) == pytest.approx(2600.0)
    assert len(spikes.history["topic", "loss"]) == REMEMBERED


def test_state_continues_identically_after_json() -> None:
    random = np.random.default_rng(0)
    spikes, again = steady(95), LossSpikes()
    spikes.add({"topic": 1.0, "stars": 2.0}, 3.0)
    again.load_state_dict(json.loads(json.dumps(spikes.state_dict())))
    for value in random.uniform(1.5, 3.5, 200).tolist():
        assert told(spikes, value, value) == told(again, value, value)
    assert again.state_dict() == spikes.state_dict()
    assert {len(values) for _, _, values in again.state_dict()} == {1, REMEMBERED}
