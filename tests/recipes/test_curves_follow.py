"""`curves --follow`, with a log that the test writes whenever the follower waits."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.recipes import curves_follow
from mtlkit.recipes.curves_follow import Followed, LogFollower, follow
from mtlkit.report.log_reader import read_curves
from mtlkit.runs.record import CHECKPOINTS, LOG, RECORD


@pytest.fixture
def lines(runs: Path) -> list[str]:
    """The log of a training, by lines."""
    return (runs / "mtl" / LOG).read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a training that has not begun."""
    return tmp_path / "runs" / "new"


class Training:
    """What happens whenever the follower waits; it runs as long as there is something to do."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self.acts, self.clock = list(acts), 0.0

    def sleep(self, seconds: float) -> None:
        self.clock += seconds
        if self.acts:
            self.acts.pop(0)()

    def followed(self, monkeypatch: pytest.MonkeyPatch, **options: object) -> Iterator[Followed]:
        monkeypatch.setattr(curves_follow, "is_locked", lambda _: bool(self.acts))
        yield from follow(CurvesOptions(**options), sleep=self.sleep, now=lambda: self.clock)  # type: ignore[arg-type]


def write(path: Path, text: str, mode: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)


def test_a_training_from_before_it_begins_to_its_end(
    run: Path, runs: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, half = run / CHECKPOINTS / LOG, len(lines) // 2

    def finish() -> None:
        shutil.copy(log, run / LOG)
        shutil.copy(runs / "mtl" / RECORD, run)
        shutil.rmtree(run / CHECKPOINTS)

    training = Training(
        lambda: None,
        lambda: write(log, "".join(lines[:half])),
        lambda: write(log, lines[half][:9]),  # a line that is being written
        lambda: write(log, lines[half][9:] + "".join(lines[half + 1 :])),
        finish,
    )
    states = list(training.followed(monkeypatch, run=run))
    assert states[0] == Followed(run)
    lengths = [len(state.curves.gradient_norm) for state in states if state.curves]
    assert 0 < lengths[0] < lengths[1]
    assert lengths[-1] == lengths[1]
    assert (states[-1].ended, states[-1].curves) == ("finished", read_curves(runs / "mtl" / LOG))


def test_a_training_that_stops_early(run: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(run / CHECKPOINTS / LOG, "".join(lines[:20]))
    training = Training(lambda: None)
    *_, last = training.followed(monkeypatch, run=run)
    assert last.ended == "interrupted"
    assert training.clock > curves_follow.QUIET


def test_a_finished_run_is_drawn_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"run": runs / "mtl"}, {"run": runs / "mtl" / LOG}, {"runs": runs}):
        first, last = Training().followed(monkeypatch, **options)
        assert (first.folder, first.curves, last.ended) == (runs / "mtl", read_curves(runs / "mtl" / LOG), "finished")


def test_the_running_training_is_the_one_to_follow(
    runs: Path, run: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs / "mtl", run.parent / "mtl")
    write(run / CHECKPOINTS / LOG, "".join(lines[:20]))
    monkeypatch.setattr(curves_follow, "is_locked", lambda folder: folder == run)
    assert curves_follow.followed_folder(CurvesOptions(runs=run.parent)) == run


@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_a_resume_cuts_is_read_again(tmp_path: Path, lines: list[str], replaced: bool) -> None:
    log, follower = tmp_path / LOG, LogFollower()
    write(log, "".join(lines[:40]))
    assert follower.read(log)
    assert not follower.read(log)
    other = [line.replace('"losses"', '"losses" ') for line in lines]
    if replaced:
        write(tmp_path / "other", "".join(other))
        os.replace(tmp_path / "other", log)
    else:  # cut, and longer than before when it is looked at again
        write(log, "".join(lines[:10]) + "".join(other[10:]), "w")
    assert follower.read(log)
    assert follower.reader.curves() == read_curves(log)
    assert follower.number == len(lines)


def test_damaged_lines_are_named(tmp_path: Path, lines: list[str]) -> None:
    log, follower = tmp_path / LOG, LogFollower()
    write(log, "".join(lines[:5]) + "nothing\n")
    with pytest.raises(IntegrityError, match=f"{LOG}:6: not a line of a training log"):
        follower.read(log)


def test_the_picture_is_written_again(run: Path, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    picture, pictures = tmp_path / "curves.svg", list[bytes]()
    log = run / CHECKPOINTS / LOG
    some = [line for line in map(json.loads, lines) if line["type"] == "step"]
    some = [
        {**line, "losses": {"kind": line["losses"]["kind"]}, "gradient_norm": None} for line in some if "kind" in line["losses"]
    ]
    first, rest = ("".join(json.dumps(line) + "\n" for line in part) for part in (some[:9], some[9:]))
    write(log, first)
    training = Training(lambda: write(log, rest))
    for state in training.followed(monkeypatch, run=run, output=picture):
        pictures += [] if state.ended else [picture.read_bytes()]
    assert len(pictures) == len(set(pictures)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "runs"]
    with pytest.raises(UsageError, match="exists"):
        next(training.followed(monkeypatch, run=run, output=picture))
