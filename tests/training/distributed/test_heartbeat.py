"""When a process counts as lost."""

from __future__ import annotations

from mtlkit.training.distributed.heartbeat import LEFT, PAUSE, SILENCE, Pulses


def test_a_rank_is_lost_when_its_beat_stays_the_same_for_too_long() -> None:
    pulses = Pulses(3, 0.0, silence=45)
    assert not pulses.silent({0: "1", 1: "1", 2: "1"}, 5)
    assert not pulses.silent({0: "2", 1: "1", 2: "2"}, 40)
    assert pulses.silent({0: "3", 1: "1", 2: "3"}, 51) == [1]
    assert not pulses.silent({1: "2"}, 60)


def test_a_rank_that_has_left_on_purpose_is_not_lost() -> None:
    pulses = Pulses(2, 0.0, silence=45)
    assert not pulses.silent({1: LEFT}, 5)
    assert not pulses.silent({}, 40)
    assert pulses.silent({0: "1"}, 90) == []


def test_without_any_answer_all_are_lost_within_a_minute() -> None:
    assert Pulses(2, 0.0).silent({}, 60 - 2 * PAUSE) == [0, 1]
    assert SILENCE + 2 * PAUSE < 60
