"""Going on from a saved state: what is taken from it, what is refused, what is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from forks import Forks
from killing import TINY, differences, killed_after, lines_of

from mtlkit.recipes import workplace
from mtlkit.runs import file_digest, read_record, verify

if TYPE_CHECKING:
    from conftest import Cli

    from .conftest import Command, Typed


def states(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "state").glob("step-*"))


def newest(out: Path) -> int:
    return int(states(out)[-1].removeprefix("step-"))


def test_the_name_of_a_run_brings_all_its_options(typed: Typed, unfinished: Path, whole: Path) -> None:
    step, kept = newest(unfinished), states(unfinished)
    assert len(kept) == 2  # the two newest
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    assert f"going on after step {step}, as saved in {unfinished}/state/step-{step:08}\n" in answer.err
    assert "exact" not in answer.err  # nothing to say of that
    assert not list(differences(unfinished, whole))
    assert not (unfinished / "state").exists()
    options, wanted = read_record(unfinished).options, read_record(whole).options
    assert {name: options[name] for name in options if options[name] != wanted[name]} == {
        "out": str(unfinished),
        "resume": str(unfinished),
    }


def test_one_that_accumulates_goes_on_in_the_midst_of_an_epoch(  # faults 9, 10
    typed: Typed, forks: Forks, command: Command, tmp_path: Path
) -> None:
    command = (*command, "--accumulate", 4, "--schedule", "proportional", "--batch-tokens", 32, "--save-every", 1)
    out, undisturbed = tmp_path / "run", tmp_path / "whole" / "run"
    assert typed(*command, "--out", undisturbed).code == 0
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    ends = [place for place, line in enumerate(lines) if "epoch" in line]
    killed_after(forks, command, out, ends[0] + 6)
    steps = [next(line["step"] for line in lines[end::-1] if "step" in line) for end in ends]
    assert steps[0] < newest(out) < steps[1]  # within the second epoch
    assert typed("train-mtl", "--resume", out).code == 0
    assert not list(differences(out, undisturbed))


def test_another_machine_goes_on_and_says_that_bits_may_differ(  # fault 11
    typed: Typed, monkeypatch: pytest.MonkeyPatch, unfinished: Path
) -> None:
    monkeypatch.setattr(workplace, "version", lambda _: "9.9")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    found = r"not bit-exact: torch 9\.9, was 2\.\S+, instructions ABACUS, was \w+; the training goes on all the same\n"
    assert re.search(found, answer.err)
    verify(unfinished)


def test_other_threads_are_told(cli: Cli, unfinished: Path) -> None:  # fault 11
    done = cli("train-mtl", "--resume", unfinished, OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert "not bit-exact: threads 2, was 1; the training goes on all the same" in done.stderr


def test_other_options_are_refused_by_name(typed: Typed, command: Command, unfinished: Path) -> None:  # fault 12
    before = states(unfinished)
    for options, said in (
        (("--seed", 1), "--seed 1, which was 0"),
        (
            ("--clip", 0.5, "--schedule", "joint"),
            "--clip 0.5, which was 1.0; --schedule joint, which was round-robin",
        ),
        (("--epochs", 4), "--epochs 4, which was 3"),
    ):
        for typing in ((*command, "--out", unfinished, "--resume"), ("train-mtl", "--resume", unfinished)):
            answer = typed(*typing, *options)
            assert (answer.code, answer.out) == (2, "")
            assert said in answer.err
            assert answer.err.startswith(f"mtlkit: --resume {unfinished}: not as the training began: ")
            assert answer.err.endswith("leave it as it was, or train anew with --overwrite\n")
    assert states(unfinished) == before


def test_options_that_change_no_number_may_differ(typed: Typed, unfinished: Path, whole: Path) -> None:
    answer = typed("train-mtl", "--resume", unfinished, "--save-every", 5, "--keep-state", "--on-spike", "skip")
    assert answer.code == 0, answer.err
    assert not list(differences(unfinished, whole))
    assert states(unfinished) == ["step-00000042"]
    assert not any(name.startswith("state/") for name in verify(unfinished).files)


def test_data_that_was_edited_is_refused_by_name(  # fault 12
    typed: Typed, forks: Forks, command: Command, data: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(data, tmp_path / "data"))
    command = tuple(str(word).replace(str(data), str(own)) for word in command)
    killed_after(forks, command, tmp_path / "run", 8)
    table = own / "state" / "train.csv"
    text = table.read_text()
    table.write_text(text.replace("sleeps", "wakes", 1))
    answer = typed(*command, "--out", tmp_path / "run", "--resume")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith(
        f"--resume {tmp_path / 'run'}: changed since the state was saved: the data of state; bring back what it was, or train "
        "anew with --overwrite\n"
    )
    table.write_text(text)
    assert typed(*command, "--out", tmp_path / "run", "--resume").code == 0


def test_a_start_that_was_trained_anew_is_refused(  # fault 12
    typed: Typed, forks: Forks, data: Path, mtl: Path, tmp_path: Path
) -> None:
    start = Path(shutil.copytree(mtl, tmp_path / "start"))
    command = ("train-mtl", "--task", f"kind={data / 'kind'}", "--init", start, "--batch-tokens", 128, "--save-every", 1)
    killed_after(forks, command, tmp_path / "run", 4)
    record = json.loads((start / "run.json").read_text())
    (start / "run.json").write_text(json.dumps({**record, "seed": 9}))
    answer = typed(*command, "--out", tmp_path / "run", "--resume")
    assert answer.code == 2
    assert "changed since the state was saved: the model that it starts from; bring back" in answer.err


def test_a_newer_run_does_not_become_the_start(typed: Typed, forks: Forks, data: Path, mtl: Path, tmp_path: Path) -> None:
    """Without --init the newest run is the start; the training that goes on keeps that which it began with."""
    first = Path(shutil.copytree(mtl.parent / "sentence", tmp_path / "runs" / "first"))
    command = ("train-mtl", "--task", f"kind={data / 'kind'}", "--runs", tmp_path / "runs", "--batch-tokens", 128)
    killed_after(forks, (*command, "--save-every", 1), tmp_path / "runs" / "mtl", 4)
    second = Path(shutil.copytree(first, tmp_path / "runs" / "second"))
    record = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps({**record, "finished": "2999-01-01T00:00:00.000000+00:00"}))
    answer = typed(*command, "--resume")
    assert answer.code == 0, answer.err
    assert f"starting from {first}, " in answer.err
    assert read_record(tmp_path / "runs" / "mtl").parent == {"path": str(first), "digest": file_digest(first / "run.json")}


def test_a_run_of_another_command_is_named(typed: Typed, unfinished: Path, runs: Path) -> None:
    answer = typed("train-sentence", "--resume", unfinished)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mtlkit: --resume {unfinished}: that is a run of mtlkit train-mtl; go on with: mtlkit train-mtl --resume {unfinished}\n"
    )
    answer = typed("train-mtl", "--resume", runs / "pretrain")
    assert answer.code == 2
    assert "that is a run of mtlkit pretrain" in answer.err


def test_where_nothing_was_saved_a_name_alone_is_not_enough(typed: Typed, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    answer = typed("train-mtl", "--resume", out)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (f"mtlkit: --resume {out}: nothing was saved there; type the whole command, with --resume at its end\n")
    assert not out.exists()
    answer = typed(*command, "--out", out, "--resume")
    assert answer.code == 0
    assert f"{out} has no saved state yet: this begins from the start" in answer.err


def test_a_finished_run_has_nothing_left_to_do(typed: Typed, command: Command, whole: Path) -> None:
    digest = file_digest(whole / "run.json")
    for typing in ((*command, "--out", whole, "--resume"), ("train-mtl", "--resume", whole)):
        answer = typed(*typing)
        assert answer.code == 0
        assert answer.err == f"{whole} is finished already: nothing is left to resume\n"
        assert answer.out == f"{whole} is ready (0:00); next: mtlkit eval --confusion\n"
    answer = typed(*command, "--out", whole, "--resume", "--seed", 5)
    assert answer.code == 2
    assert "--seed 5, which was 0" in answer.err
    assert file_digest(whole / "run.json") == digest
    assert not (whole / "state").exists()


def test_a_finished_run_goes_on_for_more_epochs(typed: Typed, forks: Forks, command: Command, tmp_path: Path) -> None:
    command = (*command, "--patience", 2, "--epochs", 2, "--keep-state")
    first = tmp_path / "first" / "run"
    assert typed(*command, "--out", first).code == 0
    assert states(first) == ["step-00000028"]
    undisturbed, killed = (Path(shutil.copytree(first, tmp_path / name / "run")) for name in ("whole", "killed"))
    assert typed("train-mtl", "--resume", undisturbed, "--extend", 2).code == 0
    assert states(undisturbed) == ["step-00000056"]
    log = (undisturbed / "metrics.jsonl").read_text()
    assert log.startswith((first / "metrics.jsonl").read_text())
    assert [line["epoch"] for line in map(json.loads, log.splitlines()) if "epoch" in line] == [1, 2, 3, 4]

    extend = (*command, "--out", killed, "--resume", "--extend", 2)
    for more in (2, 30):
        child = forks.start(*extend)
        begun = (first / "metrics.jsonl").read_bytes().count(b"\n")
        assert child.until(lambda: lines_of(killed) >= begun + more)  # noqa: B023 (asked at once)
        child.kill()
        assert child.wait() == -9
        verify(killed)  # the run before stands until then
        assert read_record(killed).options["epochs"] == 2
    answer = typed("train-mtl", "--resume", killed, "--extend", 3)
    assert answer.code == 2
    assert answer.err == f"mtlkit: --extend: {killed} is not finished yet; go on with --resume alone first\n"
    assert typed(*extend).code == 0
    assert not list(differences(killed, undisturbed))
    assert read_record(killed).options["epochs"] == 4
    answer = typed("train-mtl", "--resume", killed)
    assert answer.code == 0
    assert "nothing is left to resume" in answer.err


def test_a_base_goes_on_for_more_epochs(typed: Typed, forks: Forks, data: Path, tmp_path: Path) -> None:
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
    command = (*command, "--task-patience", 1, "--learning-rate", 0, "--epochs", 1, "--keep-state")
    out, undisturbed = tmp_path / "run", tmp_path / "whole" / "run"
    assert typed(*command, "--out", out).code == 0
    before = file_digest(out / "run.json")
    shutil.copytree(out, undisturbed)
    assert typed("train-mtl", "--resume", undisturbed, "--extend", 4).code == 0
    complete = states(undisturbed)[-1]
    shutil.rmtree(out / "state")
    shutil.copytree(undisturbed / "state", out / "state")  # the run from before beside the last state of what goes on from it
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert states(out) == [complete]
    assert file_digest(out / "run.json") != before
    assert not list(differences(out, undisturbed))


def test_what_cannot_be_extended_says_why(typed: Typed, command: Command, whole: Path, unfinished: Path) -> None:
    for typing, said in (
        (
            ("train-mtl", "--resume", whole, "--extend", 1),
            f"--extend: {whole} has no saved state to go on from; a run keeps its last with --keep-state",
        ),
        (
            ("train-mtl", "--resume", unfinished, "--extend", 1),
            f"--extend: {unfinished} is not finished yet; go on with --resume alone first",
        ),
        ((*command, "--out", whole, "--extend", 1), "--extend goes on with a finished run; name it with --resume RUN"),
    ):
        answer = typed(*typing)
        assert (answer.code, answer.err) == (2, f"mtlkit: {said}\n")
    verify(whole)


def test_a_run_that_is_replaced_stands_until_then(
    typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    old = file_digest(out / "model.safetensors")
    anew = (*command, "--seed", 1, "--overwrite")
    assert typed(*anew[:-1], "--out", tmp_path / "whole" / "run").code == 0
    child = forks.start(*anew, "--out", out)  # killed before it saved anything
    assert child.until((out / "state" / "lock").exists)
    child.kill()
    assert child.wait() == -9
    assert file_digest(out / "model.safetensors") == old
    child = forks.start(*anew, "--out", out, "--resume")
    assert child.until(lambda: lines_of(out) >= 8)
    child.kill()
    assert child.wait() == -9
    assert "has no saved state yet: this begins from the start" in child.err
    verify(out)
    assert file_digest(out / "model.safetensors") == old
    assert typed("eval", "--model", out).code == 0
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert "going on after step" in answer.err
    assert not list(differences(out, tmp_path / "whole" / "run"))


def test_a_damaged_state_falls_back_to_the_one_before(typed: Typed, unfinished: Path, whole: Path) -> None:  # fault 3
    before, last = (unfinished / "state" / name for name in states(unfinished))
    os.truncate(last / "tensors.safetensors", (last / "tensors.safetensors").stat().st_size // 2)
    answer = typed("train-mtl", "--resume", unfinished)
    assert answer.code == 0, answer.err
    assert f"kept as {last.name}.damaged, going on from {before.name}" in answer.err
    assert not list(differences(unfinished, whole))


def test_where_all_states_are_damaged_nothing_is_lost_silently(
    typed: Typed, command: Command, unfinished: Path
) -> None:  # fault 3
    for name in states(unfinished):
        os.truncate(unfinished / "state" / name / "tensors.safetensors", 100)
    for typing in ((*command, "--out", unfinished, "--resume"), ("train-mtl", "--resume", unfinished)):
        answer = typed(*typing)
        assert answer.code == 4, answer.err
        assert "no sound state is left, start over with --overwrite" in answer.err
        assert answer.err.count("\n") == 1
    assert len(states(unfinished)) == 2
    assert typed(*command, "--out", unfinished, "--overwrite").code == 0


def test_the_same_command_names_both_ways_on(typed: Typed, command: Command, unfinished: Path, whole: Path) -> None:  # fault 14
    answer = typed(*command, "--out", unfinished)
    assert (answer.code, answer.out) == (2, "")
    ways = "go on with --resume, replace it with --overwrite, or name another folder with --out"
    assert answer.err == f"mtlkit: {unfinished} is not empty; {ways}\n"
    answer = typed(*command, "--out", unfinished, "--overwrite")
    assert answer.code == 0
    assert "going on" not in answer.err
    assert not list(differences(unfinished, whole))


@pytest.mark.parametrize("every", ["0", "-1", "10", "m", "0m", "-1m", "1h", "nanm", "infm", ""])
def test_how_often_is_steps_or_minutes(typed: Typed, command: Command, tmp_path: Path, every: str) -> None:
    answer = typed(*command[:-2], "--task", "x=not-there.csv", "--out", tmp_path / "run", f"--save-every={every}")
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


def test_a_second_writer_is_refused_and_told_who_is_first(
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
            r"wait for its end, stop it, or name another folder with --out\n",
            second.err,
        )
    first.kill()
    assert first.wait() == -9
    third = forks.start(*command, "--out", out, "--resume")
    assert third.wait() == 0, third.err
    assert not list(differences(out, whole))
