from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Typed

TEXTS = ("The cat sleeps near the river.", "A [/] saw")


def check(row: dict[str, object], text: str, tasks: dict[str, list[str]]) -> None:
    assert list(row) == ["text", "tasks"]
    assert row["text"] == text
    answers = row["tasks"]
    assert isinstance(answers, dict)
    assert list(answers) == list(tasks)
    for task, labels in tasks.items():
        answer = answers[task]
        assert list(answer) == ["label", "probability", "probabilities"]
        assert list(answer["probabilities"]) == labels
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert answer["probability"] == answer["probabilities"][answer["label"]] == max(answer["probabilities"].values())


BOTH = {"kind": ["animal", "tool"], "state": ["broken", "fine"]}


def test_json_lines(typed: Typed, mtl: Path) -> None:
    answer = typed("predict", *TEXTS, "--model", mtl)
    assert answer.code == 0
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert len(rows) == 2
    for row, text in zip(rows, TEXTS, strict=True):
        check(row, text, BOTH)
    assert rows[0]["tasks"]["kind"]["label"] == "animal"


def test_json_is_one_document(typed: Typed, mtl: Path) -> None:
    document = json.loads(typed("predict", *TEXTS, "--model", mtl, "--json").out)
    assert list(document) == ["model", "predictions"]
    assert document["model"] == str(mtl)
    for row, text in zip(document["predictions"], TEXTS, strict=True):
        check(row, text, BOTH)


def test_one_task_and_texts_of_a_file(typed: Typed, mtl: Path, data: Path) -> None:
    answer = typed("predict", "--input", data / "kind" / "test.csv", "--task", "state", "--model", mtl)
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert len(rows) == 16
    for row in rows:
        check(row, row["text"], {"state": BOTH["state"]})


def test_task_can_be_repeated(typed: Typed, mtl: Path) -> None:
    answer = typed("predict", TEXTS[0], "--model", mtl, "--task", "state", "--task", "kind", "--task", "state")
    check(json.loads(answer.out), TEXTS[0], {"state": BOTH["state"], "kind": BOTH["kind"]})
    one = typed("predict", TEXTS[0], "--model", mtl, "--task", "kind")
    check(json.loads(one.out), TEXTS[0], {"kind": BOTH["kind"]})


def test_standard_input(typed: Typed, mtl: Path) -> None:
    rows = typed("predict", "-", "--model", mtl, stdin=b"one\n\nthree").out.splitlines()
    assert [json.loads(row)["text"] for row in rows] == ["one", "", "three"]


@pytest.mark.parametrize("terminal", [False, True])
def test_an_unknown_task_is_refused_with_the_nearest(typed: Typed, mtl: Path, terminal: bool) -> None:
    answer = typed("predict", "a", "--task", "knid", "--model", mtl, terminal=terminal)
    assert (answer.code, answer.out) == (2, "")
    assert f"{mtl} has no head 'knid'; it has kind, state; did you mean 'kind'?" in " ".join(answer.err.split())
    hostile = typed("predict", "a", "--task", "[/]\x1b[31m", "--model", mtl, terminal=terminal)
    assert "has no head '[/]\N{REPLACEMENT CHARACTER}[31m'" in hostile.err  # fault 30


def test_model_without_heads_is_refused_with_advice(typed: Typed, runs: Path) -> None:
    answer = typed("predict", "a", "--model", runs / "pretrain")
    assert answer.code == 2
    assert f"{runs / 'pretrain'} has no heads to predict with" in answer.err


def test_the_view_of_a_terminal(typed: Typed, mtl: Path) -> None:
    long = "a text that is far too long to be shown in the whole of its length on one line of a terminal"
    texts = ["[red]a[/red] [/]", "esc\x1b[2J \x1b]8;;http://a\x1b\\b", long, "two\nlines"]  # fault 30
    answer = typed("predict", *texts, "--model", mtl, terminal=True, width=80)
    assert answer.code == 0
    assert answer.widest <= 80
    assert "\x1b" not in answer.out
    assert "[red]a[/red] [/]" in answer.out
    assert "two lines" in answer.out
    assert answer.out.split()[:3] == ["text", "kind", "state"]
    assert answer.out.count("%") == 8
