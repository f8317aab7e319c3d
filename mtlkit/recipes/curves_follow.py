"""`mtlkit curves --follow`: reads the log of a running training again and again, only what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.recipes.curves import check_picture, find_log, write_picture
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.report.log_reader import Curves, LogReader, read_line
from mtlkit.runs.lock import is_locked, locked
from mtlkit.runs.outputs import check_output_file
from mtlkit.runs.record import CHECKPOINTS, LOG, RECORD

POLL = 1.0  # seconds between two looks at the log
QUIET = 5.0  # seconds without news until a training that no process holds counts as over
TAIL = 256  # last bytes that must be the same for the rest to be new


@dataclass(frozen=True)
class Followed:
    """The log so far. `curves` is None while there is no log; `ended` says why nothing follows."""

    folder: Path
    curves: Curves | None = None
    ended: str = ""


class LogFollower:
    """Reads what was appended to a log. A log that was replaced or cut, as by a resume, is read from its beginning."""

    def __init__(self) -> None:
        self._restart(None)

    def _restart(self, file: tuple[int, int] | None) -> None:
        self.file, self.offset, self.number, self.tail = file, 0, 0, b""
        self.reader = LogReader()

    def read(self, path: Path) -> bool:
        """Reads all complete new lines; whether there were any. Raises OSError, and IntegrityError for a damaged line."""
        with path.open("rb") as log:
            about = os.fstat(log.fileno())
            log.seek(max(0, self.offset - len(self.tail)))
            same = (about.st_dev, about.st_ino) == self.file and about.st_size >= self.offset
            again = self.file is not None and not (same and log.read(len(self.tail)) == self.tail)
            if again or self.file is None:
                self._restart((about.st_dev, about.st_ino))
                log.seek(0)
            news = again
            for text in log:
                if not text.endswith(b"\n"):  # it is being written
                    break
                self.number += 1
                read_line(text, f"{path}:{self.number}", self.reader.take)
                self.offset += len(text)
                self.tail = (self.tail + text)[-TAIL:]
                news = True
        return news


def follow(
    options: CurvesOptions, *, sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.monotonic
) -> Iterator[Followed]:
    """Yields the curves whenever the log has grown, and at last why the training has ended. With `output`, writes the picture
    each time. Waits for a run that does not exist yet, if it is named. Raises UsageError, IntegrityError, SavingError."""
    if options.output is None:
        yield from _followed(options, sleep, now)
        return
    inputs = inputs_of(options)
    check_picture(options.output)
    check_output_file(options.output, inputs, overwrite=options.overwrite)
    with locked(options.output, command_line("curves", options), option="--output"):
        check_output_file(options.output, inputs, overwrite=options.overwrite)
        yield from _followed(options, sleep, now)


def _followed(options: CurvesOptions, sleep: Callable[[float], None], now: Callable[[], float]) -> Iterator[Followed]:
    folder = followed_folder(options)
    follower, last, waiting = LogFollower(), now(), True
    seen = False
    while True:
        running = is_locked(folder)
        log = current_log(folder, running)
        try:
            news = log is not None and follower.read(log)
        except FileNotFoundError:  # the training ended between the two
            news = False
        if news:
            last, seen = now(), True
            curves = follower.reader.curves()
            if options.output is not None and curves.tasks and not curves.solved:
                write_picture(curves, options.output, folder.resolve().name, options.smooth)
            yield Followed(folder, curves)
        elif not running and seen and ((folder / RECORD).is_file() or now() - last > QUIET):
            yield Followed(folder, follower.reader.curves(), "finished" if (folder / LOG).is_file() else "interrupted")
            return
        elif not seen and waiting:
            waiting = False
            yield Followed(folder)
        sleep(POLL)


def followed_folder(options: CurvesOptions) -> Path:
    """The folder of the run to follow: the given one, which need not exist, or that of a file in it; else the one that is being
    trained, or the newest."""
    run = options.run
    if run is not None:
        if not run.is_file():
            return run
        return run.parent.parent if run.parent.name == CHECKPOINTS else run.parent
    logs = sorted(options.runs.glob(f"*/{CHECKPOINTS}/{LOG}"), key=lambda log: log.stat().st_mtime)
    running = [log.parent.parent for log in logs if is_locked(log.parent.parent)]
    return running[-1] if running else find_log(None, options.runs)[0].parent


def current_log(folder: Path, running: bool) -> Path | None:
    """The log that is being written, or that of the finished run; None if there is none yet."""
    unfinished, finished = folder / CHECKPOINTS / LOG, folder / LOG
    if unfinished.is_file() and (running or not finished.is_file()):
        return unfinished
    return finished if finished.is_file() and not running else None
