from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.common import TrainingOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.training.resuming.options import (
    DERIVED,
    FREE,
    SavedOptions,
    added_epochs,
    load_options,
    merge_options,
    resolved,
    restored,
    saved_options,
    shown,
    upgraded,
)
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import read_record

TYPED: list[TrainingOptions] = [
    PretrainOptions(sources=["a.txt", "b.txt"], tokens=5000, out=Path("runs/x"), clip=0.5),
    TrainSentenceOptions(task="a=a.csv", objective="pairs", matryoshka="64,32", runs=Path("elsewhere"), lowercase=True),
    TrainMtlOptions(task=["a=a.csv", "b=b.csv"], freeze=["embeddings", "norms"], max_forgetting=1.5, watch=["c"], init="scratch"),
]


def saved_from(options: TrainingOptions, **more: Any) -> SavedOptions:
    return SavedOptions("train-mtl", json.loads(json.dumps(plain(options))), **more)


def saved(out: Path, options: TrainingOptions, *, complete: bool = False, added: int = 0, command: str = "train-mtl") -> Path:
    """A folder with a checkpoint of these options."""
    folder = CheckpointManager(out)
    about = {"command": command, "options": plain(options), "added": added}
    with folder.lock("mtlkit"):
        folder.log.touch()
        folder.save(3, {}, {"about": about, "training": {"trainer": {"complete": complete}}})
    return out


@pytest.mark.parametrize("options", [*TYPED, PretrainOptions(), TrainSentenceOptions(), TrainMtlOptions()])
def test_options_come_back_from_json_as_they_were(options: TrainingOptions) -> None:
    found = restored(type(options), json.loads(json.dumps(plain(options))))
    assert found == options
    for item in fields(options):
        assert type(getattr(found, item.name)) is type(getattr(options, item.name)), item.name


def test_an_option_that_a_state_does_not_know_yet_has_its_default() -> None:
    kept = {name: value for name, value in plain(TYPED[2]).items() if name != "task_patience"}
    assert restored(TrainMtlOptions, {**kept, "long_gone": 3}) == TYPED[2]


def test_a_base_of_an_earlier_version_was_trained_on_one_stream_of_all_texts() -> None:
    later, now = ("packing", "dedup", "block"), plain(PretrainOptions(packing="documents", dedup="exact", block="modern"))
    recorded = {name: value for name, value in now.items() if name not in later}
    before = restored(PretrainOptions, upgraded(recorded))
    assert (before.packing, before.dedup, before.block) == ("stream", "none", "gpt2")
    assert restored(PretrainOptions, upgraded({**recorded, "block": "modern"})).block == "modern"
    assert restored(PretrainOptions, upgraded({**recorded, "packing": "documents"})).packing == "documents"
    assert "packing" not in upgraded(plain(TYPED[2]))


def test_the_default_of_an_objective_is_recorded_and_kept() -> None:
    """Also where a later version has another default, or an earlier one had none."""
    typed = TrainSentenceOptions(objective="similarity")
    recorded = resolved(typed)
    assert (typed.batch_size, recorded.batch_size, recorded.most_examples) == (None, 16, 16)
    assert command_line("train-sentence", recorded) == "mtlkit train-sentence --objective similarity"
    assert "--batch-size 9" in command_line("train-sentence", resolved(replace(typed, batch_size=9)))
    for size in (16, 9, None):
        about = {name: value for name, value in plain(replace(recorded, batch_size=size)).items() if value is not None}
        saved = SavedOptions.of_state(
            {"about": {"command": "x", "options": about, "added": 0}, "training": {"trainer": {"complete": False}}}
        )
        assert resolved(merge_options(typed, "x", saved, Path("x"))).batch_size == (size or 0)
        with pytest.raises(UsageError, match=f"--batch-size 5 .was {size or 0}."):
            merge_options(replace(typed, batch_size=5), "x", saved, Path("x"))


@pytest.mark.parametrize("objective", ["classify", "distill", "labels", "pairs", "similarity"])
def test_options_with_the_default_of_an_objective_are_known(objective: Any) -> None:
    pretraining = {*PretrainOptions().derived_defaults}
    assert {*TrainSentenceOptions(objective=objective).derived_defaults, *pretraining} == set(DERIVED)


def test_every_free_option_is_one() -> None:
    names = {item.name for kind in (PretrainOptions, TrainSentenceOptions, TrainMtlOptions) for item in fields(kind)}
    assert names >= FREE


def test_options_that_change_no_number_may_differ_and_others_are_named() -> None:
    options = TrainMtlOptions(task=["a=a.csv"], epochs=3)
    before = saved_from(options)
    free = replace(options, save_every="5", keep_state=True, overwrite=True, out=Path("y"), on_spike="skip", cache_memory=0.5)
    before.check(plain(free), before.command, Path("x"))
    with pytest.raises(UsageError) as caught:
        before.check(
            plain(replace(options, epochs=4, task=["a=b.csv", "c=c.csv"], batch_tokens=9)), before.command, Path("runs/x")
        )
    assert str(caught.value) == (
        "--resume runs/x: options differ from the saved training: --epochs 4 (was 3); --batch-tokens 9 (was 2048); "
        "--task a=b.csv c=c.csv (was a=a.csv); keep the saved values, or train again with --overwrite"
    )


