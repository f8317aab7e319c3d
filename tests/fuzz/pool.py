"""Processes that read damaged inputs one after another, each bounded in time and memory."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from types import FrameType
from typing import ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # an arena a thread would take address space, which is what is bounded here

import torch
from fuzz.targets import TARGETS, damaged_copy

from mtlkit.errors import MtlkitError

SECONDS = 10  # of computing: other programs on the machine do not count
LONGEST = 60  # seconds on the clock, for what waits and computes nothing
GIGABYTE = 1 << 30
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Outcome:
    """The result of an input; `said` is the traceback of a finding."""

    kind: str
    number: int
    result: str
    said: str = ""

    FOUND: ClassVar[tuple[str, ...]] = ("traceback", "hang", "memory", "crash")

    @property
    def found(self) -> bool:
        return self.result in self.FOUND


class TooLongError(BaseException):
    """Raised in the program when its time is over."""


def too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLongError


def read_one(kind: str, folder: Path) -> tuple[str, str]:
    """The result of reading one input."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            TARGETS[kind].read(folder)
        return "loaded", ""
    except MtlkitError:
        return "refused", ""
    except TooLongError:
        return "hang", traceback.format_exc()
    except MemoryError:
        return "memory", traceback.format_exc()
    except BaseException:  # a panic of a library in Rust is no Exception
        return "traceback", traceback.format_exc()


def work(link: Connection, sound: Path, place_of: Path, seed: int, kinds: Sequence[str]) -> None:
    """Reads inputs by kind and number until the other end is closed."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries in Rust say of their panics
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGPROF, too_long)
    for kind in kinds:  # so that nothing is imported or begun under the bound
        read_copy(kind, sound)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2 * GIGABYTE, resource.RLIM_INFINITY))
    folder = place_of / "input"
    while True:
        try:
            kind, number = link.recv()
        except EOFError:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            damaged_copy(kind, sound / kind, folder, Random(f"{seed}:{kind}:{number}"))
        except Exception:  # this program's own fault
            link.send(Outcome(kind, number, "crash", traceback.format_exc()))
            continue
        before = peak(reset=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(LONGEST)
        result, said = read_one(kind, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        if peak() - before > GIGABYTE and result in ("loaded", "refused"):
            result, said = "memory", f"{(peak() - before) / GIGABYTE:.1f} GiB, {result}"
        link.send(Outcome(kind, number, result, said))


def peak(*, reset: bool = False) -> int:
    """The most memory that this process has held, in bytes; since now, if `reset`."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@dataclass
class Worker:
    process: BaseProcess
    link: Connection
    place: Path
    kinds: Sequence[str]
    task: tuple[str, int] | None = None

    @classmethod
    def start(cls, sound: Path, place_of: Path, seed: int, kinds: Sequence[str]) -> Worker:
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=work, args=(theirs, sound, place_of, seed, kinds), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours, place_of, kinds)

    def give(self, task: tuple[str, int]) -> None:
        self.task = task
        self.link.send(task)

    def end(self) -> str:
        """Stops the process; how it ended."""
        if self.process.is_alive():
            self.process.join(1)
            self.process.kill()
        self.process.join()
        self.link.close()
        return f"ended with {self.process.exitcode}"


def read_copy(kind: str, sound: Path) -> None:
    """Reads a sound input, without a change to it."""
    with tempfile.TemporaryDirectory(dir=sound.parent) as scratch:
        TARGETS[kind].read(Path(shutil.copytree(sound / kind, Path(scratch) / kind)))


def write_sound(folder: Path, kinds: Sequence[str]) -> None:
    """A sound input of each kind, written by a process of its own: threads that libraries begin would not outlive a fork."""
    process = FORK.Process(target=_write, args=(folder, kinds))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError("the sound inputs cannot be written")


def _write(folder: Path, kinds: Sequence[str]) -> None:
    for kind in kinds:
        (folder / kind).mkdir()
        TARGETS[kind].write(folder / kind)
        read_copy(kind, folder)


def fuzz(count: int, seed: int, kinds: Sequence[str] | None, only: str | None, workers: int, keep: Path) -> Iterator[Outcome]:
    """Reads `count` damaged inputs, of all kinds in turn; folders of findings are kept."""
    names = list(kinds or TARGETS)
    tasks = [(names[number % len(names)], number // len(names)) for number in range(count)]
    if only:
        tasks = [(only.partition(":")[0], int(only.partition(":")[2]))]
        names = [tasks[0][0]]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        (sound := Path(scratch) / "sound").mkdir()
        write_sound(sound, names)
        pool = [Worker.start(sound, Path(scratch) / str(one), seed, names) for one in range(workers)]
        waiting = iter(tasks)
        try:
            while pool:
                for worker in list(pool):
                    if worker.task is None and (task := next(waiting, None)) is not None:
                        worker.give(task)
                    elif worker.task is None:
                        pool.remove(worker)
                        worker.end()
                for one in collect(pool, sound, seed):
                    if one.found:
                        kept = keep / f"{one.kind}-{seed}-{one.number}"
                        shutil.rmtree(kept, ignore_errors=True)
                        kept.mkdir(parents=True)
                        damaged_copy(one.kind, sound / one.kind, kept, Random(f"{seed}:{one.kind}:{one.number}"))
                        (kept / "said.txt").write_text(one.said, errors="backslashreplace")
                    yield one
        finally:
            for worker in pool:
                worker.process.kill()


def collect(pool: list[Worker], sound: Path, seed: int) -> Iterator[Outcome]:
    """The finished results, or after a while those of processes that ended or hang, which are started again."""
    busy = [worker for worker in pool if worker.task]
    if not busy:  # waiting for nothing would take the whole time
        return
    ready = wait([worker.link for worker in busy], timeout=LONGEST + 30)
    for worker in busy:
        if ready and worker.link not in ready:
            continue
        assert worker.task
        kind, number = worker.task
        try:
            outcome: Outcome = worker.link.recv() if ready else Outcome(kind, number, "hang", "deaf to its alarm")
        except (EOFError, ConnectionError):
            outcome = Outcome(kind, number, "crash", "")
        worker.task = None
        if (outcome.result == "crash" and not outcome.said) or not ready:
            said = worker.end()
            pool[pool.index(worker)] = Worker.start(sound, worker.place, seed, worker.kinds)
            outcome = Outcome(kind, number, outcome.result, outcome.said or said)
        yield outcome
