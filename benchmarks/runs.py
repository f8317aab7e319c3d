"""What benchmarks share whose runs are commands or take long: CPU seconds of a command, and a file that keeps finished runs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def finished_runs(
    wanted: Iterable[Result], keys: Iterable[str], file: Path | None, run: Callable[[Result, Path], Result]
) -> Iterator[Result]:
    """Each wanted run with its figures. Those in the jsonl `file`, which agree in these keys, are not repeated; new ones are
    printed and appended to it. `run` gets a scratch folder."""
    names = list(keys)

    def identity(result: Result) -> str:
        return json.dumps([result.get(name) for name in names])

    earlier = file.read_text().splitlines() if file and file.exists() else []
    done = {identity(result): result for result in map(json.loads, earlier)}
    for one in wanted:
        result = done.get(identity(one))
        if result is None:
            with tempfile.TemporaryDirectory() as folder:
                result = {**one, **run(one, Path(folder))}
            print(json.dumps(result), flush=True)
            if file:
                with file.open("a") as lines:
                    lines.write(json.dumps(result) + "\n")
        yield result


def summary(side: str, results: Iterable[Result]) -> str:
    """A line with the mean figure of a side over seeds, the lowest and highest, and the mean of its CPU seconds."""
    figures, seconds = zip(*((result["figure"], result["cpu"]) for result in results), strict=True)
    span = f"{min(figures):.1f} to {max(figures):.1f}"
    return f"  {side:8} {statistics.mean(figures):6.2f} ({span})  {statistics.mean(seconds):8.1f} CPU seconds"


def cpu_of(command: list[str]) -> float:
    """User and system time of a command, its children included. Ends the program if it fails."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}:\n{errors}")
    return round(usage.ru_utime + usage.ru_stime, 2)
