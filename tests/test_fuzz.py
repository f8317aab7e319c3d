"""A small part of the fuzzing that fuzz/fuzz_inputs.py does by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")  # its folder of a BERT is among the inputs
PROGRAM = Path(__file__).parent / "fuzz" / "fuzz_inputs.py"
KINDS = (
    *("run", "compact", "bert-files", "export", "csv", "tsv", "jsonl", "parquet", "txt", "conll", "toml", "log", "state"),
    *("json", "gz", "arrow", "fasttext", "sources", "tokens", "parts", "writer"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="bounds and measures memory as Linux does")
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(PROGRAM),
        "--count",
        "40",
        "--seed",
        "1",
        "--workers",
        "1",
        "--keep",
        str(tmp_path),
        "--kinds",
        *KINDS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded, refused, *found = map(int, done.stdout.splitlines()[-1].split()[1:])
    assert loaded > 4
    assert refused > 8
    assert loaded + refused == 40
    assert found == [0, 0, 0, 0]
    assert not list(tmp_path.iterdir())
