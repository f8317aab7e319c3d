"""The output of commands about a router."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from routers import routed_run

from mtlkit.cli.predict import likeliest

if TYPE_CHECKING:
    from .conftest import Typed

ANIMAL, MOOD = "The cat sleeps near the river.", "What a wonderful film, I loved it!"


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, runs: Path, data: Path) -> Path:
    return routed_run(tmp_path_factory.mktemp("routed"), runs, data)


def test_json_lines_hold_the_fitting_heads_and_how_likely_each_task_is(typed: Typed, routed: Path) -> None:
    answer = typed("predict", ANIMAL, MOOD, "--model", routed)
    assert answer.code == 0, answer.err
    animal, mood = (json.loads(line) for line in answer.out.splitlines())
    assert list(animal) == ["text", "tasks", "router"]
    assert (list(animal["tasks"]), list(mood["tasks"])) == (["kind", "state"], ["state", "mood"])
    assert animal["router"]["kind"] > 0.8 > 0.2 > mood["router"]["kind"]
    document = json.loads(typed("predict", MOOD, "--model", routed, "--json").out)
    assert document["predictions"][0]["router"] == pytest.approx(mood["router"], abs=1e-5)


def test_a_named_task_is_answered_alone(typed: Typed, routed: Path) -> None:
    row = json.loads(typed("predict", MOOD, "--task", "kind", "--model", routed).out)
    assert list(row) == ["text", "tasks"]
    assert list(row["tasks"]) == ["kind"]


def test_the_view_of_a_terminal(typed: Typed, routed: Path) -> None:
    answer = typed("predict", ANIMAL, MOOD, "--model", routed, terminal=True, width=120)
    assert answer.code == 0, answer.err
    assert answer.widest <= 120
    assert answer.out.split()[:6] == ["text", "which", "task", "kind", "state", "mood"]
    animal, mood = (line for line in answer.out.splitlines() if "The cat" in line or "What a" in line)
    assert "kind " in animal
    assert animal.count("%") == mood.count("%") == 3  # the task, and two of the three heads
    assert typed("predict", MOOD, "--task", "mood", "--model", routed, terminal=True).out.split()[:2] == ["text", "mood"]


def test_the_likeliest_task_in_words() -> None:
    assert likeliest({"topic": 0.03, "sentiment": 0.974}) == "sentiment 97%"


def test_eval_has_its_accuracy(typed: Typed, routed: Path) -> None:
    document = json.loads(typed("eval", "--model", routed, "--json").out)
    assert list(document) == ["model", "split", "tasks", "router"]
    assert document["router"]["n"] == 20
    assert document["router"]["balanced_accuracy"] > 0.9
    answer = typed("eval", "--model", routed, width=100)
    assert "which task (test): balanced accuracy " in answer.out
    assert "which task: rows true" not in answer.out
    assert "which task: rows true" in typed("eval", "--model", routed, "--confusion", width=100).out


def test_export_that_cannot_store_a_setting_is_reported(typed: Typed, routed: Path, tmp_path: Path) -> None:
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    answer = typed("export", routed, tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "the router is left out" in answer.err
    assert "left out" not in typed("export", routed, tmp_path / "small", "--format", "compact").err
