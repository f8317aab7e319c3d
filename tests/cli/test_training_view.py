from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mtlkit.cli import console as consoles
from mtlkit.cli import phase
from mtlkit.cli.training_view import TrainingView, follow
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.recipes import pretrain, train_mtl
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary
from mtlkit.training.events import BaselineEvent, Epoch, Event, Finished, Note, Part, Parts, Progress, TaskState, Tracking
from mtlkit.training.incidents import StepSkipped

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
METRICS = {
    "classification": {"loss": 0.5, "accuracy": 0.75, "macro_f1": 0.7},
    "multi-label": {"loss": 0.5, "accuracy": 0.75, "macro_f1": 0.7, "micro_f1": 0.8},
    "regression": {"loss": 12.5, "pearson": -0.61, "spearman": -0.6, "mse": 1.5},
}


def state(task: str, kind: str = "classification", planned: int = 12345, watched: bool = False) -> TaskState:
    planned = 0 if watched else planned
    return TaskState(task, kind, None if watched else 1.234, METRICS[kind], planned, planned, watched)


LONG = "a-task-whose-name-is-as-long-as-a-name-of-a-task-is-allowed-to-be"[:64]
STATES = (state("topic"), state(LONG, "regression"), state("tags", "multi-label"), state("kept", watched=True))


def events(figures: dict[str, float]) -> list[Event]:
    step = Progress(1, 24690, 1, 2, 0.5, 61_728, {"topic": 1.5}, figures)
    done = Progress(24690, 24690, 2, 2, 9999.5, 1_234_498_272, {"tags": 12345.678}, figures)
    parts = (Part("backbone", 123456789, 123456789), Part(f"head:{LONG}", 66, 0, "a" * 64))
    after = (parts[0], Part(f"head:{LONG}", 66, 0, "a" * 64, "a" * 64))
    before, first = Epoch(0, 2, STATES, 0.5, False), Epoch(1, 2, STATES, 0.75, True)
    return [Parts(parts), before, step, first, done, Epoch(2, 2, STATES, 0.7, False), Parts(after)]


def shown(told: Iterable[Event], *, terminal: bool, width: int = 80, verbose: bool = False) -> str:
    """The output of a view."""
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, legacy_windows=False, color_system=None)
    with TrainingView(console, verbose=verbose) as view:
        for event in told:
            view.show(event)
            view.display.refresh()
    assert isinstance(console.file, io.StringIO)
    return CONTROL.sub("", console.file.getvalue()).replace("\r", "\n")


@pytest.mark.parametrize("figures", [{}, {"perplexity": 1234.5, "learning rate": 1.234e-5, "gradient norm": 0.01234}])
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_of_the_live_view_is_wider_than_the_terminal(figures: dict[str, float], width: int, verbose: bool) -> None:
    text = shown(events(figures), terminal=True, width=width, verbose=verbose)
    assert max(map(len, text.splitlines())) <= width
    assert "123,456 tokens/s" in text
    assert "epoch 2/2  step 24690/24690" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_an_epoch_leaves_a_line_per_task(terminal: bool) -> None:
    lines = shown(events({}), terminal=terminal).splitlines()
    rows = [line.split() for line in lines if line.startswith(("epoch ", "start", "1/2", "2/2")) and "step" not in line]
    assert rows[0] == ["epoch", "task", "train", "loss", "val", "loss", "accuracy", "macro-F1", "Spearman", "score"]
    assert [row[0] for row in rows[1:]] == [name for name in ("start", "1/2", "2/2") for _ in STATES]
    assert ["1/2", "topic", "1.234", "0.500", "0.750", "0.700", "-"] in rows
    assert ["1/2", "kept", "watched", "0.500", "0.750", "0.700", "-", "0.750", "best"] in rows
    assert any(row[1].startswith("a-task") and row[2:] == ["1.234", "12.500", "-", "-", "-0.600"] for row in rows)
    text = "\n".join(lines)
    assert "training 123,456,789 of 123,456,855 parameters; frozen:" in text
    assert "unchanged" in text
    assert "a" * 16 not in text


def test_verbose_shows_tables() -> None:
    text = shown(events({}), terminal=False, verbose=True)
    for title in (
        "before training, mean score 0.500",
        "epoch 1/2, mean score 0.750, best so far",
        "epoch 2/2, mean score 0.700\n",
        "Model parts",
        "aaaaaaaaaaaaaaaa = aaaaaaaaaaaaaaaa",
    ):
        assert title in text
    rows = [line.split() for line in text.splitlines() if line.startswith((" topic", " a-task", " tags", " kept"))]
    assert ["topic", "1.234", "0.500", "0.750", "0.700", "-", "12345/12345"] in rows
    assert ["kept", "-", "0.500", "0.750", "0.700", "-", "watched"] in rows


