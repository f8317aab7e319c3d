"""Time and peak memory of `report`, `eval` and `runs` on a run with many test rows, without and with cached predictions.

    python benchmarks/report.py data/ag_news data/imdb data/emotion

Each folder has train.parquet and test.parquet, columns `text` and `label`. Two runs are trained, on --rows rows each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drawn import drawn_splits


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall and CPU seconds of a command, and its peak memory in MiB. Ends the program if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rows", type=int, default=1000, help="rows to train on")
    parser.add_argument("--test-rows", type=int, default=0, help="test rows of each task (0: all)")
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        tasks, total = [], 0
        for folder in arguments.folders:
            own = Path(work) / folder.name
            own.mkdir()
            splits = drawn_splits(str(folder), str(own), ["text", "label"], arguments.rows, arguments.test_rows)
            total += len(splits["test"])
            tasks += ["--task", f"{folder.name}={own}"]
        mtlkit = [sys.executable, "-m", "mtlkit"]
        environment = {"MTLKIT_CACHE": str(Path(work) / "cache"), "OMP_NUM_THREADS": "1"}
        runs = [str(Path(work) / name) for name in ("linear", "mlp")]
        for run, head in zip(runs, ("linear", "mlp:64"), strict=True):
            train = ["train-mtl", *tasks, "--init", arguments.model, "--freeze", "backbone", "--head", head, "--epochs", "3"]
            measured([*mtlkit, *train, "--out", run], environment)
        print(f"{len(arguments.folders)} tasks, {total:,} test rows in all, {arguments.model}")
        page = ["-o", str(Path(work) / "report.html"), "--overwrite"]
        commands = {"report": ["report", runs[0], *page], "eval": ["eval", runs[0]], "runs": ["runs", *runs]}
        commands["report of two"] = ["report", *runs, *page]
        for when in ("not cached", "cached"):
            for name, command in commands.items():
                own = [*mtlkit, *command, *(["--no-cache"] if when == "not cached" else [])]
                wall, cpu, peak = measured(own, environment)
                print(f"{name:14} {when:11} {wall:7.1f} s {cpu:7.1f} CPU seconds {peak:6.0f} MiB", flush=True)
            measured([*mtlkit, *commands["runs"]], environment)  # fills the cache


if __name__ == "__main__":
    main()
