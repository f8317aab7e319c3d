"""A training that the real torchrun starts. Slow, as each of its processes imports torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import lines_of, states
from rank_runs import free_port

from mtlkit.runs.record import RECORD

pytestmark = pytest.mark.slow
SMALL = (
    "--init",
    "scratch",
    "--layers",
    1,
    "--dim",
    16,
    "--heads",
    2,
    "--vocab-size",
    300,
    "--batch-tokens",
    128,
    "--min-steps",
    0,
)


def torchrun(data: Path, out: Path, *more: object) -> subprocess.Popen[str]:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2, "--master-addr", "127.0.0.1")
    command = ("-m", "mtlkit", "train-mtl", "--task", f"kind={data / 'kind'}", *SMALL, "--out", out, *more)
    words = [str(word) for word in (*launcher, "--master-port", free_port(), *command)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "COLUMNS": "100"}
    )


def until(out: Path, lines: int) -> None:
    """Waits until the log of a training has so many lines."""
    last = time.monotonic() + 120
    while lines_of(out) < lines:
        assert time.monotonic() < last
        time.sleep(0.05)


def rank_of(launcher: subprocess.Popen[str], rank: int) -> int:
    """The process id of a rank, from the environment of the launcher's children."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher.pid and f"\0RANK={rank}\0" in (folder / "environ").read_text():
                return int(folder.name)
        except (OSError, UnicodeDecodeError):
            continue
    raise AssertionError("no such process")


def test_torchrun_ends_with_a_run(data: Path, tmp_path: Path) -> None:
    done = torchrun(data, tmp_path / "run", "--epochs", 1)
    printed, _ = done.communicate(timeout=200)
    assert done.returncode == 0, printed
    assert (tmp_path / "run" / RECORD).is_file()
    assert printed.count("is ready") == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_torchrun_ends_when_a_process_is_killed(data: Path, tmp_path: Path) -> None:
    launcher = torchrun(data, tmp_path / "run", "--epochs", 500, "--save-every", 10)
    until(tmp_path / "run", 30)
    os.kill(rank_of(launcher, 1), signal.SIGKILL)
    printed, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    assert "another process of the training was lost" in printed
    assert states(tmp_path / "run")


def test_torchrun_passes_a_stop_on(data: Path, tmp_path: Path) -> None:
    launcher = torchrun(data, tmp_path / "run", "--epochs", 500, "--save-every", 100000)
    until(tmp_path / "run", 30)
    launcher.terminate()
    printed, _ = launcher.communicate(timeout=60)
    assert printed.count("saved after step") == 1
    assert len(states(tmp_path / "run")) == 1
