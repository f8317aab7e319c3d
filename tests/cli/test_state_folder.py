"""The folder of a training: while it runs, is killed, replaced or damaged, and with two writers."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forks import Forks
from killing import differences, lines_of, newest, states

from mtlkit.runs.record import file_digest, verify

if TYPE_CHECKING:
    from .conftest import Command, Typed


def test_replaced_run_stays_until_the_new_one_is_finished(
    typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    old = file_digest(out / "model.safetensors")
    anew = (*command, "--seed", 1, "--overwrite")
    assert typed(*anew[:-1], "--out", tmp_path / "whole" / "run").code == 0
    child = forks.start(*anew, "--out", out)  # killed before it saved anything
    assert child.until((out / "state").exists)
    child.kill()
    assert child.wait() == -9
    assert file_digest(out / "model.safetensors") == old
    child = forks.start(*anew, "--out", out, "--resume")
    assert child.until(lambda: lines_of(out) >= 8)
    child.kill()
    assert child.wait() == -9
    assert "has no checkpoint yet; training from the start" in child.err
    verify(out)
    assert file_digest(out / "model.safetensors") == old
    assert typed("eval", "--model", out).code == 0
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert "resuming from step" in answer.err
    assert not list(differences(out, tmp_path / "whole" / "run"))


def test_damaged_checkpoint_falls_back_to_the_earlier_one(typed: Typed, unfinished: Path, whole: Path) -> None:  # fault 3
    before, last = (unfinished / "state" / name for name in states(unfinished))
    os.truncate(last / "tensors.safetensors", (last / "tensors.safetensors").stat().st_size // 2)
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    assert f"kept as {last.name}.damaged, resuming from {before.name}" in answer.err
    assert not list(differences(unfinished, whole))


def test_damaged_checkpoints_are_reported_if_none_is_left(typed: Typed, command: Command, unfinished: Path) -> None:  # fault 3
    for name in states(unfinished):
        os.truncate(unfinished / "state" / name / "tensors.safetensors", 100)
    for typing in ((*command, "--out", unfinished, "--resume"), ("train-mtl", "--resume", unfinished)):
        answer = typed(*typing)
        assert answer.code == 4, answer.err
        assert "no intact checkpoint is left" in answer.err
        assert answer.err.count("\n") == 1
    assert len(states(unfinished)) == 2
    assert typed(*command, "--out", unfinished, "--overwrite").code == 0


def test_repeated_command_offers_resume_and_overwrite(
    typed: Typed, command: Command, unfinished: Path, whole: Path
) -> None:  # fault 14
    answer = typed(*command, "--out", unfinished)
    assert (answer.code, answer.out) == (2, "")
    assert all(part in answer.err for part in (f"{unfinished} is not empty", "--resume", "--overwrite", "--out"))
    answer = typed(*command, "--out", unfinished, "--overwrite")
    assert answer.code == 0
    assert "going on" not in answer.err
    assert not list(differences(unfinished, whole))


@pytest.mark.parametrize("every", ["0", "-1", "10", "m", "0m", "-1m", "1h", "nanm", "infm", ""])
def test_how_often_is_steps_or_minutes(typed: Typed, unread: Path, command: Command, tmp_path: Path, every: str) -> None:
    answer = typed(*command[:-2], "--task", f"x={unread}", "--out", tmp_path / "run", f"--save-every={every}")
    assert (answer.code, answer.out) == (3 if every == "10" else 2, "")
    if every != "10":
        assert answer.err == f"mtlkit: --save-every {every}: write a number of steps, such as 500, or of minutes, such as 10m\n"
    assert not (tmp_path / "run").exists()


def test_minutes_may_be_short(forks: Forks, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    child = forks.start(*command[:-2], "--epochs", 50, "--save-every", "0.001m", "--out", out)
    assert child.until(lambda: len(states(out)) == 2)
    child.kill()
    assert child.wait() == -9
    assert newest(out) > 0


def test_second_writer_is_refused_and_the_first_named(
    forks: Forks, command: Command, whole: Path, tmp_path: Path
) -> None:  # fault 13
    out = tmp_path / "run"
    first = forks.start(*command, "--out", out)
    assert first.until(lambda: lines_of(out) >= 8)
    first.kill(signal.SIGSTOP)  # so that it does not end too soon
    for words in (("--resume",), ("--overwrite",)):
        second = forks.start(*command, "--out", out, *words)
        assert second.wait() == 2
        assert re.fullmatch(
            rf"mtlkit: {re.escape(str(out))} is being written by process {first.pid} on \S+ since \S+ \(mtlkit train-mtl .*\); "
            r".*--out\n",
            second.err,
        )
    first.kill()
    assert first.wait() == -9
    third = forks.start(*command, "--out", out, "--resume")
    assert third.wait() == 0, third.err
    assert not list(differences(out, whole))


@pytest.mark.parametrize("wrong", [("--freeze", "bogus"), ("--task", "kind=nowhere.csv")])
def test_saved_state_stays_until_another_training_starts(
    typed: Typed, command: Command, unfinished: Path, wrong: tuple[str, str]
) -> None:
    before = states(unfinished)
    assert typed(*command, "--out", unfinished, "--overwrite", *wrong).code in (2, 3)
    assert states(unfinished) == before != []
    assert typed("train-mtl", "--resume", unfinished).code == 0


def test_resume_names_the_command_of_the_run(typed: Typed, unfinished: Path) -> None:
    answer = typed("train-sentence", "--out", unfinished, "--resume")
    assert answer.code == 2
    assert answer.err.endswith(f"this is a run of mtlkit train-mtl; resume with: mtlkit train-mtl --resume {unfinished}\n")
    assert typed("train-mtl", "--resume", unfinished, "--out", unfinished / "other").code == 2
