"""Following a log."""

from __future__ import annotations

import json
from pathlib import Path

from mtlkit.training.trackers.position import LogReader, Position


def lines(*steps: int) -> str:
    return "".join(json.dumps({"type": "step", "step": step}) + "\n" for step in steps)


def steps(reader: LogReader, most: int = 100) -> list[int]:
    return [record["step"] for _, record in reader.read(most)]


def test_a_log_is_read_as_it_grows(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader = LogReader(log, 0, Position())
    assert steps(reader) == []  # not there yet
    log.write_text(lines(1, 2, 3) + '{"type": "step", "st')
    assert steps(reader, 2) == [1, 2]
    assert steps(reader) == [3]
    assert steps(reader) == []  # a line that is being written
    log.write_text(lines(1, 2, 3, 4))
    assert steps(reader) == [4]
    assert reader.lines == 4


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """A training that was killed after step 4 and resumed after step 2 writes steps 3 and 4 again."""
    log = tmp_path / "log"
    log.write_text(lines(1, 2))
    reader = LogReader(log, 2, Position(4, 4))
    assert steps(reader) == []
    log.write_text(lines(1, 2, 3, 4, 5))
    assert steps(reader) == [5]


def test_an_extended_training_has_other_records_after_its_last_step(tmp_path: Path) -> None:
    """The finished training had two records after step 2; the log is cut to step 2 before step 3 is written."""
    log = tmp_path / "log"
    log.write_text(lines(1, 2, 3, 4, 5))
    assert steps(LogReader(log, 2, Position(4, 2))) == [3, 4, 5]


def test_a_log_that_was_cut_and_written_again_ends_the_reading(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(lines(1, 2, 3))
    reader = LogReader(log, 0, Position())
    assert steps(reader) == [1, 2, 3]
    log.write_text(lines(1) + '{"type": "step", "step": 2, "another": "length of this line"}\n' + lines(3))
    assert steps(reader) in ([], [3])


def test_a_position_is_saved_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "position.json"
    assert Position.read(file) is None
    Position(5, 3).save(file)
    assert Position.read(file) == Position(5, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["position.json"]
    file.write_text('{"lines": "many"')
    assert Position.read(file) is None
