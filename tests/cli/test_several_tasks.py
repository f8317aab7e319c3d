"""How several tasks share a training, from the command line on: schedules batch by batch, balances by the weights they give."""

from __future__ import annotations

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from forks import Forks
from killing import killed_in, newest
from torchjd_methods import METHODS, OWN

from mtlkit.inference.load_weights import load_weights
from mtlkit.runs.record import file_digest, verify
from mtlkit.training.balancing import registry
from mtlkit.training.freezing.apply import digest

if TYPE_CHECKING:
    from .conftest import Answer, Typed

CHANGING = ("uncertainty", "dwa", "famo")
LEARNED = [*CHANGING, *METHODS]
FIXED = [*(name for name in OWN if name not in (*CHANGING, "weights")), "weights:kind=2"]


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def train(typed: Typed, data: Path, mtl: Path, out: Path, *options: object) -> Answer:
    """Trains two tasks of 18 and 9 rows, with one text per batch."""
    tasks = ("--task", f"kind={data / 'kind'}?limit=20", "--task", f"state={data / 'state'}?limit=10", "--batch-tokens", 8)
    return typed("train-mtl", *tasks, "--init", mtl, "--out", out, "--track-every", 0, "--verbose", *options)


TURNS = [["kind"], ["state"]]


@pytest.mark.parametrize(
    ("options", "kind", "state", "steps"),
    [
        (("round-robin",), 18, 18, 36),  # the shorter task twice
        (("round-robin", "--accumulate", 4), 18, 18, 9),
        (("joint", "--epoch-by", "steps:5", "--accumulate", 3), 15, 15, 5),
        (("sequential",), 18, 18, 36),
        (("proportional", "--epoch-by", "steps:10"), 7, 3, 10),  # by largest remainder of 6.7 and 3.3
        (("temperature:2",), 18, 13, 31),  # roots of 18 and 9: 18 in 31 steps are 58.6 %
    ],
)
def test_every_schedule_gives_the_batches_that_it_means(
    options: tuple[object, ...], kind: int, state: int, steps: int, typed: Typed, data: Path, mtl: Path, tmp_path: Path
) -> None:
    answer = train(typed, data, mtl, tmp_path / "run", "--epochs", 1, "--schedule", *options)
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "run")
    held = [list(line["losses"]) for line in lines if "losses" in line]
    assert len(held) == steps
    (last,) = [line["tasks"] for line in lines if line["type"] == "epoch" and line["epoch"]]
    assert {one["task"]: (one["batches"], one["planned"], one["texts"]) for one in last} == {
        "kind": (kind, kind, kind),
        "state": (state, state, state),
    }
    assert [one["repeats"] for one in last] == [kind / 18, state / 9]
    said = " ".join(answer.err.split())
    assert f"{steps} steps per epoch: kind {kind} batches" in said
    assert f"texts trained on: kind {kind} ({kind / 18:.1f} passes), state {state} ({state / 9:.1f} passes)" in said
    if options == ("round-robin",):
        assert held == TURNS * 18
    elif options == ("sequential",):
        assert held == [TURNS[0]] * 18 + [TURNS[1]] * 18
    elif options[0] == "joint" or "--accumulate" in options:
        assert held == [["kind", "state"]] * steps
    else:
        assert Counter(name for names in held for name in names) == {"kind": kind, "state": state}


