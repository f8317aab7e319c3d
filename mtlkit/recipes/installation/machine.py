"""The processor, the GPUs and the system, without torch."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")  # of Linux
# instruction sets that torch, ONNX Runtime or tokenizers have kernels for
FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
GPU_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
GPU_SECONDS = 10.0


def python_line() -> str:
    """Version and implementation of Python, and how text is encoded by default."""
    bits = "64-bit" if sys.maxsize > 2**32 else "32-bit"
    return f"{platform.python_version()} ({platform.python_implementation()}, {bits}, {sys.getfilesystemencoding()})"


def cpu_line() -> str:
    """The model of the processor, how many cores this process may use, and its instruction sets."""
    text = _read(CPU_INFO)
    flags = set(_field(text, "flags", "Features").split())
    model = _field(text, "model name") or platform.processor() or platform.machine()
    found = " ".join(name for name in FEATURES if name in flags)
    return "; ".join(part for part in (model, _cores(), found) if part)


def _cores() -> str:
    cores, usable = os.cpu_count(), None
    if sys.platform == "linux":
        usable = len(os.sched_getaffinity(0))
    known = "unknown number of cores" if cores is None else f"{cores} core{'s' * (cores != 1)}"
    return known if usable in (None, cores) else f"{known}, {usable} usable"


def gpu_line() -> str:
    """NVIDIA's GPUs as its driver lists them, or that there are none. Other GPUs are only known to torch."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no NVIDIA driver"
    try:
        done = subprocess.run([program, *GPU_QUERY], capture_output=True, text=True, timeout=GPU_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi: {type(error).__name__}"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(lines) if lines and done.returncode == 0 else f"nvidia-smi failed (exit code {done.returncode})"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, *names: str) -> str:
    """The first value of a field of /proc/cpuinfo; empty if it has none of these names."""
    found = re.search(rf"^(?:{'|'.join(names)})\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""
