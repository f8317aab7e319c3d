from __future__ import annotations

import subprocess
import sys

import pytest

from mtlkit.errors import UsageError
from mtlkit.training.balancing.gradient_methods import GradientWeighting
from mtlkit.training.balancing.registry import OWN, TORCHJD, BalanceChoice, check_balance, parse_balance

TASKS = ["topic", "sentiment"]


@pytest.mark.parametrize("name", [*OWN, *TORCHJD])
def test_every_name_is_a_choice(name: str) -> None:
    text = "weights:topic=2" if name == "weights" else name
    assert parse_balance(text, TASKS).name == name


def test_a_task_without_a_weight_weighs_1() -> None:
    assert parse_balance("weights:sentiment=0.5", TASKS) == BalanceChoice("weights", {"topic": 1.0, "sentiment": 0.5})
    assert parse_balance("weights: sentiment = 0 , topic=2", TASKS).weights == {"topic": 2.0, "sentiment": 0.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pcgard", "no such method; .* did you mean 'pcgrad'"),
        ("sum:2", "sum takes nothing after its name; leave ':2' out"),
        ("weights", "write weights:TASK=NUMBER"),
        ("weights:topic", "write weights:TASK=NUMBER"),
        ("weights:topic=-1", "numbers from 0 upwards"),
        ("weights:topic=nan", "numbers from 0 upwards"),
        ("weights:topik=1", "no task 'topik'; there are topic, sentiment; did you mean 'topic'"),
        ("weights:topic=1,topic=2", "'topic' is given twice"),
        ("weights:topic=0,sentiment=0", "every weight is 0"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_balance(text, TASKS)
    assert str(caught.value).startswith(f"--balance {text}: ")


@pytest.mark.parametrize(
    ("name", "terms", "said"),
    [
        ("pcgrad", {"frozen": True}, "a frozen backbone has none"),
        ("mgda", {"tasks": ["topic"]}, "topic is alone; give two or more"),
        ("upgrad", {"schedule": "round-robin"}, "give --schedule joint in place of round-robin"),
        ("famo", {"schedule": "proportional"}, "give --schedule joint in place of proportional"),
        ("dwa", {"on": "parameters"}, "--balance-on parameters is for methods on gradients"),
    ],
)
def test_contradictions_are_refused(name: str, terms: dict[str, object], said: str) -> None:
    settings = {"schedule": "joint", "tasks": TASKS, "frozen": False, **terms}
    with pytest.raises(UsageError, match=said):
        check_balance(BalanceChoice(name), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sum", "mean", "normalized", "uncertainty", "dwa"])
def test_what_looks_at_losses_goes_with_everything(name: str) -> None:
    for schedule in ("round-robin", "joint", "temperature"):
        check_balance(BalanceChoice(name), schedule, ["topic"], frozen=True)


@pytest.mark.parametrize("name", list(TORCHJD))
def test_gradient_methods_go_with_joint_steps(name: str) -> None:
    check_balance(BalanceChoice(name), "joint", TASKS, frozen=False)
    check_balance(BalanceChoice(name), "joint", TASKS, frozen=False, on="parameters")


def test_without_torchjd_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd", None)
    said = r"--balance pcgrad comes from TorchJD, which is not installed; pip install 'mtlkit\[torchjd\]'"
    with pytest.raises(UsageError, match=said):
        check_balance(BalanceChoice("pcgrad"), "joint", TASKS, frozen=False)
    check_balance(BalanceChoice("uncertainty"), "joint", TASKS, frozen=False)
    with pytest.raises(UsageError, match=said):
        GradientWeighting("pcgrad")


@pytest.mark.parametrize(("name", "needed"), [("upgrad", "quadprog"), ("cagrad", "cvxpy"), ("nashmtl", "ecos")])
def test_so_it_does_without_what_a_method_needs_of_it(name: str, needed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, needed, None)
    with pytest.raises(UsageError, match=r"pip install 'mtlkit\[torchjd\]'"):
        GradientWeighting(name)


def test_reading_a_choice_needs_no_torch() -> None:
    script = "import sys, mtlkit.training.balancing.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
