from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mtlkit import progress
from mtlkit.progress import Working, count, counted, counting, listen

Heard = list[Working | None]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    heard: Heard = []
    before = listen(heard.append)
    yield heard
    listen(before)


def test_a_phase_reports_its_start_each_count_and_its_end(heard: Heard) -> None:
    with counting("encoding", "encoded", 10, done=4):
        count("encoded", 2)
        count("tokenized", 100)  # of another kind
        count("encoded", 4)
    count("encoded", 1)  # after it
    assert heard[-1] is None
    assert [working.done for working in heard if working] == [4, 6, 10, 10]
    assert heard[0] == Working("encoding", 4, 10, "texts")


def test_an_inner_phase_takes_the_place_of_the_outer_one(heard: Heard) -> None:
    with counting("predicting", "encoded", 2):
        with counting("tokenizing", "tokenized", 3):
            count("encoded", 1)
            count("tokenized", 3)
        count("encoded", 2)
    assert [(working.activity, working.done) for working in heard if working][-1] == ("predicting", 2)
    assert Working("tokenizing", 3, 3) in heard


def test_rows_are_counted_as_they_are_read(heard: Heard) -> None:
    rows = range(2 * progress.ROWS_AT_ONCE + 5)
    assert list(counted(rows, "reading a.csv")) == list(rows)
    done = [working.done for working in heard if working]
    assert (done[0], done[-1]) == (0, len(rows))
    assert done == sorted(done)
    assert heard[-1] is None
    assert heard[0] is not None
    assert heard[0].unit == "rows"


def test_a_failing_phase_ends_too(heard: Heard) -> None:
    with pytest.raises(ValueError, match="broken"), counting("encoding", "encoded"):
        raise ValueError("broken")
    count("encoded", 1)
    assert heard == [Working("encoding"), None]


def test_without_a_listener_nothing_is_wrapped(heard: Heard) -> None:
    rows = [1, 2]
    listen(None)
    assert counted(rows, "reading") is rows
    with counting("encoding", "encoded"):
        count("encoded", 1)
    assert heard == []


def test_other_threads_are_not_heard(heard: Heard) -> None:
    with counting("encoding", "encoded"):
        thread = threading.Thread(target=count, args=("encoded", 5))
        thread.start()
        thread.join()
    assert [working.done for working in heard if working] == [0, 0]
