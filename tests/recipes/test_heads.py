"""New runs with other heads on the same backbone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import options

import mtlkit
from mtlkit.config.commands.heads import HeadsOptions
from mtlkit.errors import UsageError
from mtlkit.inference.load_weights import load_weights
from mtlkit.inference.scope.file import read_scopes
from mtlkit.model.digest import digest_of
from mtlkit.recipes.heads import heads
from mtlkit.recipes.run_info.lineage import lineage
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.runs.record import read_record, verify

TEXT = "The hammer lies near the barn."


@pytest.fixture(scope="module")
def frozen(data: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a third head on the backbone of `runs/mtl`."""
    out = tmp_path_factory.mktemp("frozen") / "run"
    asked = options(data, out, "kind", init=str(runs / "mtl"), freeze=["backbone"], prototypes=5)
    train_mtl(type(asked)(**{**vars(asked), "task": [f"other={data / 'kind'}"], "router": False}))
    return out


def predictions(run: Path) -> dict[str, Any]:
    return dict(mtlkit.load(run).predict([TEXT])[0])


def test_heads_are_dropped_and_renamed(runs: Path, tmp_path: Path) -> None:
    before, files = predictions(runs / "mtl"), digest_of(runs / "mtl")
    changed = heads(HeadsOptions(run=str(runs / "mtl"), drop=["kind"], rename=["state=health"], out=tmp_path / "run"))
    assert changed.tasks == ("health",)
    assert predictions(tmp_path / "run") == {"health": before["state"]}  # calibrated as before
    record = verify(tmp_path / "run")
    assert record.parent == {"path": str(runs / "mtl"), "digest": files}
    assert digest_of(runs / "mtl") == files
    assert list(record.sources) == ["health"]
    assert list(record.metrics["validation"]) == ["health"]
    assert list(load_weights(tmp_path / "run").checkpoint.sources) == ["health"]
    assert "| health | classification |" in (tmp_path / "run" / "README.md").read_text()


def test_a_head_of_another_run_is_taken_with_all_that_belongs_to_it(runs: Path, frozen: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    heads(HeadsOptions(run=str(runs / "mtl"), take=[f"{frozen}:other"], out=out))
    assert predictions(out) == {**predictions(runs / "mtl"), "other": predictions(frozen)["other"]}
    np.testing.assert_array_equal(read_scopes(out)["other"].prototypes, read_scopes(frozen)["other"].prototypes)
    assert [parent.role for parent in lineage(out, read_record(out)) if parent.depth == 1] == ["parent", "head"]


def test_a_head_of_another_backbone_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"different backbones \(SHA-256 \w{12} and \w{12}\).*--freeze backbone"):
        heads(HeadsOptions(run=str(runs / "mtl"), drop=["kind"], take=[f"{runs / 'sentence'}:kind"], out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_router_tells_the_tasks_that_are_left_apart(data: Path, runs: Path, tmp_path: Path) -> None:
    asked = options(data, tmp_path / "routed", "kind", "state", init=str(runs / "mtl"), freeze=["backbone"], router=True)
    train_mtl(asked)
    heads(HeadsOptions(run=str(tmp_path / "routed"), rename=["state=health"], out=tmp_path / "renamed"))
    before, after = (mtlkit.load(tmp_path / name).predict([TEXT])[0].router for name in ("routed", "renamed"))
    assert after == {"kind": before["kind"], "health": before["state"]}
    left = heads(HeadsOptions(run=str(tmp_path / "routed"), drop=["state"], out=tmp_path / "left"))
    assert "no two tasks to tell apart" in left.notes[0]
    assert "router" not in json.loads((tmp_path / "left" / "config.json").read_text())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "changes nothing"),
        ({"drop": ["kin"]}, "--drop kin: .* has no such head; it has kind, state; did you mean 'kind'"),
        ({"drop": ["kind", "state"]}, "leaves .* no head"),
        ({"rename": ["kind=state"]}, "--rename kind=state: head 'state' would have the same name"),
        ({"rename": ["kind=a"], "drop": ["kind"]}, "--rename kind: --drop leaves it out"),
        ({"rename": ["kind=../a"]}, "invalid task name"),
        ({"take": ["nowhere:kind"]}, "run nowhere: no such folder"),
        ({"take": ["kind"]}, "write RUN:TASK"),
    ],
)
def test_what_cannot_be_done_is_said(asked: dict[str, Any], message: str, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        heads(HeadsOptions(run=str(runs / "mtl"), out=tmp_path / "run", **asked))