@pytest.mark.parametrize("balance", LEARNED)
def test_a_balance_shows_the_weights_that_it_gave(balance: str, typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    common = ("--schedule", "joint", "--epoch-by", "steps:2", "--epochs", 3)
    answer = train(typed, data, mtl, tmp_path / "run", "--balance", balance, "--verbose", *common)
    assert answer.code == 0, answer.err
    lines = lines_of(tmp_path / "run")
    weights = [line["weights"] for line in lines if "losses" in line and not line.get("skipped")]
    assert all(list(each) == ["kind", "state"] for each in weights)
    assert min(min(each.values()) for each in weights) >= 0 or balance == "torchjd:alignedmtl"
    assert any(each["kind"] != each["state"] for each in weights) or balance in ("dwa", "torchjd:pcgrad")
    metrics = verify(tmp_path / "run").metrics
    epochs = {line["epoch"]: line["weights"] for line in lines if line["type"] == "epoch" and "weights" in line}
    for place in range(3):
        part = [line["weights"] for line in lines if "losses" in line and 2 * place < line["step"] <= 2 * place + 2]
        expected = {name: sum(each[name] for each in part) / 2 for name in ("kind", "state")}
        assert epochs[place + 1] == pytest.approx(expected)
    assert metrics["loss_weights"] == epochs[metrics["best_epoch"]]
    assert "loss weights: kind " in " ".join(answer.err.split())


@pytest.mark.parametrize("balance", FIXED)
def test_weights_that_stay_are_not_shown_again_and_again(
    balance: str, typed: Typed, data: Path, mtl: Path, tmp_path: Path
) -> None:
    common = ("--schedule", "joint", "--epoch-by", "steps:2", "--epochs", 1)
    answer = train(typed, data, mtl, tmp_path / "run", "--balance", balance, *common)
    assert answer.code == 0, answer.err
    assert not any("weights" in line for line in lines_of(tmp_path / "run"))
    record = verify(tmp_path / "run")
    assert "loss_weights" not in record.metrics
    assert record.options["balance"] == balance


def test_a_task_of_weight_0_teaches_nothing(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    common = ("--schedule", "joint", "--epochs", 1, "--weight-decay", 0)
    answer = train(typed, data, mtl, tmp_path / "run", "--balance", "weights:kind=0,state=1", *common)
    assert answer.code == 0, answer.err
    before, after = load_weights(mtl).model, load_weights(tmp_path / "run").model
    same = {name: digest(before.head(name).state_dict()) == digest(after.head(name).state_dict()) for name in ("kind", "state")}
    assert same == {"kind": True, "state": False}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--schedule", "joint", "--balance", "torchjd:pcgrad", "--freeze", "backbone"), "the backbone is frozen"),
        (("--balance", "mgda"), "--balance torchjd:mgda needs all tasks in every step; use --schedule joint"),
        (("--balance", "famo"), "--balance famo needs all tasks in every step; use --schedule joint"),
        (("--schedule", "proportional", "--balance", "torchjd:upgrad"), "use --schedule joint instead of proportional"),
        (("--balance-on", "parameters"), "--balance-on parameters needs a method on gradients, not --balance sum"),
        (("--balance", "weights:knid=2"), "unknown task 'knid'; tasks: kind, state; did you mean 'kind'?"),
        (("--balance", "weights:kind=0,state=0"), "every weight is 0, so nothing would be learned"),
        (("--balance", "pcgard"), "did you mean 'torchjd:pcgrad'?"),
        (("--epoch-by", "steps:1"), "--epoch-by steps:1 is too short for one batch of each of the 2 tasks; use at least 2 steps"),
        (("--schedule", "temperature:0"), "--schedule temperature:0: use temperature:T[:CAP]"),
        (("--select", "knid"), "--select knid: not one of mean, min, kind, state; did you mean 'kind'?"),
        (("--task-patience", -1), "--task-patience: -1"),
        (("--eval-every", -1), "--eval-every: -1"),
    ],
)
def test_what_does_not_go_together_is_refused_before_data_is_read(
    options: tuple[object, ...], said: str, typed: Typed, unread: Path, mtl: Path, tmp_path: Path
) -> None:
    tasks = ("--task", f"kind={unread}", "--task", f"state={unread}")
    answer = typed("train-mtl", *tasks, "--init", mtl, "--out", tmp_path / "run", *options)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_alias_is_the_same_method_also_for_resume(typed: Typed, forks: Forks, data: Path, mtl: Path, tmp_path: Path) -> None:
    def command(balance: str) -> tuple[object, ...]:
        tasks = ("--task", f"kind={data / 'kind'}?limit=20", "--task", f"state={data / 'state'}?limit=10", "--batch-tokens", 8)
        return (
            "train-mtl",
            *tasks,
            "--init",
            mtl,
            "--schedule",
            "joint",
            "--epoch-by",
            "steps:4",
            "--epochs",
            1,
            "--track-every",
            0,
            "--save-every",
            1,
            "--balance",
            balance,
        )

    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert typed(*command("torchjd:mgda"), "--out", whole).code == 0
    killed_in(3, forks, command("mgda"), resumed)
    assert newest(resumed) > 0
    answer = typed(*command("torchjd:mgda"), "--out", resumed, "--resume")
    assert answer.code == 0, answer.err
    assert file_digest(resumed / "model.safetensors") == file_digest(whole / "model.safetensors")
    losses = [[line["weights"] for line in lines_of(run) if "losses" in line] for run in (resumed, whole)]
    assert losses[0] == losses[1]
    assert typed(*command("torchjd:imtlg"), "--out", whole, "--resume").code == 2
    assert typed(*command("mgda"), "--out", whole, "--resume").code == 0


def test_a_method_without_its_solver_names_the_extra(
    typed: Typed, unread: Path, mtl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda module: None if module == "quadprog" else find_spec("mtlkit"))
    tasks = ("--task", f"kind={unread}", "--task", f"state={unread}", "--schedule", "joint")
    answer = typed("train-mtl", *tasks, "--init", mtl, "--out", tmp_path / "run", "--balance", "upgrad")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "quadprog" in answer.err
    assert "mtlkit[torchjd-gpl]" in answer.err


def test_one_task_alone_has_nothing_to_be_weighed_against(typed: Typed, unread: Path, mtl: Path, tmp_path: Path) -> None:
    common = ("--init", mtl, "--out", tmp_path / "run", "--schedule", "joint", "--balance", "torchjd:nashmtl")
    answer = typed("train-mtl", "--task", f"kind={unread}", *common)
    assert (answer.code, answer.out) == (2, "")
    assert "--balance torchjd:nashmtl needs two or more tasks that train; got kind" in answer.err
    frozen = ("--task", f"state={unread}", "--freeze", "head:state")
    answer = typed("train-mtl", "--task", f"kind={unread}", *frozen, *common)
    assert (answer.code, "got kind" in answer.err) == (2, True)


def test_the_best_of_each_task_is_a_model_for_every_command(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    common = ("--epochs", 2, "--eval-every", 5, "--task-patience", 1, "--keep-best-per-task")
    answer = train(typed, data, mtl, out, *common, "--json")
    assert answer.code == 0, answer.err
    metrics = json.loads(answer.out)["metrics"]
    assert metrics["best_per_task"].keys() == {"kind", "state"}
    for name, best in metrics["best_per_task"].items():
        model = ("--model", out / "best" / name)
        answer = typed("predict", "The cat sleeps near the river.", *model, "--json")
        assert answer.code == 0, answer.err
        assert set(json.loads(answer.out)["predictions"][0]["tasks"]) == {"kind", "state"}
        answer = typed("embed", "The cat sleeps near the river.", *model)
        assert answer.code == 0, answer.err
        answer = typed("eval", *model, "--task", f"kind={data / 'kind'}", "--json")
        assert answer.code == 0, answer.err
        answer = typed("info", out / "best" / name, "--json")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out)["metrics"] == {
            "task": name,
            "score": best["score"],
            "best_epoch": best["epoch"],
            "best_step": best["step"],
        }
