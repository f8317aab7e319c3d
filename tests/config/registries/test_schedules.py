from __future__ import annotations

import pytest

from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice, check_epoch_length, parse_epoch_length, parse_schedule
from mtlkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("round-robin", ScheduleChoice("round-robin")),
        ("joint", ScheduleChoice("joint")),
        ("sequential", ScheduleChoice("sequential")),
        ("proportional", ScheduleChoice("proportional")),
        ("temperature:2", ScheduleChoice("temperature", (2.0, None))),
        ("temperature:1.5:10000", ScheduleChoice("temperature", (1.5, 10_000))),
    ],
)
def test_a_schedule_is_read_with_its_numbers(text: str, choice: ScheduleChoice) -> None:
    assert parse_schedule(text) == choice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("round-robbin", r"unknown schedule; choose from round-robin, .*, temperature:T\[:CAP\]; did you mean 'round-robin'\?"),
        ("tempreature:2", r"did you mean 'temperature'\?"),
        ("joint:2", "joint takes no parameter; use joint"),
        ("proportional:", "proportional takes no parameter"),
        *(
            (f"temperature{numbers}", r"use temperature:T\[:CAP\], where T is a number .* CAP a number of rows")
            for numbers in ("", ":", ":0.5", ":inf", ":nan", ":x", ":2:", ":2:0", ":2:1.5", ":2:-1", ":2:10:3")
        ),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_way_to_write_it(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"--schedule {text}: .*{message}"):
        parse_schedule(text)


def test_the_length_of_an_epoch_is_read() -> None:
    found = [parse_epoch_length(text) for text in ("longest", "shortest", "steps:500")]
    assert found == [EpochLength("longest"), EpochLength("shortest"), EpochLength("steps", 500)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("longer", r"unknown epoch length; choose from longest, shortest, steps:N; did you mean 'longest'\?"),
        ("shortest:3", "use shortest"),
        *((f"steps{number}", "use steps:N, where N is a whole number") for number in ("", ":", ":0", ":-1", ":2.5", ":5:5")),
    ],
)
def test_what_is_no_length_is_refused_with_the_way_to_write_it(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"--epoch-by {text}: {message}"):
        parse_epoch_length(text)


def test_an_epoch_must_have_room_for_every_task() -> None:
    with pytest.raises(UsageError, match=r"--epoch-by steps:2 is too short .* 3 tasks; use at least 3 steps"):
        check_epoch_length(ScheduleChoice("proportional"), EpochLength("steps", 2), 3)
    check_epoch_length(ScheduleChoice("proportional"), EpochLength("steps", 3), 3)
    check_epoch_length(ScheduleChoice("joint"), EpochLength("steps", 1), 3)  # one step holds them all
    check_epoch_length(ScheduleChoice("proportional"), EpochLength("shortest"), 3)
    check_epoch_length(ScheduleChoice("proportional"), EpochLength("steps", 2, accumulate=2), 4)
    with pytest.raises(UsageError, match=r"steps:2 is too short .* 5 tasks; use at least 3 steps"):
        check_epoch_length(ScheduleChoice("proportional"), EpochLength("steps", 2, accumulate=2), 5)
