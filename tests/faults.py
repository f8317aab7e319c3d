"""Injects faults at each disk operation in turn: errors, and kills of the process."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtlkit.runs import atomic as disk
from mtlkit.runs import checkpoint_files
from mtlkit.runs import replace_folder as folders

Case = tuple[str, bool]
Strike = Callable[[int, str, Path], None]
SEAM = [(disk, "write"), (disk, "sync"), (disk, "rename"), (folders, "exchange"), (checkpoint_files, "write_tensors")]
WRITES = ("write", "write_tensors")


def watch(patch: pytest.MonkeyPatch, strike: Strike, exchanges: bool = True) -> list[str]:
    """Calls `strike` before every disk operation, and during a write when half of it is done. Returns the list of operations."""
    done: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *rest: Any) -> Any:
            if name == "exchange" and not exchanges:
                return False  # as on systems without renameat2
            done.append(name)
            strike(len(done), name, path)
            result = real(path, *rest)
            if name in WRITES:
                whole = path.read_bytes()
                os.truncate(path, len(whole) // 2)
                done.append(f"half of {name}")
                strike(len(done), done[-1], path)
                path.write_bytes(whole)
            return result

        return call

    for module, name in SEAM:
        patch.setattr(module, name, watched(name, getattr(module, name)))
    return done


def failing_at(number: int, code: int) -> Strike:
    def strike(count: int, name: str, path: Path) -> None:
        if count == number:
            raise OSError(code, os.strerror(code), str(path))

    return strike


CODES = (errno.ENOSPC, errno.EIO)


def killed_at_each(root: Path, cases: Iterable[Case]) -> dict[Case, list[Path]]:
    """Runs each case in a process that is killed at its first disk operation, in another at its second, and so on.

    A case is a name in `SCENES` of scenes.py and whether folders can be exchanged. Returns the folders of its processes. One
    process forks them all.
    """
    roots = {case: root / f"{number}" for number, case in enumerate(cases)}
    code = "from faults import die_at_each; " + "; ".join(f"die_at_each({str(roots[case])!r}, *{case!r})" for case in roots)
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths}, timeout=120)
    return {case: sorted(folder.iterdir()) for case, folder in roots.items()}


def die_at_each(root: str, name: str, exchanges: bool) -> None:
    """Forks a process for each disk operation, in which it ends with `os._exit`."""
    from scenes import SCENES

    act = SCENES[name][1]
    for run in places(SCENES[name][0], Path(root)):
        number = int(run.parent.name)
        if (child := os.fork()) == 0:
            watch(pytest.MonkeyPatch(), dying_at(number), exchanges)
            try:
                act(run)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended == 0:  # it has fewer operations than that
            return
        assert ended == 9, ended


def places(before: Callable[[Path], object], root: Path) -> Iterator[Path]:
    """One copy of the same prepared folder per operation."""
    template = root.with_name(f"{root.name}-before")
    template.mkdir(parents=True)
    before(template / "run")
    for number in range(1, 100):
        yield shutil.copytree(template, root / f"{number:02d}") / "run"
    raise AssertionError("too many operations")


def dying_at(number: int) -> Strike:
    def strike(count: int, name: str, path: Path) -> None:
        if count == number:
            os._exit(9)

    return strike
