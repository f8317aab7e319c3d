from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import pytest
from torchjd_methods import METHODS, OWN, TORCHJD

from mtlkit.config.registries.balancing import BalanceChoice, parse_balance
from mtlkit.config.registries.schedules import ScheduleChoice
from mtlkit.errors import UsageError
from mtlkit.training.balancing import registry
from mtlkit.training.balancing.gram_weighting import GradientWeighting
from mtlkit.training.balancing.registry import check_balance

TASKS = ["topic", "sentiment"]
JOINT = ScheduleChoice("joint")


@pytest.mark.parametrize("name", [*OWN, *TORCHJD])
def test_every_name_is_a_choice(name: str) -> None:
    text = "weights:topic=2" if name == "weights" else name
    assert parse_balance(text, TASKS).name == name


@pytest.mark.parametrize("name", list(TORCHJD))
def test_torchjd_names_work_without_their_prefix(name: str) -> None:
    assert parse_balance(name.removeprefix("torchjd:"), TASKS) == parse_balance(name, TASKS) == BalanceChoice(name)


def test_a_task_without_a_weight_weighs_1() -> None:
    assert parse_balance("weights:sentiment=0.5", TASKS) == BalanceChoice("weights", {"topic": 1.0, "sentiment": 0.5})
    assert parse_balance("weights: sentiment = 0 , topic=2", TASKS).weights == {"topic": 2.0, "sentiment": 0.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pcgard", "unknown method; .* did you mean 'torchjd:pcgrad'"),
        ("torchjd:pcgard", "unknown method; .* did you mean 'torchjd:pcgrad'"),
        ("sum:2", "sum takes no value; remove ':2'"),
        ("weights", "write weights:TASK=NUMBER"),
        ("weights:topic", "write weights:TASK=NUMBER"),
        ("weights:topic=-1", "numbers from 0 upwards"),
        ("weights:topic=nan", "numbers from 0 upwards"),
        ("weights:topik=1", "unknown task 'topik'; tasks: topic, sentiment; did you mean 'topic'"),
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
        ("torchjd:pcgrad", {"frozen": True}, "the backbone is frozen"),
        ("torchjd:mgda", {"tasks": ["topic"]}, "two or more tasks.* got topic"),
        ("torchjd:upgrad", {"schedule": ScheduleChoice("round-robin")}, "use --schedule joint instead of round-robin"),
        ("famo", {"schedule": ScheduleChoice("proportional")}, "use --schedule joint instead of proportional"),
        ("dwa", {"on": "parameters"}, "--balance-on parameters needs a method on gradients"),
    ],
)
def test_contradictions_are_refused(name: str, terms: dict[str, object], said: str) -> None:
    settings = {"schedule": JOINT, "tasks": TASKS, "frozen": False, **terms}
    with pytest.raises(UsageError, match=said):
        check_balance(BalanceChoice(name), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sum", "mean", "normalized", "uncertainty", "dwa"])
def test_what_looks_at_losses_goes_with_everything(name: str) -> None:
    for schedule in ("round-robin", "joint", "temperature"):
        check_balance(BalanceChoice(name), ScheduleChoice(schedule), ["topic"], frozen=True)


@pytest.mark.parametrize("name", METHODS)
def test_gradient_methods_go_with_joint_steps(name: str) -> None:
    check_balance(BalanceChoice(name), JOINT, TASKS, frozen=False)
    check_balance(BalanceChoice(name), JOINT, TASKS, frozen=False, on="parameters")


def test_missing_torchjd_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchjd", None)
    message = r"--balance torchjd:pcgrad needs torchjd, which is not installed; run: pip install 'mtlkit\[torchjd\]'"
    with pytest.raises(UsageError, match=message):
        check_balance(BalanceChoice("torchjd:pcgrad"), JOINT, TASKS, frozen=False)
    check_balance(BalanceChoice("uncertainty"), JOINT, TASKS, frozen=False)
    with pytest.raises(UsageError, match=message):
        GradientWeighting("torchjd:pcgrad")


@pytest.mark.parametrize(
    ("name", "needed", "extra"),
    [
        ("upgrad", "quadprog", "torchjd-gpl"),
        ("dualproj", "qpsolvers", "torchjd-gpl"),
        ("nashmtl", "ecos", "torchjd-gpl"),
        ("cagrad", "clarabel", "torchjd"),
    ],
)
def test_without_a_solver_the_error_names_it_and_its_extra(
    name: str, needed: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = f"torchjd:{name}"
    with suppress(ImportError):
        import_module("qpsolvers")  # before the solver is hidden: it looks for solvers only once
    monkeypatch.setitem(sys.modules, needed, None)
    monkeypatch.setattr(registry, "find_spec", lambda module: None if module == needed else find_spec("mtlkit"))
    message = rf"--balance {full} needs {needed}, which is not installed; run: pip install 'mtlkit\[{extra}\]'"
    with pytest.raises(UsageError, match=message):
        check_balance(parse_balance(name, TASKS), JOINT, TASKS, frozen=False)
    with pytest.raises(UsageError, match=message):
        GradientWeighting(full)


def test_reading_a_choice_needs_no_torch() -> None:
    script = "import sys; from mtlkit.config.registries.balancing import BALANCING; list(BALANCING); "
    script += "import mtlkit.training.balancing.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