def test_added_epochs_are_no_part_of_what_was_typed() -> None:
    options = TrainMtlOptions(task=["a=a.csv"], epochs=3)
    longer = saved_from(replace(options, epochs=5), added=2)
    assert longer.typed["epochs"] == 3
    longer_check = SavedOptions(longer.command, longer.typed)
    longer_check.check(plain(options), longer_check.command, Path("x"))
    with pytest.raises(UsageError, match=r"--epochs 5 .was 3."):
        longer_check.check(plain(replace(options, epochs=5)), longer_check.command, Path("x"))


@pytest.mark.parametrize(
    ("extend", "complete", "added", "expected"),
    [
        (None, False, 0, (3, 0)),  # resumes
        (None, False, 2, (5, 2)),  # resumes with the added epochs
        (None, True, 2, (5, 2)),  # nothing is left
        (2, True, 0, (5, 2)),
        (4, True, 2, (9, 6)),
        (2, False, 2, (5, 2)),  # the command that added two, typed again
    ],
)
def test_how_many_epochs_there_are_in_all(extend: int | None, complete: bool, added: int, expected: tuple[int, int]) -> None:
    options = TrainMtlOptions(task=["a=a.csv"], epochs=3)
    before = saved_from(replace(options, epochs=3 + added), added=added, complete=complete)
    asked = replace(options, extend=extend)
    found = merge_options(asked, before.command, before, Path("x"))
    assert (found.epochs, added_epochs(asked, before, Path("x"))) == expected
    assert found == replace(options, epochs=expected[0])


@pytest.mark.parametrize("added", [0, 1])
def test_what_is_not_finished_is_not_extended(added: int) -> None:
    options = TrainMtlOptions(task=["a=a.csv"], epochs=3)
    before = saved_from(replace(options, epochs=3 + added), added=added)
    with pytest.raises(UsageError, match="--extend: runs/x is not finished yet; resume it without --extend first"):
        merge_options(replace(options, extend=2), before.command, before, Path("runs/x"))


def test_messages_at_each_point(tmp_path: Path, runs: Path) -> None:
    assert saved_options(tmp_path / "none") is None
    options = TrainMtlOptions(task=["a=a.csv"], epochs=7)
    found = saved_options(saved(tmp_path / "x", options, complete=True, added=4))
    assert found == SavedOptions("train-mtl", json.loads(json.dumps(plain(options))), 4, True)
    assert found.typed["epochs"] == 3
    for stage, command in (("pretrain", "pretrain"), ("sentence", "train-sentence"), ("mtl", "train-mtl")):
        finished = saved_options(runs / stage)
        assert finished
        assert (finished.command, finished.complete, finished.added) == (command, True, 0)
        assert finished.options["epochs"] > 0


def test_a_run_brings_its_options_and_those_typed_that_are_free_win(tmp_path: Path) -> None:
    options = TrainMtlOptions(task=["a=a.csv"], epochs=7, out=Path("old place"), overwrite=True, save_every="9", schedule="joint")
    out = saved(tmp_path / "x", options)
    found = load_options(TrainMtlOptions(resume=str(out), save_every="2m", on_spike="skip"), "train-mtl", out)
    assert found == replace(options, resume=str(out), out=out, overwrite=False, save_every="2m", on_spike="skip")
    same = load_options(TrainMtlOptions(resume=str(out), epochs=7), "train-mtl", out)
    assert (same.epochs, same.save_every) == (7, "9")
    with pytest.raises(UsageError, match=r"--epochs 8 .was 7."):
        load_options(TrainMtlOptions(resume=str(out), epochs=8), "train-mtl", out)
    with pytest.raises(UsageError, match="this is a run of mtlkit train-mtl; resume with: mtlkit train-mtl --resume "):
        load_options(TrainSentenceOptions(resume=str(out)), "train-sentence", out)
    with pytest.raises(UsageError, match="no training was saved there; type the whole command with --resume at its end"):
        load_options(TrainMtlOptions(), "train-mtl", tmp_path / "none")


def test_how_values_are_shown() -> None:
    assert [shown(value) for value in (["a", "b"], [], 0.5, None, True)] == ["a b", "", "0.5", "None", "True"]


@pytest.mark.parametrize(
    "damage",
    [{"options": {}}, {"options": {"epochs": "many"}}, {"command": ""}, {"command": "mtlkit"}],
    ids=["no epochs", "epochs of another type", "no command", "no training"],
)
def test_a_record_that_names_no_training_is_damaged(runs: Path, tmp_path: Path, damage: dict[str, Any]) -> None:
    out = tmp_path / "mtl"
    shutil.copytree(runs / "mtl", out)
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**record, **damage}))
    with pytest.raises(IntegrityError, match="names no training to resume"):
        load_options(TrainMtlOptions(resume=str(out)), "train-mtl", out)


def test_a_source_that_is_no_text_is_left_out_of_a_record(runs: Path) -> None:
    record = replace(read_record(runs / "mtl"), data={"kind": {"source": 5}, "state": {"source": "a.csv"}})
    assert record.sources == {"state": "a.csv"}
