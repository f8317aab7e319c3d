from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.inference.find_model import find_model
from mtlkit.inference.scope.file import SCOPE, read_scopes
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.recipes.training.initial_model import InitialModel, start_from
from mtlkit.recipes.training.scopes import scopes_to_keep


def started(runs: Path, **options: Any) -> InitialModel:
    return start_from(find_model(str(runs / "mtl"), runs, ()), TrainMtlOptions(**options))


def test_a_head_without_data_keeps_its_scope_on_a_frozen_backbone(runs: Path) -> None:
    old = read_scopes(runs / "mtl")
    assert list(old) == ["kind", "state"]
    scopes, notes = scopes_to_keep(started(runs), {"kind"}, {"kind"}, frozen=True)
    assert (list(scopes), notes) == (["state"], [])
    assert (scopes["state"].scores == old["state"].scores).all()


@pytest.mark.parametrize(
    ("frozen", "options"),
    [(False, {}), (True, {"max_length": 20}), (True, {"prompt": "query: "}), (True, {"attention": "causal"})],
)
def test_a_scope_is_dropped_with_a_warning_when_vectors_change(runs: Path, frozen: bool, options: dict[str, Any]) -> None:
    scopes, (note,) = scopes_to_keep(started(runs, **options), (), {"kind"}, frozen=frozen)
    assert scopes == {}
    assert note.warning
    assert "head:state" in note.text
    assert "--watch" in note.text


def test_a_trained_head_does_not_keep_an_old_scope(runs: Path) -> None:
    assert scopes_to_keep(started(runs), (), {"kind", "state"}, frozen=True) == ({}, [])


def test_a_training_on_one_task_keeps_the_scope_of_the_other(runs: Path, data: Path, tmp_path: Path) -> None:
    tasks, mtl = [f"kind={data / 'kind'}"], str(runs / "mtl")
    run = train_mtl(TrainMtlOptions(task=tasks, init=mtl, freeze=["backbone"], out=tmp_path / "run")).run
    assert sorted(read_scopes(run)) == ["kind", "state"]
    none = TrainMtlOptions(task=tasks, init=mtl, epochs=1, prototypes=0, out=tmp_path / "none")
    assert not (train_mtl(none).run / SCOPE).exists()