def test_gradients_need_verbose_or_a_finding() -> None:
    quiet = TrackingSummary(20, {"layers:0": 1.0, "layers:1": 1.0}, {"layers:0": 1e-4, "layers:1": 1e-4}, (), 0.1, 10.0)
    assert shown([Tracking(quiet)], terminal=False) == ""
    assert "Gradients of 20 tracked steps" in shown([Tracking(quiet)], terminal=False, verbose=True)
    vanishing = replace(quiet, norms={"layers:0": 1e-9, "layers:1": 1.0})
    assert "vanishing" in shown([Tracking(vanishing)], terminal=False)


def test_details_need_verbose() -> None:
    notes = [Note("a detail", detail=True), Note("a note")]
    assert shown(notes, terminal=False) == "a note\n"
    assert shown(notes, terminal=False, verbose=True) == "a detail\na note\n"


def test_after_a_resume_speed_and_time_left_are_those_of_recent_steps() -> None:
    steps = [Progress(500 + step, 1000, 1, 1, 5000 + step, 1_000_000 + 8600 * step, {"topic": 1.0}, {}) for step in range(1, 11)]
    text = shown(steps, terminal=True)
    last = [line for line in text.splitlines() if "step 510/1000" in line][-1]
    assert "8,600 tokens/s  8:10 left" in last
    first = next(line for line in text.splitlines() if "step 501/1000" in line)
    assert "left" not in first


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_of_a_baseline_carry_its_name(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAST_WAIT", "MOST_WAIT"):
        monkeypatch.setattr(phase, name, -1.0)
    own = Progress(6, 6, 2, 2, 10.0, 600, {"topic": 1.0}, {})
    skipped = StepSkipped(2, None, 1)
    alone = [Progress(step, 9, 1, 1, step, 100 * step, {"topic": 7.0}, {}) for step in (7, 8)]
    text = shown([own, *(BaselineEvent("topic alone, seed 0", event) for event in (*alone, skipped))], terminal=terminal)
    assert "topic alone, seed 0: skipped step 2" in text
    named = [line for line in text.splitlines() if line.startswith("topic alone, seed 0:") and "skipped" not in line]
    assert len(named) >= 2
    assert terminal == (named[0] == "topic alone, seed 0:")
    assert "topic loss 7.000" in text  # neither averaged with the run's losses


def test_pretraining_leaves_a_line_per_epoch() -> None:
    steps = [
        Progress(step, 6, 1 + (step - 1) // 3, 2, step, 10 * step, {name: float(step)}, {"perplexity": 1.0})
        for step, name in enumerate(5 * ["next token"] + ["masked token"], 1)
    ]
    lines = [line for line in shown(steps, terminal=False).splitlines() if "train loss" in line]
    assert lines == [
        "epoch 1/2  next token  train loss 2.000  perplexity 7.4",
        "epoch 2/2  next token  train loss 4.500  perplexity 90.0",
        "epoch 2/2  masked token  train loss 6.000  perplexity 403.4",
    ]


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:  # fault 37
    for name in ("LEAST_WAIT", "MOST_WAIT"):
        monkeypatch.setattr(phase, name, -1.0)
    text = shown(events({}), terminal=False)
    assert "epoch 2/2  step 24690/24690  123,456 tokens/s  0:00 left  topic loss 1.500  tags loss 12345.678" in text


def test_real_trainings_fit_eighty_columns(data: Path, mtl: Path, tmp_path: Path) -> None:
    small = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "epochs": 2, "batch_tokens": 256}
    sources = [str(data / "kind" / "train.csv")]
    base = list(pretrain.stream(PretrainOptions(sources=sources, out=tmp_path / "base", context=16, **small)))
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    options = TrainMtlOptions(task=tasks, init=str(mtl), freeze=["head:kind"], epochs=2, out=tmp_path / "run")
    for told in (base, list(train_mtl.stream(options))):
        for verbose in (False, True):
            text = shown([event for event in told if not isinstance(event, Note)], terminal=True, verbose=verbose)
            assert max(map(len, text.splitlines())) <= 80
        assert isinstance(told[-1], Finished)


FINISHED = Finished(Path("runs/mtl"), {"score": 0.5}, 61.23456, "mtlkit eval --confusion")


def test_last_line_names_the_run_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    consoles.stderr.cache_clear()
    follow([Note("a note with [/] and \x1b[31m"), FINISHED], as_json=False)
    captured = capsys.readouterr()
    assert captured.out == "runs/mtl is ready (1:01); next: mtlkit eval --confusion\n"
    assert captured.err == "a note with [/] and \N{REPLACEMENT CHARACTER}[31m\n"  # fault 30


def test_the_result_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    follow([FINISHED], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"run": "runs/mtl", "metrics": {"score": 0.5}, "seconds": 61.235}
