"""Resuming from a checkpoint: restored state, errors and output."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from forks import Forks
from killing import differences, killed_in, newest, states

from mtlkit.recipes.training.resuming import checkpoint_meta
from mtlkit.runs.record import file_digest, read_record, verify

if TYPE_CHECKING:
    from .conftest import Command, Typed


def test_resume_restores_all_options(typed: Typed, unfinished: Path, whole: Path) -> None:
    step, kept = newest(unfinished), states(unfinished)
    assert len(kept) == 2  # the two newest
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    assert f"resuming from step {step}, saved in {unfinished}/state/step-{step:08}\n" in answer.err
    assert "exact" not in answer.err  # nothing to say of that
    assert not list(differences(unfinished, whole))
    assert not (unfinished / "state").exists()
    options, wanted = read_record(unfinished).options, read_record(whole).options
    assert {name: options[name] for name in options if options[name] != wanted[name]} == {"out": str(unfinished)}
    assert read_record(unfinished).command == read_record(whole).command.replace(str(whole), str(unfinished))


def test_accumulating_training_resumes_in_mid_epoch(  # faults 9, 10
    typed: Typed, forks: Forks, command: Command, tmp_path: Path
) -> None:
    command = (*command, "--accumulate", 4, "--schedule", "proportional", "--batch-tokens", 48, "--save-every", 1, "--epochs", 2)
    out, undisturbed = tmp_path / "run", tmp_path / "whole" / "run"
    assert typed(*command, "--out", undisturbed).code == 0
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    ends = [place for place, line in enumerate(lines) if line["type"] == "epoch"]
    steps = [next(line["step"] for line in lines[end::-1] if "step" in line) for end in ends]
    killed_in(steps[0] + 4, forks, command, out)
    assert steps[0] < newest(out) < steps[1]  # within the second epoch
    assert typed("train-mtl", "--resume", out).code == 0
    assert not list(differences(out, undisturbed))


def test_resume_on_another_machine_warns_that_bits_may_differ(  # fault 11
    typed: Typed, monkeypatch: pytest.MonkeyPatch, unfinished: Path
) -> None:
    monkeypatch.setattr(checkpoint_meta, "version", lambda _: "9.9")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    packages = r"mtlkit 9\.9 \(was 0\.\S+\), torch 9\.9 \(was 2\.\S+\)"
    found = rf"continuing, but not bit-for-bit reproducible: {packages}, threads 2 \(was 1\), instructions ABACUS \(was \w+\)\n"
    assert re.search(found, answer.err)
    verify(unfinished)


def test_resume_refuses_other_options(typed: Typed, command: Command, unfinished: Path) -> None:  # fault 12
    before = states(unfinished)
    for options, said in (
        (("--seed", 1), "--seed 1 (was 0)"),
        (
            ("--clip", 0.5, "--schedule", "joint"),
            "--clip 0.5 (was 1.0); --schedule joint (was round-robin)",
        ),
        (("--epochs", 4), "--epochs 4 (was 3)"),
    ):
        for typing in ((*command, "--out", unfinished, "--resume"), ("train-mtl", "--resume", unfinished)):
            answer = typed(*typing, *options)
            assert (answer.code, answer.out) == (2, "")
            assert said in answer.err
            assert answer.err.startswith(f"mtlkit: --resume {unfinished}: options differ from the saved training: ")
            assert answer.err.endswith("keep the saved values, or train again with --overwrite\n")
    assert states(unfinished) == before


def test_resume_accepts_options_without_effect_on_results(typed: Typed, unfinished: Path, whole: Path) -> None:
    answer = typed("train-mtl", "--resume", unfinished, "--save-every", 5, "--keep-state", "--on-spike", "skip")
    assert answer.code == 0, answer.err
    assert not list(differences(unfinished, whole))
    assert states(unfinished) == ["step-00000042"]
    assert not any(name.startswith("state/") for name in verify(unfinished).files)


def test_resume_may_recompute_without_changing_a_bit(typed: Typed, unfinished: Path, whole: Path) -> None:
    answer = typed("train-mtl", "--resume", unfinished, "--recompute")
    assert answer.code == 0, answer.err
    assert "exact" not in answer.err
    assert not list(differences(unfinished, whole))
    assert read_record(unfinished).options["recompute"] is True


def test_resume_refuses_changed_data(  # fault 12
    typed: Typed, forks: Forks, command: Command, data: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(data, tmp_path / "data"))
    command = tuple(str(word).replace(str(data), str(own)) for word in command)
    killed_in(8, forks, command, tmp_path / "run")
    table = own / "state" / "train.csv"
    text = table.read_text()
    table.write_text(text.replace("sleeps", "wakes", 1))
    answer = typed(*command, "--out", tmp_path / "run", "--resume")
    assert (answer.code, answer.out) == (2, "")
    assert "changed since the checkpoint was saved: the data of state" in answer.err
    table.write_text(text)
    assert typed(*command, "--out", tmp_path / "run", "--resume").code == 0


def test_resume_refuses_a_start_that_was_trained_again(  # fault 12
    typed: Typed, forks: Forks, data: Path, mtl: Path, tmp_path: Path
) -> None:
    start = Path(shutil.copytree(mtl, tmp_path / "start"))
    command = ("train-mtl", "--task", f"kind={data / 'kind'}", "--init", start, "--batch-tokens", 128, "--save-every", 1)
    killed_in(4, forks, command, tmp_path / "run")
    record = json.loads((start / "run.json").read_text())
    (start / "run.json").write_text(json.dumps({**record, "seed": 9}))
    answer = typed(*command, "--out", tmp_path / "run", "--resume")
    assert answer.code == 2
    assert "changed since the checkpoint was saved: the starting model; restore it" in answer.err


def test_resume_keeps_the_recorded_start(typed: Typed, forks: Forks, data: Path, mtl: Path, tmp_path: Path) -> None:
    """Without --init the newest run is the start; a resumed training keeps the start that it had."""
    first = Path(shutil.copytree(mtl.parent / "sentence", tmp_path / "runs" / "first"))
    command = ("train-mtl", "--task", f"kind={data / 'kind'}", "--runs", tmp_path / "runs", "--batch-tokens", 128)
    killed_in(4, forks, (*command, "--save-every", 1), tmp_path / "runs" / "mtl")
    second = Path(shutil.copytree(first, tmp_path / "runs" / "second"))
    record = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps({**record, "finished": "2999-01-01T00:00:00.000000+00:00"}))
    answer = typed(*command, "--resume")
    assert answer.code == 0, answer.err
    assert f"starting from {first}, " in answer.err
    assert read_record(tmp_path / "runs" / "mtl").parent == {"path": str(first), "digest": file_digest(first / "run.json")}


def test_resume_names_the_command_of_the_run(typed: Typed, unfinished: Path, runs: Path) -> None:
    answer = typed("train-sentence", "--resume", unfinished)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mtlkit: --resume {unfinished}: this is a run of mtlkit train-mtl; resume with: mtlkit train-mtl --resume {unfinished}\n"
    )
    answer = typed("train-mtl", "--resume", runs / "pretrain")
    assert answer.code == 2
    assert "this is a run of mtlkit pretrain" in answer.err


def test_resume_by_name_needs_a_checkpoint(typed: Typed, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    answer = typed("train-mtl", "--resume", out)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mtlkit: --resume {out}: no training was saved there; type the whole command with --resume at its end\n"
    )
    assert not out.exists()
    answer = typed(*command, "--out", out, "--resume")
    assert answer.code == 0
    assert f"{out} has no checkpoint yet; training from the start" in answer.err


def test_resume_of_a_finished_run_does_nothing(typed: Typed, command: Command, whole: Path) -> None:
    digest = file_digest(whole / "run.json")
    for typing in ((*command, "--out", whole, "--resume"), ("train-mtl", "--resume", whole)):
        answer = typed(*typing)
        assert answer.code == 0
        first, *scores = answer.err.splitlines()
        assert first == f"{whole} is finished; nothing to resume"
        assert [line.split(" (")[0] for line in scores] == [f"{name}: accuracy: validation 100.0" for name in ("kind", "state")]
        assert answer.out == f"{whole} is ready (0:00); next: mtlkit eval --confusion --model {whole}\n"
    answer = typed(*command, "--out", whole, "--resume", "--seed", 5)
    assert answer.code == 2
    assert "--seed 5 (was 0)" in answer.err
    assert file_digest(whole / "run.json") == digest
    assert not (whole / "state").exists()
