"""Problems with texts for pretraining."""

from __future__ import annotations

from pathlib import Path

from support import write

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.recipes.check_data import DataCheck, check_data
from mtlkit.recipes.checking.texts import read_sources

WORDS = ["river", "barn", "hill", "road", "oak", "shelf", "bench", "floor", "cart", "wall", "stone", "lamp"]
LONG = "The harbour master said that the storm took the roofs of eleven houses and left two boats on the square."


def texts(count: int, start: int = 0) -> list[str]:
    return [f"The {WORDS[n % 12]} number {n} is {WORDS[n // 12 % 12]} {n * n}." for n in range(start, start + count)]


def reading() -> ReadOptions:
    return ReadOptions("utf-8", "error", SkippedRows(), keep_places=True)


def check(*sources: Path) -> DataCheck:
    return check_data(CheckDataOptions(text=[str(source) for source in sources], model="mini"))


def problems(found: DataCheck) -> set[tuple[str, str, int, bool]]:
    return {(one.problem, one.split, one.rows, one.spoils) for one in found.findings}


def test_texts_of_validation_and_test_that_are_trained_on(tmp_path: Path) -> None:
    train = [*texts(40), f" {texts(1)[0].upper()}", LONG, "  "]
    write(tmp_path / "train.csv", [["text"], *([text] for text in train)])
    write(tmp_path / "validation.csv", [["text"], *([text] for text in [*texts(5, 100), train[3].replace(" ", "  ").lower()])])
    write(tmp_path / "test.csv", [["text"], *([text] for text in [*texts(5, 200), LONG.replace("eleven", "twelve"), train[4]])])
    found = check(tmp_path)
    assert problems(found) == {
        ("overlap", "validation", 1, True),
        ("overlap", "test", 1, True),
        ("near", "test", 1, True),
        ("repeated", "train", 1, False),
        ("blank", "train", 1, False),  # pretraining leaves it out
    }
    (task,) = found.tasks
    assert (task.kind, task.absent) == ("text", ())
    assert [(split.name, split.rows, split.lengths.cut) for split in task.splits] == [
        ("train", 43, 0),
        ("validation", 6, 0),
        ("test", 7, 0),
    ]
    (leak,) = [one for one in found.findings if one.problem == "overlap" and one.split == "validation"]
    assert leak.examples[0].places == (f"{tmp_path}/validation.csv:7", f"{tmp_path}/train.csv:5")


def test_what_is_held_out_is_what_pretraining_holds_out(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for number, path in enumerate(paths):
        path.write_text("\n".join([*texts(100, 100 * number), *texts(60, 100 * number)]) + "\n")
    sources = [str(path) for path in paths]
    wanted = read_corpus(sources, reading(), PretrainOptions.seed)
    splits = read_sources(sources, reading(), TextNumbers(), {})
    by_name = {
        name: [text for own in splits.values() for split in own if split.name == name for text in split.table.texts]
        for name in ("train", "validation")
    }
    assert by_name == {"train": wanted.train, "validation": wanted.held_out}
    assert wanted.held_out
    assert not {one.problem for one in check(*paths).findings} - {"repeated"}


def test_texts_of_another_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(texts(60)) + "\n")
    write(tmp_path / "b" / "train.csv", [["text"], *([text] for text in texts(30, 100))])
    write(tmp_path / "b" / "test.csv", [["text"], *([text] for text in texts(5, 57))])
    found = check(tmp_path / "a.txt", tmp_path / "b")
    (shared,) = [one for one in found.findings if one.problem == "shared"]
    assert (shared.task, shared.another, shared.split, shared.spoils) == (
        str(tmp_path / "b"),
        str(tmp_path / "a.txt"),
        "test",
        True,
    )
    assert shared.rows in (2, 3)  # of which one may be held out there


def test_tasks_are_checked_beside_texts_only_when_given(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(texts(40)) + "\n")
    assert [task.kind for task in check(tmp_path / "a.txt").tasks] == ["text"]
    both = check_data(CheckDataOptions(task=["t=sample:topic"], text=[str(tmp_path / "a.txt")], model="mini"))
    assert [task.name for task in both.tasks] == ["t", str(tmp_path / "a.txt")]
