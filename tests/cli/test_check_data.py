"""`mtlkit check-data`, typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import write

if TYPE_CHECKING:
    from .conftest import Typed

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a leak, a contradiction and hostile texts and labels."""
    folder = tmp_path_factory.mktemp("spoilt")
    labels = ("[/]", "esc\x1b[2J")
    rows = [[f"Text [red]{place}[/red] number {place * place}.", labels[place % 2]] for place in range(30)]
    leak = ["  \x1b[2Jtext [/] of both  ", labels[0]]
    write(folder / "train.csv", [["text", "label"], *rows, leak, [rows[0][0], labels[1]]])
    write(folder / "test.csv", [["text", "label"], ["Text of its own.", labels[0]], leak])
    write(folder / "dev.csv", [["text", "label"], *([f"Held out {place}.", labels[place]] for place in (0, 1))])
    return folder


def test_as_a_process_with_the_samples(forked: Cli, tmp_path: Path) -> None:
    done = forked("check-data", "--strict", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    first, *sources = done.stderr.splitlines()
    assert first.startswith("tokens by mini")
    assert [line.partition(": ")[0] for line in sources] == ["topic", "sentiment"]
    assert all("train: train.csv; validation: validation.csv; test: test.csv" in line for line in sources)
    lines = done.stdout.splitlines()
    assert lines[0] == "topic (sample:topic): classification"
    assert lines[-1] == "no problems found"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("terminal", [False, True])
def test_findings_are_warnings_or_an_error_with_strict(typed: Typed, spoilt: Path, width: int, terminal: bool) -> None:
    answer = typed("check-data", "--model", "mini", "--task", f"t={spoilt}", width=width, terminal=terminal)
    assert answer.code == 0, answer.err
    assert answer.widest <= width
    assert "\x1b" not in answer.out  # fault 30
    assert "t: 1 of 2 test texts is also in train\n  test.csv:3 and train.csv:32: " in answer.out
    assert "[2Jtext [/] of both" in answer.out
    assert "t: 1 text of train has two labels" in answer.out
    assert "train.csv:2 '[/]' and train.csv:33 'esc\N{REPLACEMENT CHARACTER}[2J'" in answer.out
    strict = typed("check-data", "--model", "mini", "--task", f"t={spoilt}", "--strict", width=width, terminal=terminal)
    assert strict.code == 3
    assert strict.out == answer.out
    assert "mtlkit: --strict: " in strict.err
    assert "1 of 2 test texts is also in train" in " ".join(strict.err.split())


def test_as_one_document(typed: Typed, spoilt: Path) -> None:
    answer = typed("check-data", "--model", "mini", "--task", f"t={spoilt}", "--json", "--max-length", 8, "--strict")
    assert answer.code == 3
    document = json.loads(answer.out)
    assert list(document) == ["model", "reason", "max_length", "tasks", "findings", "skipped"]
    assert (document["model"], document["max_length"]) == ("mini", 8)
    (task,) = document["tasks"]
    assert [split["name"] for split in task["splits"]] == ["train", "validation", "test"]
    assert task["absent"] == []
    assert task["splits"][2]["classes"] == {"[/]": 2}
    overlap = next(one for one in document["findings"] if one["problem"] == "overlap" and one["split"] == "test")
    assert overlap["spoils"] is True
    assert overlap["examples"][0]["places"] == [f"{spoilt}/test.csv:3", f"{spoilt}/train.csv:32"]
    assert overlap["examples"][0]["text"] == "  \x1b[2Jtext [/] of both  "


def test_skipped_rows_are_reported(typed: Typed, tmp_path: Path) -> None:  # fault 19
    path = write(tmp_path / "a.csv", [["text", "label"], ["a", "x"], ["b"], ["c", "y"], ["d", "x"], ["e", "y"]])
    refused = typed("check-data", "--task", f"t={path}")
    assert (refused.code, refused.out) == (3, "")
    assert f"{path}:3: 1 field, but the header has 2" in refused.err
    answer = typed("check-data", "--task", f"t={path}", "--on-bad-row", "skip")
    assert answer.code == 0, answer.err
    assert "t has no validation split" in answer.out
    assert f"1 row skipped, such as {path}:3: 1 field, but the header has 2" in answer.err


def test_errors_are_one_line(typed: Typed) -> None:
    for arguments, code, words in (
        (("--task", "t=sample:topics"), 3, "did you mean 'sample:topic'?"),
        (("--task", "sample:topic"), 2, "has no name"),
        (("--model", "nowhere"), 2, "no such folder"),
        (("--task", "t=sample:topic?limt=3"), 2, "did you mean 'limit'?"),
    ):
        answer = typed("check-data", *arguments)
        assert (answer.code, answer.out) == (code, "")
        assert words in answer.err
        assert answer.err.count("\n") == 1


def test_texts_for_pretraining(typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    lines = [f"A text of number {place} and {place * place}." for place in range(40)]
    path.write_text("\n".join([*lines, lines[0]]) + "\n")
    answer = typed("check-data", "--model", "mini", "--text", path, width=200)
    assert answer.code == 0, answer.err
    assert f"{path}: texts for pretraining" in answer.out
    assert "no validation split" in answer.out
    assert "1 of 39 train rows repeats the text of an earlier row" in answer.out
    assert "a.txt:41" in answer.out
    missing = typed("check-data", "--text", tmp_path / "b.txt")
    assert (missing.code, missing.err.count("\n")) == (3, 1)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with a score, one of which is both in train and in test, with a column that no objective reads."""
    folder = tmp_path_factory.mktemp("scored")
    rows = [[f"Text {place}.", f"Answer [/] {place * place}.", place % 5, "none"] for place in range(30)]
    header = ["question", "answer", "score", "negative"]
    write(folder / "train.csv", [header, *rows[:25]])
    write(folder / "test.csv", [header, *rows[24:]])
    return folder


@pytest.mark.parametrize("objective", ["pairs", "similarity"])
def test_pairs_as_train_sentence_reads_them(typed: Typed, scored: Path, objective: str) -> None:
    arguments = ("check-data", "--model", "mini", "--objective", objective, "--task", f"faq={scored}")
    answer = typed(*arguments, width=80)
    assert answer.code == 0, answer.err
    assert answer.widest <= 80
    read = "not used: negative" if objective == "similarity" else "negatives=negative; not used: score"
    assert all(words in answer.err for words in ("faq: first=question, second=answer", read))
    assert "faq: 1 of 6 test pairs is also in train\n  test.csv:2 and train.csv:26: Text 24. | Answer [/] 576.\n" in answer.out
    assert ("faq: scores (column 'score')" in answer.out) == (objective == "similarity")
    strict = typed(*arguments, "--json", "--strict")
    assert strict.code == 3
    assert "--strict: faq: 1 of 6 test pairs is also in train" in strict.err
    (task,) = json.loads(strict.out)["tasks"]
    assert (task["kind"], task["splits"][2]["rows"]) == (objective, 6)
    assert (task["splits"][2]["scores"] is None) == (objective == "pairs")


def test_columns_of_pairs_that_are_not_there(typed: Typed, scored: Path) -> None:
    for objective, source, code, words in (
        ("pairs", f"faq={scored}:first=question,second=anser", 3, "did you mean 'answer'?"),
        ("similarity", f"faq={scored}:label=gold", 3, "column 'gold' not found"),
        ("distill", f"faq={scored}:text=body", 3, "column 'body' not found"),
        ("pairz", f"faq={scored}", 2, "pairz"),
    ):
        answer = typed("check-data", "--objective", objective, "--task", source)
        assert (answer.code, answer.out) == (code, "")
        assert words in answer.err
