"""The examples of each kind of task run as typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = Path(__file__).parents[2] / "examples" / "kinds"
SHOWN = {
    "labels": ('"topic": {"label"', '"remarks": {"labels"', '"stars"'),
    "pairs": ('"similar": {"value"', '"follows": {"label"'),
    "words": ('"text": "Paris"',),
    "negatives": ("nDCG@10",),
    "together": ("Multi-task vs. single-task", '"spans"', "not used: heads for pairs of texts"),
}


@pytest.fixture
def with_mtlkit(tmp_path: Path) -> dict[str, str]:
    """The environment in which `mtlkit` is this package."""
    command = tmp_path / "bin" / "mtlkit"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mtlkit "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}


def test_every_script_is_tested() -> None:
    assert {script.stem for script in KINDS.glob("*.sh")} == set(SHOWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_kind_trains_and_predicts(tmp_path: Path, with_mtlkit: dict[str, str], name: str) -> None:
    script = [str(KINDS / f"{name}.sh")]
    process = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, env=with_mtlkit, timeout=600)
    assert process.returncode == 0, process.stderr
    for words in SHOWN[name]:
        assert words in process.stdout + process.stderr
