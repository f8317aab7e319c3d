"""Trainings that stop early and resume, in one process; kills are tested with the command line."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cutting import timeless
from support import notes, options, rows_of, write

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.common import Precision
from mtlkit.errors import UsageError
from mtlkit.recipes import pretrain, train_mtl, train_sentence
from mtlkit.recipes.export import export
from mtlkit.recipes.training import session
from mtlkit.recipes.training.resuming import checkpoint_meta
from mtlkit.recipes.training.resuming.checkpoint_meta import TrainInputs
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import file_digest, verify
from mtlkit.training.events import Event, Finished, Progress

Stream = Callable[[Any], Iterator[Event]]
SHAPE: dict[str, Any] = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300}


def stopped(stream: Stream, base_options: Any, steps: int) -> list[Event]:
    """The events of a training that is left after so many steps, as by an error of who reads them."""
    found, events = [], stream(base_options)
    for event in events:
        found.append(event)
        if isinstance(event, Progress) and event.step == steps:
            break
    events.close()  # type: ignore[attr-defined]
    return found


def log_of(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for task in (task for line in lines for task in line.get("tasks", ())):
        task["validation"].pop("tokens_per_second", None)
    return timeless(lines)


def states_of(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "state").glob("step-*"))


@pytest.fixture
def base_options(data: Path, runs: Path, tmp_path: Path) -> TrainMtlOptions:
    """Two epochs of 8 steps, saved every 4 steps."""
    return options(data, tmp_path / "run", "kind", "state", init=str(runs / "sentence"), save_every="4")


COMMANDS: dict[str, tuple[Stream, int]] = {
    "pretrain": (pretrain.stream, 9),
    "train-sentence": (train_sentence.stream, 9),
    "train-mtl": (train_mtl.stream, 9),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_comes_out_is_what_would_have_come_out(command: str, data: Path, runs: Path, tmp_path: Path) -> None:
    stream, steps = COMMANDS[command]
    common: dict[str, Any] = {"save_every": "4", "batch_tokens": 128, "epochs": 2}
    base_options: Any = {
        "pretrain": PretrainOptions(sources=[str(data / "kind" / "train.csv")], context=16, **SHAPE, **common),
        "train-sentence": TrainSentenceOptions(task=f"kind={data / 'kind'}", init=str(runs / "pretrain"), **common),
        "train-mtl": options(data, tmp_path, "kind", "state", init=str(runs / "sentence"), balance="uncertainty", **common),
    }[command]
    (*_, whole) = stream(replace(base_options, out=tmp_path / "whole"))
    out = tmp_path / "cut"
    stopped(stream, replace(base_options, out=out), steps)
    assert states_of(out) == ["step-00000004", "step-00000008"]
    assert not (out / "run.json").exists()
    events = list(stream(type(base_options)(resume=str(out))))  # all other options are those of the state
    assert f"resuming from step 8, saved in {out}/state/step-00000008" in notes(events)
    seen = [event.step for event in events if isinstance(event, Progress)]
    assert seen == list(range(9, seen[-1] + 1))
    assert log_of(out) == log_of(tmp_path / "whole")
    assert isinstance(whole, Finished)
    records = [verify(tmp_path / name) for name in ("whole", "cut")]
    assert file_digest(out / "model.safetensors") == file_digest(tmp_path / "whole" / "model.safetensors")
    metrics = [{name: value for name, value in one.metrics.items() if name != "tokens_per_second"} for one in records]
    assert metrics[0] == metrics[1]
    assert records[0].data == records[1].data
    assert not (out / "state").exists()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_may_turn_recomputing_on_and_off(first: bool, precision: Precision, data: Path, tmp_path: Path) -> None:
    sources = [str(data / "kind" / "train.csv")]
    shared = PretrainOptions(
        sources=sources, context=16, save_every="4", batch_tokens=128, epochs=2, precision=precision, finish="mlm:0.4", **SHAPE
    )
    pretrain.pretrain(replace(shared, out=tmp_path / "whole"))
    out = tmp_path / "cut"
    stopped(pretrain.stream, replace(shared, out=out, recompute=first), 6)
    pretrain.pretrain(PretrainOptions(resume=str(out), recompute=not first))
    digests = [file_digest(tmp_path / name / "model.safetensors") for name in ("whole", "cut")]
    assert digests[0] == digests[1]
    assert log_of(out) == log_of(tmp_path / "whole")
    losses = [line["losses"]["masked token"] for line in log_of(out) if "masked token" in line.get("losses", ())]
    assert losses[0] < math.log(SHAPE["vocab_size"])  # better than chance from its first step on


def test_repeated_command_with_resume_continues(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    stopped(train_mtl.stream, base_options, 5)
    events = list(train_mtl.stream(replace(base_options, resume="", save_every="3")))
    assert "resuming from step 4" in notes(events)
    assert verify(base_options.out).options["epochs"] == 2


def test_resume_without_checkpoint_starts_over_and_reports_it(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    stopped(train_mtl.stream, base_options, 2)
    assert not base_options.out.exists()  # nothing was saved, so nothing is left
    events = list(train_mtl.stream(replace(base_options, resume="")))
    assert f"{base_options.out} has no checkpoint yet; training from the start" in notes(events)
    assert next(event.step for event in events if isinstance(event, Progress)) == 1
    assert log_of(base_options.out)[1]["epoch"] == 0  # a line of the first attempt would stand before


def test_exports_in_a_replaced_run_are_kept_and_named(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    train_mtl.train_mtl(base_options)
    made = export(ExportOptions(model=str(base_options.out), format="compact")).out
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    (note,) = [
        line for line in notes(train_mtl.stream(replace(base_options, seed=1, overwrite=True))).splitlines() if "keeps" in line
    ]
    assert note.startswith(f"{base_options.out} keeps compact, exported before")
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    again = replace(base_options, seed=1, resume="")
    assert "keeps" not in notes(train_mtl.stream(again))  # nothing is replaced


def test_resume_of_a_finished_run_does_nothing(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    first = train_mtl.train_mtl(base_options)
    before = {path: path.read_bytes() for path in base_options.out.iterdir()}
    for again in (replace(base_options, resume=""), TrainMtlOptions(resume=str(base_options.out))):
        events = list(train_mtl.stream(again))
        assert f"{base_options.out} is finished; nothing to resume" in notes(events)
        assert isinstance(events[-1], Finished)
        assert events[-1].metrics == json.loads(json.dumps(first.metrics))
        assert not any(isinstance(event, Progress) for event in events)
    assert {path: path.read_bytes() for path in base_options.out.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "--seed 1 .was 0."),
        (
            {"learning_rate": 0.5, "schedule": "joint"},
            r"--learning-rate 0\.5 .was 0\.0003.; --schedule joint .was",
        ),
        ({"freeze": ["backbone"]}, "--freeze backbone .was none."),
    ],
)
def test_other_options_are_another_training(changed: dict[str, Any], said: str, base_options: TrainMtlOptions) -> None:
    assert base_options.out
    stopped(train_mtl.stream, base_options, 5)
    for again in (replace(base_options, resume="", **changed), TrainMtlOptions(resume=str(base_options.out), **changed)):
        with pytest.raises(UsageError, match=f"--resume {base_options.out}: options differ from the saved training: {said}"):
            train_mtl.train_mtl(again)
    assert states_of(base_options.out) == ["step-00000004"]


def test_data_that_changed_is_refused_by_name(base_options: TrainMtlOptions, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kind"
    shutil.copytree(data / "kind", folder)
    base_options = replace(base_options, task=[f"kind={folder}", base_options.task[1]])
    stopped(train_mtl.stream, base_options, 5)
    rows = rows_of(folder / "train.csv")
    write(folder / "train.csv", [*rows[:-1], ["Another text.", rows[-1][1]]])
    with pytest.raises(UsageError, match="changed since the checkpoint was saved: the data of kind; restore it"):
        train_mtl.train_mtl(replace(base_options, resume=""))
    write(folder / "train.csv", rows)
    train_mtl.train_mtl(replace(base_options, resume=""))


def test_a_start_that_changed_is_refused(base_options: TrainMtlOptions, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "sentence", tmp_path / "start")
    base_options = replace(base_options, init=str(tmp_path / "start"))
    stopped(train_mtl.stream, base_options, 5)
    shutil.rmtree(tmp_path / "start")
    shutil.copytree(runs / "mtl", tmp_path / "start")
    with pytest.raises(UsageError, match=r"changed since the checkpoint was saved: .*the starting model"):
        train_mtl.train_mtl(replace(base_options, resume=""))


def test_newer_run_does_not_replace_the_recorded_start(base_options: TrainMtlOptions, runs: Path, tmp_path: Path) -> None:
    """Without --init a training starts from the newest compatible run; a resumed one from the run that it started from."""
    shutil.copytree(runs / "sentence", tmp_path / "a" / "first")
    base_options = replace(base_options, init=None, runs=tmp_path / "a")
    stopped(train_mtl.stream, base_options, 5)
    shutil.copytree(runs / "pretrain", tmp_path / "a" / "second")
    record = json.loads((tmp_path / "a" / "second" / "run.json").read_text())
    (tmp_path / "a" / "second" / "run.json").write_text(json.dumps({**record, "finished": "2999-01-01T00:00:00+00:00"}))
    run = train_mtl.train_mtl(replace(base_options, resume="")).run
    parent = verify(run).parent
    assert parent
    assert parent["path"] == str(tmp_path / "a" / "first")


def test_resume_on_another_machine_reports_the_differences(
    base_options: TrainMtlOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(train_mtl.stream, base_options, 5)
    machine_of = session.machine_of
    monkeypatch.setattr(session, "machine_of", lambda compute: {**machine_of(compute), "threads": 96, "torch": "9.9"})
    said = notes(list(train_mtl.stream(replace(base_options, resume=""))))
    assert "not bit-for-bit reproducible: torch 9.9 (was " in said
    assert f"threads 96 (was {torch.get_num_threads()})" in said


def test_a_checkpoint_of_an_earlier_version_is_resumed_or_refused_in_its_own_words(
    base_options: TrainMtlOptions, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(data / "kind", tmp_path / "own"))
    base_options = replace(base_options, task=[f"kind={folder}"])
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_meta, "REVISION", 1)
        stopped(train_mtl.stream, base_options, 5)
    rows = (folder / "train.csv").read_text()
    (folder / "train.csv").write_text(rows + "One more cat.,animal\n")
    with pytest.raises(UsageError, match=r"the data of kind differs from the checkpoint's: .* the earlier version of mtlkit"):
        train_mtl.train_mtl(replace(base_options, resume=""))
    (folder / "train.csv").write_text(rows)
    said = notes(list(train_mtl.stream(replace(base_options, resume=""))))
    assert "perhaps not bit-for-bit reproducible: an earlier version of mtlkit" in said


def test_a_run_is_extended_from_the_state_that_it_kept(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    train_mtl.train_mtl(replace(base_options, keep_state=True))
    assert states_of(base_options.out) == ["step-00000016"]
    first, before = verify(base_options.out), log_of(base_options.out)
    assert not any(name.startswith("state") for name in first.files)
    events = list(train_mtl.stream(TrainMtlOptions(resume=str(base_options.out), extend=1)))
    assert [event.step for event in events if isinstance(event, Progress)] == list(range(17, 25))
    longer = verify(base_options.out)
    assert (longer.options["epochs"], longer.parent, longer.data) == (3, first.parent, first.data)
    (last,) = (place for place, line in enumerate(before) if line["type"] == "epoch" and line["epoch"] == 2)
    trained = before[: last + 1]  # events after the last step, such as calibration, are of the first training alone
    assert log_of(base_options.out)[: len(trained)] == trained
    assert [line["epoch"] for line in log_of(base_options.out) if line["type"] == "epoch"] == [0, 1, 2, 3]
    assert states_of(base_options.out) == ["step-00000024"]  # so that it can be extended again


def test_resume_is_refused_with_advice(base_options: TrainMtlOptions, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--extend continues a finished run; name it with --resume RUN"):
        train_mtl.train_mtl(replace(base_options, extend=1))
    with pytest.raises(UsageError, match=r"--extend: .*has no checkpoint to continue from; .* --keep-state"):
        train_sentence.train_sentence(TrainSentenceOptions(resume=str(runs / "sentence"), extend=1))
    with pytest.raises(UsageError, match="no training was saved there; type the whole command with --resume at its end"):
        train_mtl.train_mtl(TrainMtlOptions(resume=str(tmp_path / "none")))
    with pytest.raises(UsageError, match=r"this is a run of mtlkit train-sentence; resume with: mtlkit train-sentence --resume"):
        train_mtl.train_mtl(TrainMtlOptions(resume=str(runs / "sentence")))
    with pytest.raises(UsageError, match="--save-every soon: write a number of steps"):
        train_mtl.train_mtl(replace(base_options, save_every="soon"))
    stopped(train_mtl.stream, base_options, 5)
    with pytest.raises(UsageError, match="is not finished yet; resume it without --extend first"):
        train_mtl.train_mtl(replace(base_options, resume="", extend=1))


def test_without_resume_saved_states_are_not_lost_by_mistake(base_options: TrainMtlOptions) -> None:
    assert base_options.out
    stopped(train_mtl.stream, base_options, 5)
    with pytest.raises(UsageError, match=r"--resume"):
        train_mtl.train_mtl(base_options)
    assert CheckpointManager(base_options.out).peek()
    events = list(train_mtl.stream(replace(base_options, overwrite=True)))
    assert next(event.step for event in events if isinstance(event, Progress)) == 1
    verify(base_options.out)


def test_a_digest_of_an_older_version_is_that_of_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {str(tmp_path): {"old", "new"}}
    monkeypatch.setattr(checkpoint_meta, "is_digest_of", lambda folder, digest: digest in known[str(folder)])
    parent = {"path": str(tmp_path), "digest": "new"}
    data = {"t": {"rows": 1, "teacher": dict(parent)}, "tokenizer.json": "x"}
    now = TrainInputs(data, "new")
    before = TrainInputs({**data, "t": {"rows": 1, "teacher": {**parent, "digest": "old"}}}, "old")
    assert now.as_recorded(before, parent) == before
    known[str(tmp_path)] = {"new"}  # it has changed since
    assert now.as_recorded(before, parent) == now
    assert now.as_recorded(TrainInputs({}, None), parent) == now
    assert TrainInputs(data, None).as_recorded(before, None).start is None
