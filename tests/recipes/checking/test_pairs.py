"""Problems with pairs of texts, from files to findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import write

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import read_train_and_validation_pairs
from mtlkit.data.quality.findings import ScoreSummary
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError, UsageError
from mtlkit.recipes.check_data import DataCheck, check_data
from mtlkit.recipes.checking.pairs import PairData, read_pair_tasks, read_scored_tasks

DATA = Path(__file__).parents[4] / "shared" / "data" / "stsb"
HEADER = ["sentence1", "sentence2", "score"]
WORDS = ["river", "barn", "hill", "road", "oak", "shelf", "bench", "floor", "cart", "wall", "stone", "lamp"]


def text(number: int) -> str:
    return f"The {WORDS[number % 12]} number {number} is {WORDS[number // 12 % 12]} {number * number}."


def pairs(count: int, start: int = 0) -> list[list[str]]:
    return [[text(number), text(number + 5000), str(number % 5)] for number in range(start, start + count)]


def check(objective: str, source: object, **more: Any) -> DataCheck:
    return check_data(CheckDataOptions(objective=objective, task=[f"t={source}"], model="mini", **more))  # type: ignore[arg-type]


def problems(found: DataCheck) -> list[tuple[str, str, str, int, bool]]:
    return [(one.problem, one.noun, one.split, one.rows, one.spoils) for one in found.findings]


@pytest.mark.parametrize(("read", "scored"), [(read_pair_tasks, False), (read_scored_tasks, True)])
def test_pairs_are_read_as_a_training_reads_them(read: Callable[..., list[PairData]], scored: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [HEADER, *pairs(30), ["", "no first text", "1"], *pairs(30)])
    sources = {"whole": str(path), "part": f"{path}:limit=20,first=sentence2,second=sentence1"}
    reading = ReadOptions("utf-8", "skip", SkippedRows(), keep_places=True)
    made = read(sources, reading, TextNumbers())
    assert [data.name for data in made] == ["whole", "part"]
    assert reading.tally.reasons[0] == f"{path}:32: no text in column 'sentence1'"
    for data in made:
        wanted = read_train_and_validation_pairs(data.source, reading, scored)
        assert [split.name for split in data.splits] == ["train", "validation"]
        for split, table in zip(data.splits, wanted, strict=True):
            assert split.pairs.table.texts == table.firsts
            assert split.pairs.partners == table.seconds
            assert split.texts.table.texts == [*table.firsts, *table.seconds]
            assert split.scores == table.scores
            assert split.pairs.table.places == table.places
            assert split.columns == table.columns


def test_all_that_can_be_wrong_with_scored_pairs(tmp_path: Path) -> None:
    train, test = pairs(60), pairs(20, 200)
    train[3] = [train[1][1], train[1][0].upper(), "1"]
    train[4] = [*train[2][:2], "0"]  # it was 2
    train[5] = [train[5][0], train[5][0].replace(" ", "  "), "4"]
    test[0] = [*pairs(1, 20)[0][:2], "0"]
    test[1] = [text(30), text(9000), "50"]
    write(tmp_path / "train.csv", [HEADER, *train])
    write(tmp_path / "dev.csv", [HEADER, *([first, second, "-1"] for first, second, _ in pairs(10, 300))])
    write(tmp_path / "test.csv", [HEADER, *test])
    found = check("similarity", tmp_path)
    assert problems(found) == [
        ("unusable", "pair", "validation", 10, True),
        ("overlap", "pair", "test", 1, True),
        ("two labels", "pair", "train", 1, True),
        ("repeated", "pair", "train", 2, False),
        ("overlap", "text", "test", 1, False),
        ("outside", "pair", "validation", 10, False),
        ("outside", "pair", "test", 1, False),
    ]
    assert found.findings[0].reason == "column 'score' is -1 in all 10 rows"
    assert found.findings[1].examples[0].places == (f"{tmp_path}/test.csv:2", f"{tmp_path}/train.csv:22")
    assert found.findings[4].examples[0].places == (f"{tmp_path}/test.csv:3", f"{tmp_path}/train.csv:32")
    (task,) = found.tasks
    assert (task.kind, task.absent, task.record.label) == ("similarity", (), ("score",))
    assert [(split.name, split.rows, split.lengths.texts) for split in task.splits] == [
        ("train", 60, 120),
        ("validation", 10, 20),
        ("test", 20, 40),
    ]
    assert task.splits[0].scores == ScoreSummary(0.0, 2.0, 4.0, 5)


def test_three_anchors_and_blank_ones(tmp_path: Path) -> None:
    rows = [["anchor", "positive"], *([text(row % 3), text(row + 5000)] for row in range(90))]
    rows[5][0] = " "
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match=r"a\.csv:6: no text in column 'anchor'; fix it, or skip such rows"):
        check("pairs", path)
    found = check("pairs", path, on_bad_row="skip")
    assert (found.tally.skipped, found.tally.reasons) == (1, [f"{path}:6: no text in column 'anchor'"])
    assert problems(found) == [
        ("few negatives", "pair", "train", 80, False),
        ("overlap", "text", "validation", 9, False),
    ]
    (task,) = found.tasks
    assert (task.kind, task.absent, task.splits[0].scores) == ("pairs", ("validation", "test"), None)
    assert [(split.name, split.rows, split.held_out) for split in task.splits] == [("train", 80, False), ("validation", 9, True)]


def test_pairs_are_compared_as_far_as_the_model_reads_them(tmp_path: Path) -> None:
    rows = [["anchor", "positive"], *([f"one two three {text(row)} four five six", text(row + 5000)] for row in range(30))]
    path = write(tmp_path / "a.csv", rows)
    assert problems(check("pairs", path)) == []
    found = check("pairs", path, max_length=6)
    assert problems(found)[:2] == [
        ("unusable", "pair", "train", 27, True),
        ("unusable", "pair", "validation", 3, True),
    ]
    assert [one.problem for one in found.findings] == ["unusable", "unusable", "cut"]
    assert (found.findings[2].rows, found.findings[2].of) == (54, 54)


def test_texts_of_pairs_that_a_base_is_pretrained_on(tmp_path: Path) -> None:
    write(tmp_path / "pairs" / "train.csv", [HEADER, *pairs(30)])
    write(tmp_path / "pairs" / "test.csv", [HEADER, *pairs(10, 100)])
    write(tmp_path / "texts" / "train.csv", [["text"], *([text(number)] for number in range(103, 160))])
    write(tmp_path / "texts" / "validation.csv", [["text"], *([text(number)] for number in range(400, 410))])
    found = check("pairs", tmp_path / "pairs", text=[str(tmp_path / "texts")])
    assert [task.kind for task in found.tasks] == ["pairs", "text"]
    (shared,) = [one for one in found.findings if one.problem == "shared"]
    assert (shared.task, shared.split, shared.rows, shared.spoils) == ("t", "test", 7, False)


def test_texts_to_distill_are_read_task_by_task(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join([*map(text, range(40)), text(0), " "]) + "\n")
    found = check("distill", path, max_length=6)
    assert problems(found) == [
        ("blank", "text", "train", 1, False),
        ("repeated", "text", "train", 1, False),
        ("cut", "text", "train", 39, False),
    ]
    (task,) = found.tasks
    assert (task.name, task.kind, task.absent) == ("t", "distill", ("validation",))


@pytest.mark.parametrize("objective", ["pairs", "similarity", "distill"])
def test_an_objective_without_sample_data_needs_a_task(objective: str) -> None:
    with pytest.raises(UsageError, match=f"--objective {objective} has no sample data; specify --task NAME=SOURCE"):
        check_data(CheckDataOptions(objective=objective, text=["a.txt"], model="mini"))  # type: ignore[arg-type]


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_of_real_data() -> None:
    found = check("similarity", DATA)
    assert {(one.problem, one.noun, one.rows) for one in found.findings if one.split == "test"} == {
        ("overlap", "pair", 12),
        ("near", "pair", 3),
        ("repeated", "pair", 2),
        ("overlap", "text", 285),
        ("near", "text", 21),
    }
    assert found.tasks[0].splits[2].scores == ScoreSummary(0.0, 2.8, 5.0, 70)
