"""More epochs for a training that was finished, with the state that was kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from forks import Forks
from killing import TINY, differences, lines_of, states

from mtlkit.runs.record import file_digest, read_record, verify

if TYPE_CHECKING:
    from .conftest import Command, Typed


def test_extend_trains_a_finished_run_for_more_epochs(typed: Typed, forks: Forks, command: Command, tmp_path: Path) -> None:
    command = (*command, "--patience", 2, "--epochs", 2, "--keep-state")
    first = tmp_path / "first" / "run"
    assert typed(*command, "--out", first).code == 0
    assert states(first) == ["step-00000028"]
    undisturbed, killed = (Path(shutil.copytree(first, tmp_path / name / "run")) for name in ("whole", "killed"))
    assert typed("train-mtl", "--resume", undisturbed, "--extend", 2).code == 0
    assert states(undisturbed) == ["step-00000056"]
    log = (undisturbed / "metrics.jsonl").read_text()
    steps, *fitted = (first / "metrics.jsonl").read_text().partition('{"type": "event", "event": "calibration_fitted"')
    assert fitted[0]
    assert log.startswith(steps)  # heads are calibrated anew
    assert [line["epoch"] for line in map(json.loads, log.splitlines()) if line["type"] == "epoch"] == [1, 2, 3, 4]

    extend = (*command, "--out", killed, "--resume", "--extend", 2)
    for more in (2, 15):
        child = forks.start(*extend)
        begun = (first / "metrics.jsonl").read_bytes().count(b"\n")
        assert child.until(lambda: lines_of(killed) >= begun + more)  # noqa: B023 (asked at once)
        child.kill()
        assert child.wait() == -9
        verify(killed)  # the earlier run is kept until then
        assert read_record(killed).options["epochs"] == 2
    child = forks.start(
        *extend, hold="mtlkit.recipes.training.save:save_model"
    )  # all is done, but the run is not yet in its place
    child.held()
    child.kill()
    assert child.wait() == -9
    assert states(killed)[-1] == "step-00000056"
    answer = typed("train-mtl", "--resume", killed, "--extend", 3)
    assert answer.code == 2
    assert answer.err == f"mtlkit: --extend: {killed} is not finished yet; resume it without --extend first\n"
    assert typed(*extend).code == 0
    assert not list(differences(killed, undisturbed))
    assert read_record(killed).options["epochs"] == 4
    answer = typed("train-mtl", "--resume", killed)
    assert answer.code == 0
    assert "nothing to resume" in answer.err


def test_extend_trains_a_base_for_more_epochs(typed: Typed, forks: Forks, data: Path, tmp_path: Path) -> None:
    command = ("pretrain", data / "kind" / "train.csv", "--context", 16, *TINY, "--epochs", 2, "--save-every", 1, "--keep-state")
    first = tmp_path / "first" / "run"
    assert typed(*command, "--out", first).code == 0
    undisturbed, killed = (Path(shutil.copytree(first, tmp_path / name / "run")) for name in ("whole", "killed"))
    assert typed("pretrain", "--resume", undisturbed, "--extend", 2).code == 0
    begun = (first / "metrics.jsonl").read_bytes().count(b"\n")
    child = forks.start("pretrain", "--resume", killed, "--extend", 2)
    assert child.until(lambda: lines_of(killed) >= begun + 3)
    child.kill()
    assert child.wait() == -9
    assert typed("pretrain", "--resume", killed).code == 0
    assert not list(differences(killed, undisturbed))


def test_an_extended_training_that_ended_early_is_not_extended_again(
    typed: Typed, forks: Forks, command: Command, tmp_path: Path
) -> None:
    """Killed when all was done but the run not yet in its place, it has nothing left but that."""
    command = (*command, "--patience", 1, "--learning-rate", 0, "--epochs", 1, "--keep-state")
    out, undisturbed = tmp_path / "run", tmp_path / "whole" / "run"
    assert typed(*command, "--out", out).code == 0
    before = file_digest(out / "run.json")
    shutil.copytree(out, undisturbed)
    assert typed("train-mtl", "--resume", undisturbed, "--extend", 4).code == 0
    complete = states(undisturbed)[-1]
    shutil.rmtree(out / "state")
    shutil.copytree(undisturbed / "state", out / "state")  # the earlier run with the last checkpoint of its extension
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert states(out) == [complete]
    assert file_digest(out / "run.json") != before
    assert not list(differences(out, undisturbed))


def test_extend_is_refused_with_the_reason(typed: Typed, command: Command, whole: Path, unfinished: Path) -> None:
    for typing, said in (
        (
            ("train-mtl", "--resume", whole, "--extend", 1),
            f"--extend: {whole} has no checkpoint to continue from; a run keeps its last one with --keep-state",
        ),
        (
            ("train-mtl", "--resume", unfinished, "--extend", 1),
            f"--extend: {unfinished} is not finished yet; resume it without --extend first",
        ),
        ((*command, "--out", whole, "--extend", 1), "--extend continues a finished run; name it with --resume RUN"),
    ):
        answer = typed(*typing)
        assert (answer.code, answer.err) == (2, f"mtlkit: {said}\n")
    verify(whole)
