"""The output of `mine`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from support import write

if TYPE_CHECKING:
    from .conftest import Typed


def test_what_was_mined_and_what_to_type_next(typed: Typed, runs: Path, tmp_path: Path) -> None:
    words = ["cat", "dog", "horse", "saw", "drill", "lathe"]
    pairs = write(tmp_path / "pairs.csv", [("q", "r"), *((f"The {word} sleeps.", f"A {word} lies there.") for word in words)])
    out = tmp_path / "mined.csv"
    command = ("mine", f"{pairs}?first=q&second=r", "--model", runs / "sentence", "-o", out, "--margin", 0, "--negatives", 1)
    answer = typed(*command, width=400)
    assert answer.code == 0, answer.err
    lines = out.read_text().splitlines()
    assert lines[0] == "anchor,positive,negative"
    assert f"{out}: {len(lines) - 1} of 6 pairs, each with 1 of 6 candidates as negatives" in answer.out
    assert "first=q, second=r" in answer.err
    next_command = f"mtlkit train-sentence --objective pairs --task pairs={out} --init {runs / 'sentence'}"
    assert f"next: {next_command}" in answer.err
    again = typed(*command)
    assert again.code == 2
    assert "--overwrite" in again.err
    document = json.loads(typed(*command, "--overwrite", "--json").out)
    assert (document["pairs"], document["written"], document["candidates"]) == (6, len(lines) - 1, 6)
    wrong = typed("mine", f"{pairs}?first=q&second=s", "-o", out)
    assert wrong.code == 3
    assert "column 's' not found" in wrong.err
