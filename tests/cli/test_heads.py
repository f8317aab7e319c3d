"""The output of `heads`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Typed


def test_the_new_run_and_what_to_type_next(typed: Typed, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = typed("heads", runs / "mtl", "--drop", "kind", "--out", out)
    assert (done.code, done.out) == (0, f"{out}: head:state\n"), done.err
    assert f"next: mtlkit predict --model {out} 'a text'" in done.err
    again = typed("heads", runs / "mtl", "--drop", "kind", "--out", out)
    assert (again.code, "--overwrite" in again.err) == (2, True)
    replaced = typed("heads", runs / "mtl", "--rename", "kind=sort", "--out", out, "--overwrite", "--json")
    assert json.loads(replaced.out)["tasks"] == ["sort", "state"]
    assert typed("export", out, "--format", "compact").code == 0
    kept = typed("heads", runs / "mtl", "--drop", "kind", "--out", out, "--overwrite")
    assert f"{out} keeps compact, exported before; export again with --overwrite" in " ".join(kept.err.split())
    assert (out / "compact" / "run.json").is_file()
    own = typed("heads", runs / "mtl", "--drop", "kind", "--out", runs / "mtl", "--overwrite")
    assert (own.code, "is the same as RUN" in own.err) == (2, True)
