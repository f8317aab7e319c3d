"""Trainings that are killed repeatedly, compared with one that was not interrupted."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL
from typing import Any

from forks import Child, Forks

from mtlkit.runs.record import LOG, RECORD, file_digest, read_record, verify

MEASURED = {"seconds", "total", "cost", "tokens_per_second", "started"}  # times, which no two trainings share
TINY = ("--layers", 1, "--dim", 16, "--heads", 2, "--vocab-size", 300, "--batch-tokens", 128)


def lines_of(out: Path) -> int:
    """How long the log of a training is so far."""
    log = out / "state" / LOG
    return log.read_bytes().count(b"\n") if log.is_file() else 0


def states(out: Path) -> list[str]:
    """The names of its saved states, the oldest first."""
    return sorted(path.name for path in (out / "state").glob("step-*"))


def newest(out: Path) -> int:
    """The step of the last of them."""
    return int(states(out)[-1].removeprefix("step-"))


def hidden(folder: Path, pattern: str) -> set[Path]:
    return set(folder.glob(pattern))


class Killer:
    """Kills a training, or sends it SIGHUP, at moments that follow from a seed; `hits` counts the successful ones, by moment and
    signal."""

    def __init__(self, forks: Forks, seed: int) -> None:
        self.forks, self.draw, self.hits = forks, random.Random(seed), Counter[str]()
        self.moments = {"start": self._start, "step": self._step, "save": self._save, "end": self._end}

    def train(self, command: tuple[object, ...], out: Path, kills: int) -> None:
        """Trains at `out`: killed that many times, the last two while the run is saved, and resumed until it ends."""
        plan = [*self.draw.choices(["start", "step", "save"], [1, 4, 3], k=kills - 2), "end", "end"]
        resumed: tuple[object, ...] = ()
        for moment in plan:
            if self._killed(command, out, moment, resumed):
                resumed = ("--resume",)
            elif (out / "run.json").is_file():  # it was too quick for the last ones
                break
        child = self.forks.start(*command, "--out", out, "--resume")
        assert child.wait() == 0, child.err

    def _killed(self, command: tuple[object, ...], out: Path, moment: str, resumed: tuple[object, ...]) -> bool:
        before = hidden(out.parent, f".{out.name}.*")
        number = self.draw.choice((SIGKILL, SIGHUP))
        child = self.forks.start(*command, "--out", out, *resumed)
        if self.moments[moment](child, out, before):
            child.kill(number)
        code = child.wait()
        early = (-SIGHUP,) if moment == "start" else ()  # before the command line heeds signals
        assert code in (0, -SIGKILL if number == SIGKILL else 128 + SIGHUP, *early), f"{moment}: {code}: {child.err}"
        if code == 128 + SIGHUP and not (moment == "start" and child.err.endswith("the terminal was closed (SIGHUP)\n")):
            check_saved(child, out)
        self.hits[f"{moment} {number.name}"] += code != 0
        return code != 0

    def _start(self, child: Child, out: Path, before: set[Path]) -> bool:
        """While the data is read, or somewhat later."""
        return child.lasts(self.draw.uniform(0, 0.3))

    def _step(self, child: Child, out: Path, before: set[Path]) -> bool:
        """Some lines of the log later: in a step, in an evaluation, between the two."""
        lines = self.draw.randint(1, 6)
        start: int | None = None

        def grown() -> bool:
            nonlocal start
            now = lines_of(out)
            start = now if start is None or now < start else start  # it is cut to that of the last state first
            return now >= start + lines

        return child.until(grown) and child.lasts(self.draw.uniform(0, 0.03))

    def _save(self, child: Child, out: Path, before: set[Path]) -> bool:
        """While a checkpoint is written."""
        earlier = hidden(out / "state", ".step-*")
        return child.until(lambda: bool(hidden(out / "state", ".step-*") - earlier)) and child.lasts(self.draw.uniform(0, 0.03))

    def _end(self, child: Child, out: Path, before: set[Path]) -> bool:
        """While the run is written and moved to its path, and its checkpoints are removed."""
        begun = child.until(lambda: any((path / LOG).exists() for path in hidden(out.parent, f".{out.name}.*") - before))
        return begun and child.lasts(self.draw.uniform(0, 0.03))


def check_saved(child: Child, out: Path) -> None:
    """The last message of a training that received SIGHUP agrees with what is saved."""
    line = child.err.splitlines()[-1]
    if saved := re.search(r"(?:saved after|the state of) step (\d+)", line):
        assert newest(out) == int(saved[1]), line
    elif "is finished and saved" in line or (line.endswith("the terminal was closed (SIGHUP)") and (out / RECORD).exists()):
        verify(out)  # the latter: it was about to leave
    else:
        assert "nothing was saved yet" in line, child.err
        assert not out.exists() or not states(out), line


STEP, HEAD = "mtlkit.training.optimizer:EagerAdamW.step", "mtlkit.training.solver.head:choose_strength"


def killed_in(step: int, forks: Forks, command: tuple[object, ...], out: Path, hold: str = STEP) -> None:
    """Kills a training in its step number `step`, from 1, or with `hold=HEAD` while it solves that head."""
    child = forks.start(*command, "--out", out, hold=hold, call=step)
    child.held()
    child.kill()
    assert child.wait() == -9


def check_resumes(step: int, typed: Callable[..., Any], forks: Forks, command: tuple[object, ...], folder: Path) -> None:
    """A training that is killed in this step, after a checkpoint, and resumed ends with the weights of one that is not
    interrupted."""
    whole, resumed = folder / "whole", folder / "resumed"
    assert typed(*command, "--out", whole).code == 0
    killed_in(step, forks, command, resumed)
    assert newest(resumed) > 0
    assert typed(*command, "--out", resumed, "--resume").code == 0
    assert file_digest(resumed / "model.safetensors") == file_digest(whole / "model.safetensors")


def stripped(value: Any) -> Any:
    """A value without measured times."""
    if isinstance(value, dict):
        return {name: stripped(item) for name, item in value.items() if name not in MEASURED}
    return [stripped(item) for item in value] if isinstance(value, list) else value


def log_of(out: Path) -> list[str]:
    """The records of a finished run's log."""
    return [json.dumps(stripped(json.loads(line))) for line in (out / LOG).read_text().splitlines()]


def differences(actual: Path, wanted: Path) -> Iterator[str]:
    """The differences between two runs."""
    record = verify(actual)
    assert record.files.keys() == read_record(wanted).files.keys()
    for name in record.files:
        same = name.endswith(("run.json", "README.md", LOG)) or file_digest(actual / name) == file_digest(wanted / name)
        if not same:
            yield f"{name} is another"
    if json.dumps(stripped(record.metrics)) != json.dumps(stripped(read_record(wanted).metrics)):
        yield f"metrics {record.metrics} and not {read_record(wanted).metrics}"
    lines, others = log_of(actual), log_of(wanted)
    for number, (line, other) in enumerate(zip(lines, others, strict=False), 1):
        if line != other:
            yield f"line {number} of the log is {line} and not {other}"
            break
    if len(lines) != len(others):
        yield f"the log has {len(lines)} lines and not {len(others)}"
