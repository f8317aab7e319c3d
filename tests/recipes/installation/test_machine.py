from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtlkit.recipes.installation import machine
from mtlkit.recipes.installation.machine import cpu_line, gpu_line

X86 = "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx2 avx512f avx512_vnni lahf_lm\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp i8mm bf16\n"


@pytest.mark.parametrize(
    ("text", "model", "sets"), [(X86, "Some CPU 9000", "avx2 avx512f avx512_vnni"), (ARM, "", "asimddp i8mm bf16")]
)
def test_processor_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, model: str, sets: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    line = cpu_line()
    assert line.startswith(model)
    assert line.endswith(sets)
    assert "lahf_lm" not in line


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_processor_without_proc_and_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "missing")
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr("platform.processor", lambda: "arm")
    assert cpu_line() == "arm; 1 core"


def test_gpus_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        [
            SimpleNamespace(stdout="GPU A, 80 GB, 550\n\nGPU B, 80 GB, 550\n", returncode=0),
            SimpleNamespace(stdout="", returncode=9),
        ]
    )
    monkeypatch.setattr(shutil, "which", lambda _: "nvidia-smi")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: next(answers))
    assert gpu_line() == "GPU A, 80 GB, 550; GPU B, 80 GB, 550"
    assert "exit code 9" in gpu_line()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert gpu_line() == "no NVIDIA driver"
