"""Sides that run in processes of their own, so that the peak memory of each is its own and their threads do not meet.

The process that compares starts one for each side (`Worker`); it gets ready, and then measures once each time it is asked
(`serve`). While one works, the others wait. Imports nothing heavy. For Linux and macOS.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from compare import PEAK, Measure, Side, installed

Prepare = Callable[[Namespace], Callable[[], Measure]]


class Worker:
    """The process of one side, which runs `script` with the side's name and the options as JSON."""

    def __init__(self, script: Path, name: str, options: Mapping[str, Any]):
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": str(options["threads"]), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, str(script), name, json.dumps(options)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._reply()  # it is ready: loaded and warmed up before the next one starts

    def run(self) -> Measure:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Measure(**self._reply())

    def stop(self) -> None:
        """Lets it end."""
        self._process.communicate()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.name} ended with exit code {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply


class Workers:
    """The processes of several sides; they end with the block."""

    def __init__(self, script: Path, sides: Sequence[str], options: Mapping[str, Any]):
        self._started: list[Worker] = []
        self._wanted = [(script, name, options) for name in sides]

    def __enter__(self) -> list[Side]:
        try:
            for wanted in self._wanted:
                self._started.append(Worker(*wanted))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return [Side(worker.name, worker.run) for worker in self._started]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._started:
            worker.stop()


def present(sides: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Those of the sides whose packages are there; says why it leaves out the others."""
    kept = []
    for name in sides:
        if name not in needs:
            raise SystemExit(f"no side {name!r}; there are {', '.join(needs)}")
        missing = [package for package in needs[name] if installed(package) is None]
        if missing:
            print(f"{name} is left out: not installed: {', '.join(missing)}")
        else:
            kept.append(name)
    return kept


def serve(sides: Mapping[str, Prepare]) -> None:
    """The life of a worker: prepares the side that the command line names, then measures it at every line of input.

    What libraries print goes to stderr, for stdout carries the replies. Each has the peak memory of the process so far.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    measure = sides[sys.argv[1]](Namespace(**json.loads(sys.argv[2])))
    print("{}", file=replies, flush=True)
    for _ in sys.stdin:
        taken = measure()
        taken.others[PEAK] = peak()
        print(json.dumps(dataclasses.asdict(taken)), file=replies, flush=True)


def peak() -> float:
    """MiB of this process at its largest."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
