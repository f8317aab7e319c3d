"""Ctrl-C, SIGTERM and SIGHUP in every phase of a training: nothing is lost, and a second one leaves at once."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forks import Child, Forks
from killing import HEAD, STEP, TINY, differences, newest, states

from mtlkit.cli.app import heed_signals
from mtlkit.runs.record import verify
from mtlkit.training.checkpointing import Interrupts

if TYPE_CHECKING:
    from .conftest import Command, Typed

EARLY = "stopped before the first step; nothing was saved yet"
PHASES = {  # where it stops, at which of its calls, and what is said then
    "reading": ("mtlkit.recipes.training.prepare:read_train_and_validation", 2, EARLY),
    "making a tokenizer": ("mtlkit.recipes.training.initial_model:train_tokenizer", 1, EARLY),
    "before the first step": ("mtlkit.training.components:Evaluator", 1, EARLY),
    "the first step": (STEP, 1, "saved after step 1; resume with: {}"),
    "a step": (STEP, 7, "saved after step 7; resume with: {}"),
    "evaluation": ("mtlkit.training.validation.evaluator:Evaluator.__call__", 2, "saved after step 28; resume with: {}"),
    "saving a state": ("mtlkit.runs.checkpoints:write_checkpoint", 2, "saved after step 20; resume with: {}"),
    "saving the run": ("mtlkit.recipes.training.save:save_model", 1, "OUT is finished and saved"),
    "moving the run": ("mtlkit.runs.replace_folder:exchange", 1, "OUT is finished and saved"),
}


def stopped(child: Child, *numbers: int) -> int:
    """Waits until the process is held, sends signals and releases it; returns the exit code."""
    child.held()
    for number in numbers:
        child.kill(number)
    child.release()
    return child.wait()


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
USUAL = {signal.SIGINT: PHASES, signal.SIGTERM: ("reading", "a step"), signal.SIGHUP: ("evaluation", "saving the run")}


@pytest.mark.parametrize(
    ("phase", "number", "code"),
    [
        pytest.param(phase, number, code, marks=[] if phase in USUAL[number] else pytest.mark.slow)
        for phase in PHASES
        for number, code in CODES.items()
    ],
)
def test_signal_stops_training_at_a_safe_point(  # faults 7, 8, 44
    typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path, phase: str, number: int, code: int
) -> None:
    hold, call, said = PHASES[phase]
    out = tmp_path / "run"
    child = forks.start(*command, "--save-every", 10, "--out", out, hold=hold, call=call)
    assert stopped(child, number) == code, child.err
    said = said.replace("OUT", str(out)).format(f"mtlkit train-mtl --resume {out}")
    assert child.err.endswith(f"mtlkit: {said}\n")
    assert child.out == ""
    if said == EARLY:
        assert not list(tmp_path.iterdir())
        return
    if number == signal.SIGINT:
        answer = typed("train-mtl", "--resume", out)
        assert answer.code == 0, answer.err
    elif "finished" not in said:
        assert [path.name for path in out.iterdir()] == ["state"]
        return
    assert not list(differences(out, whole))
    assert list(tmp_path.iterdir()) == [out]


def test_a_signal_waits_until_the_head_is_solved(  # fault 7
    typed: Typed, forks: Forks, solving: Command, solved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    child = forks.start(*solving, "--save-every", 10, "--out", out, hold=HEAD)
    assert stopped(child, signal.SIGTERM) == 143, child.err
    (reached,) = re.findall(rf"mtlkit: saved (.+); resume with: mtlkit train-mtl --resume {out}\n$", child.err)
    assert reached.startswith("after solving head:new-kind (C ")
    resumed = typed("train-mtl", "--resume", out)
    assert resumed.code == 0
    assert f"resuming {reached}, saved in {out}" in " ".join(resumed.err.split())
    assert not list(differences(out, solved))


@pytest.mark.parametrize(
    ("hold", "call", "said"),
    [
        ("mtlkit.recipes.training.base_data:read_corpus", 1, EARLY),
        (STEP, 1, "saved after step 1; resume with: mtlkit pretrain --resume 'OUT'"),
        ("mtlkit.recipes.pretrain:perplexity", 1, "OUT is finished and saved"),
    ],
)
def test_signal_stops_pretraining_at_a_safe_point(  # faults 7, 8
    typed: Typed, forks: Forks, data: Path, tmp_path: Path, hold: str, call: int, said: str
) -> None:
    out = tmp_path / "a place" / "run"
    command = ("pretrain", data / "kind" / "train.csv", "--context", 16, *TINY, "--epochs", 1)
    child = forks.start(*command, "--out", out, hold=hold, call=call)
    assert stopped(child, signal.SIGTERM) == 143, child.err
    assert child.err.endswith(f"mtlkit: {said.replace('OUT', str(out))}\n")
    if said == EARLY:
        assert not out.exists()
        return
    undisturbed = tmp_path / "whole" / "run"
    assert typed(*command, "--out", undisturbed).code == 0
    assert typed("pretrain", "--resume", out).code == 0
    assert not list(differences(out, undisturbed))


def test_ctrl_c_before_the_first_resumed_step_names_the_checkpoint(forks: Forks, unfinished: Path) -> None:
    kept, step = states(unfinished), newest(unfinished)
    child = forks.start("train-mtl", "--resume", unfinished, hold="mtlkit.training.components:Evaluator")
    assert stopped(child, signal.SIGINT) == 130
    go_on = f"the checkpoint of step {step} is kept; resume with: mtlkit train-mtl --resume {unfinished}"
    assert child.err.endswith(f"mtlkit: stopped before the first step; {go_on}\n")
    assert sorted(path.name for path in (unfinished / "state").iterdir()) == ["metrics.jsonl", *kept]


@pytest.mark.parametrize(
    ("hold", "call"),
    [
        (STEP, 9),
        ("mtlkit.training.validation.evaluator:Evaluator.__call__", 1),
        ("mtlkit.runs.checkpoints:write_checkpoint", 2),
        ("mtlkit.recipes.training.save:save_model", 1),
    ],
)
def test_a_second_ctrl_c_leaves_at_once_and_harms_nothing(  # fault 8
    typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path, hold: str, call: int
) -> None:
    out = tmp_path / "run"
    child = forks.start(*command, "--save-every", 4, "--out", out, hold=hold, call=call)
    child.held()
    child.kill(signal.SIGINT)
    child.lasts(0.3)
    child.kill(signal.SIGINT)
    assert child.wait() == 130  # it was never released
    assert child.err.endswith("mtlkit: interrupted\n")
    assert list(tmp_path.iterdir()) == [out]  # nothing half written beside it
    assert all(path.name.startswith("step-") or path.name == "metrics.jsonl" for path in (out / "state").iterdir())
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert "resuming from step" in answer.err
    assert not list(differences(out, whole))


def test_ctrl_c_on_a_terminal(typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path) -> None:  # fault 8
    out = tmp_path / "run"
    child = forks.start(*command, "--out", out, terminal=True, hold=STEP, call=9)
    child.held()
    assert child.until(lambda: "tokens/s" in child.err)  # the live view is on
    child.type(b"\x03")
    assert child.until(lambda: "stopping as soon as the checkpoint is saved" in child.err)
    child.release()
    assert child.wait() == 130
    assert child.err.endswith(f"mtlkit: saved after step 9; resume with:\r\nmtlkit train-mtl --resume {out}\r\n")
    assert child.err.count("\x1b[?25l") == child.err.count("\x1b[?25h") > 0  # the cursor is back
    child = forks.start("train-mtl", "--resume", out, terminal=True, hold=STEP, call=9)
    child.held()
    assert child.until(lambda: "tokens/s" in child.err)
    child.type(b"\x03")
    child.lasts(0.3)
    child.type(b"\x03")
    assert child.wait() == 130  # it was never released
    assert child.err.endswith("mtlkit: interrupted\r\n")
    assert child.err.count("\x1b[?25l") == child.err.count("\x1b[?25h") > 0
    assert "Traceback" not in child.err
    assert typed("train-mtl", "--resume", out).code == 0
    assert not list(differences(out, whole))


def test_sigterm_while_the_live_view_is_on(forks: Forks, command: Command, tmp_path: Path) -> None:  # fault 7
    out = tmp_path / "run"
    child = forks.start(*command, "--out", out, terminal=True, hold="mtlkit.training.validation.evaluator:Evaluator.__call__")
    assert stopped(child, signal.SIGTERM) == 143
    assert re.search(r"mtlkit: saved after step 14; resume with:\s+mtlkit train-mtl --resume \S+\r\n$", child.err)
    assert child.err.count("\x1b[?25l") == child.err.count("\x1b[?25h") > 0


def test_a_terminal_that_is_closed_costs_nothing(
    typed: Typed, forks: Forks, command: Command, whole: Path, tmp_path: Path
) -> None:  # fault 44
    out = tmp_path / "run"
    child = forks.start(*command, "--out", out, terminal=True, hold=STEP, call=9)
    child.held()
    assert child.until(lambda: "tokens/s" in child.err)  # the live view is on
    child.hang_up()  # the system sends SIGHUP; the shell of a session sends another
    child.kill(signal.SIGHUP)
    child.lasts(0.3)
    child.release()
    assert child.wait() == 129
    assert newest(out) == 9
    assert typed("train-mtl", "--resume", out).code == 0
    assert not list(differences(out, whole))


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As under nohup."""
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        heed_signals()
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.requested is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, handler)


def test_ctrl_c_after_the_run_was_saved_leaves_it_whole(typed: Typed, forks: Forks, command: Command, tmp_path: Path) -> None:
    """--baselines trains after the run is saved: a signal stops that at once, and no other process can write there meanwhile."""
    out = tmp_path / "run"
    child = forks.start(*command, "--baselines", "--out", out, hold="mtlkit.recipes.training.run:compare")
    child.held()
    other = typed(*command, "--out", out, "--overwrite")
    assert (other.code, f"{out} is being written by process " in other.err) == (2, True)
    assert stopped(child, signal.SIGINT) == 130
    resume = f"resume the comparison with: mtlkit train-mtl --resume {out}"
    assert child.err.endswith(f"mtlkit: {out} is finished and saved; {resume}\n")
    verify(out)
    assert list(out.glob("state")) == []
