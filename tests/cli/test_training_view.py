from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from mtlkit.cli import console as consoles
from mtlkit.cli.training_view import TrainingView, clock, follow
from mtlkit.config.training import PretrainOptions, TrainMtlOptions
from mtlkit.recipes import pretrain, train_mtl
from mtlkit.training.events import Epoch, Event, Finished, Note, Part, Parts, Progress, TaskState

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
    step = Progress(1, 24690, 1, 2, 0.5, 123456.0, {"topic": 1.5}, figures)
    done = Progress(24690, 24690, 2, 2, 9999.0, 123456.0, {"tags": 12345.678}, figures)
    parts = (Part("backbone", 123456789, 123456789), Part(f"head:{LONG}", 66, 0, "a" * 64))
    after = (parts[0], Part(f"head:{LONG}", 66, 0, "a" * 64, "a" * 64))
    before, first = Epoch(0, 2, STATES, 0.5, False), Epoch(1, 2, STATES, 0.75, True)
    return [Parts(parts), before, step, first, done, Epoch(2, 2, STATES, 0.7, False), Parts(after)]


def shown(told: list[Event], *, terminal: bool, width: int = 80) -> str:
    """What a view writes."""
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, legacy_windows=False, color_system=None)
    with TrainingView(console) as view:
        for event in told:
            view.show(event)
            if view.live:
                view.live.refresh()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("figures", [{}, {"perplexity": 1234.5, "learning rate": 1.234e-5, "gradient norm": 0.01234}])
@pytest.mark.parametrize("width", [80, 100])
def test_no_line_of_the_live_view_is_wider_than_the_terminal(figures: dict[str, float], width: int) -> None:
    text = shown(events(figures), terminal=True, width=width)
    lines = CONTROL.sub("", text).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= width
    assert "123,456 tokens/s" in text
    assert "epoch 2/2  step 24690/24690" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_every_epoch_stays_with_all_its_figures(terminal: bool) -> None:
    text = CONTROL.sub("", shown(events({}), terminal=terminal))
    for title in (
        "before training, mean score 0.500",
        "epoch 1/2, mean score 0.750, best so far",
        "epoch 2/2, mean score 0.700\n",
    ):
        assert title in text
    head = next(line for line in text.splitlines() if "train loss" in line and "Spearman" in line)
    assert head.split() == ["task", "train", "loss", "val", "loss", "accuracy", "macro-F1", "Spearman", "batches"]
    rows = [line.split() for line in text.splitlines() if line.startswith((" topic", " a-task", " tags", " kept"))]
    assert ["topic", "1.234", "0.500", "0.750", "0.700", "-", "12345/12345"] in rows
    assert ["tags", "1.234", "0.500", "0.750", "0.700", "-", "12345/12345"] in rows
    assert ["kept", "-", "0.500", "0.750", "0.700", "-", "watched"] in rows
    assert any(row[0].startswith("a-task") and row[1:] == ["1.234", "12.500", "-", "-", "-0.600", "12345/12345"] for row in rows)
    assert "Parts of the model" in text
    assert "aaaaaaaaaaaaaaaa = aaaaaaaaaaaaaaaa" in text


def test_the_live_table_has_a_row_a_task_and_shows_steps_of_this_epoch() -> None:
    step = [Progress(number, 9, 1, 3, 1.0, 10.0, {"topic": 0.25}, {}) for number in (1, 2)]
    text = CONTROL.sub("", shown([*step], terminal=True))
    last = [line.split() for line in text.splitlines() if line.startswith(" topic")][-1]
    assert last == ["topic", "0.250", "-", "-", "-", "2"]
    more = [
        Epoch(1, 3, (state("topic"), state("kept", watched=True)), 0.5, True),
        Progress(3, 9, 2, 3, 1.0, 10.0, {"topic": 0.25}, {}),
    ]
    rows = [line.split() for line in CONTROL.sub("", shown([*step, *more], terminal=True)).splitlines()]
    assert ["topic", "0.250", "0.500", "0.750", "0.700", "1/12345"] in rows
    assert rows.count(["kept", "-", "0.500", "0.750", "0.700", "watched"]) >= 2  # in the table of the epoch and in the live one


def test_without_a_terminal_there_are_plain_lines() -> None:  # fault 37
    text = shown(events({}), terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "epoch 2/2  step 24690/24690  123,456 tokens/s  0:00 left  topic loss 1.500  tags loss 12345.678" in text


def test_real_trainings_fit_eighty_columns(data: Path, mtl: Path, tmp_path: Path) -> None:
    small = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "epochs": 2, "batch_tokens": 256}
    sources = [str(data / "kind" / "train.csv")]
    base = list(pretrain.stream(PretrainOptions(sources=sources, out=tmp_path / "base", context=16, **small)))
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    options = TrainMtlOptions(task=tasks, init=str(mtl), freeze=["head:kind"], epochs=2, out=tmp_path / "run")
    for told in (base, list(train_mtl.stream(options))):
        text = shown([event for event in told if not isinstance(event, Note)], terminal=True)
        assert max(map(len, CONTROL.sub("", text).replace("\r", "\n").splitlines())) <= 80
        assert isinstance(told[-1], Finished)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (36125, "10:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


FINISHED = Finished(Path("runs/mtl"), {"score": 0.5}, 61.23456, "mtlkit eval --confusion")


def test_the_last_line_says_where_the_run_is_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    consoles.stderr.cache_clear()
    follow([Note("a note with [/] and \x1b[31m"), FINISHED], as_json=False)
    captured = capsys.readouterr()
    assert captured.out == "runs/mtl is ready (1:01); next: mtlkit eval --confusion\n"
    assert captured.err == "a note with [/] and \N{REPLACEMENT CHARACTER}[31m\n"  # fault 30


def test_the_result_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    follow([FINISHED], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"run": "runs/mtl", "metrics": {"score": 0.5}, "seconds": 61.235}
