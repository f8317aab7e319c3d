"""Trackers in their processes, with a log that the test writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_training import LONGEST, Training
from tracker_stubs import Crashing, Flaky, Hanging, NotInstalled, Raising, Recording, added, recorded

from mtlkit.training.events import Note
from mtlkit.training.trackers import process
from mtlkit.training.trackers.trackers import Trackers


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


@pytest.fixture
def stub(request: pytest.FixtureRequest) -> Iterator[None]:
    with added(request.param):
        yield


recording = pytest.mark.parametrize("stub", [Recording], indirect=True)


@recording
def test_records_options_and_final_scores_arrive(stub: None, training: Training, capfd: pytest.CaptureFixture[str]) -> None:
    with training.start() as trackers:
        training.write(*range(1, 1203))
        training.finish(trackers)
    assert training.steps == list(range(1, 1203))
    folder = training.out.parent / "tracking"
    (start,) = recorded(folder, "start")
    assert (start["name"], start["config"]["epochs"], start["resumed"], start["asked"]) == ("mtl", 3, False, "")
    (end,) = recorded(folder, "finish")
    assert (end["state"], end["scores"]) == ("finished", {"score": 0.5, "validation/topic/accuracy": 0.75})
    assert recorded(folder)[1]["values"] == {"loss/topic": 0.5, "train/epoch": 1.0}
    told = [note for note in training.notes if not note.text.startswith("waiting up to ")]  # as it may on a busy machine
    assert told[0] == Note(f"stub: {folder / 'recorded.jsonl'}")
    assert not training.warnings
    assert capfd.readouterr() == ("", "")  # what the library printed is in a file
    assert "printed by a library" in next((folder / ".mtlkit").glob("*-stub.log")).read_text()


@recording
def test_a_resumed_training_logs_nothing_twice(stub: None, training: Training) -> None:
    """Killed after step 5 and resumed after step 3, of which the tracker keeps the same run."""
    training.stopped_and_resumed()
    assert training.steps == [1, 2, 3, 4, 5, 6, 6]  # the last is an evaluation
    folder = training.out.parent / "tracking"
    first, second = recorded(folder, "start")
    assert first["id"] == second["id"]
    assert second["resumed"]
    assert [line["state"] for line in recorded(folder, "finish")] == ["interrupted", "finished"]


@recording
def test_without_a_position_it_continues_where_the_checkpoint_says(stub: None, training: Training) -> None:
    training.write(1, 2, 3)
    with training.start(after=3, saved={"id": "an-id", "lines": {"stub": 3}}) as trackers:
        training.write(4)
        training.finish(trackers)
    assert training.steps == [3, 4]


@recording
def test_a_tracker_that_is_added_later_gets_the_whole_log(stub: None, training: Training) -> None:
    training.write(1, 2, 3)
    with training.start(after=3, saved={"id": "an-id", "lines": {"another": 4}}) as trackers:
        training.write(4)
        training.finish(trackers)
    assert training.steps == [1, 2, 3, 4]


@pytest.mark.parametrize("stub", [Raising], indirect=True)
def test_one_that_raises_is_reported_once_and_said_to_have_sent_nothing(
    stub: None, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "0.5")
    with training.start() as trackers:
        training.write(1, 2)
        training.until(trackers, lambda: bool(training.warnings))
        training.finish(trackers)
    first, last = training.warnings
    assert first.startswith("--track stub: ConnectionError: no network to https://host/path; the training goes on")
    assert "3 of 3 records were not sent" in last


@pytest.mark.parametrize("stub", [Flaky], indirect=True)
def test_what_fails_is_tried_again(stub: None, training: Training) -> None:
    with training.start() as trackers:
        training.write(1, 2)
        training.finish(trackers)
    assert training.steps == [1, 2]
    (warning,) = training.warnings
    assert "server restarts" in warning
    assert "tried again" in warning


@pytest.mark.parametrize("stub", [Hanging], indirect=True)
def test_one_that_hangs_is_waited_for_in_vain_and_killed(stub: None, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "0.5")
    monkeypatch.setattr(process, "SILENCE", 0.2)
    with training.start() as trackers:
        training.write(1, 2)
        training.until(trackers, lambda: bool(training.warnings))
        child = trackers.processes[0].process
        training.finish(trackers)
        assert child.returncode is not None
    first, last = training.warnings
    assert "no answer for" in first
    assert "3 records were not sent" in last


@pytest.mark.parametrize(("stub", "reason"), [(Crashing, "its process ended"), (NotInstalled, "ImportError")], indirect=["stub"])
def test_one_that_cannot_go_on_is_left_out(stub: None, training: Training, reason: str) -> None:
    with training.start() as trackers:
        training.write(1)
        training.until(trackers, lambda: bool(training.warnings))
        training.finish(trackers)
    assert reason in training.warnings[0]
    assert "were not sent" in training.warnings[1]


@recording
def test_it_ends_by_itself_when_the_training_is_killed(stub: None, training: Training) -> None:
    """The end of its input is all that it hears of a kill; it sends the rest of the log."""
    trackers = training.start()
    training.until(trackers, lambda: bool(training.notes))
    child = trackers.processes[0]
    training.write(1, 2)
    child._orders.put(None)
    assert child.process.wait(LONGEST) == 0
    assert training.steps == [1, 2]
    trackers._kill()


@pytest.mark.parametrize("stub", [Hanging], indirect=True)
def test_one_that_hangs_does_not_outlive_a_killed_training_for_long(
    stub: None, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "0.5")
    trackers = training.start()
    training.write(1)
    training.until(trackers, lambda: bool(training.notes))
    child = trackers.processes[0]
    child._orders.put(None)
    assert child.process.wait(LONGEST) == 1
    trackers._kill()


@recording
def test_a_folder_that_cannot_be_written_is_a_warning(stub: None, training: Training) -> None:
    (training.out.parent / "tracking").write_text("a file of the user")
    with training.start() as trackers:
        training.notes += trackers.take_notes()
        training.finish(trackers)
    assert "cannot start" in training.warnings[0]


def test_ids_are_the_same_after_a_checkpoint_only(tmp_path: Path) -> None:
    state = Trackers([], tmp_path / "mtl").state
    assert Trackers([], tmp_path / "mtl", state).state == state
    assert Trackers([], tmp_path / "mtl").state["id"] != state["id"]
