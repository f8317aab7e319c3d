"""Problems with data, from files to findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import notes, options, rows_of, write

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.errors import DataError, UsageError
from mtlkit.recipes.check_data import DataCheck, check_data
from mtlkit.recipes.train_mtl import stream
from mtlkit.recipes.train_sentence import stream as stream_sentence
from mtlkit.recipes.training.data_warnings import first_look
from mtlkit.report.findings import finding_message
from mtlkit.training.events import Note

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
HEADER = ["text", "label"]
WORDS = ["river", "barn", "hill", "road", "oak", "shelf", "bench", "floor", "cart", "wall"]


def rows(count: int, start: int = 0) -> list[list[str]]:
    """Different texts, `b` and `a` in turn."""
    numbers = range(start, start + count)
    return [[f"The {WORDS[n % 10]} number {n} is {WORDS[n // 10 % 10]} {n * n}.", "ba"[n % 2]] for n in numbers]


def check(*tasks: str, **more: Any) -> DataCheck:
    return check_data(CheckDataOptions(task=list(tasks), model="mini", **more))


def problems(found: DataCheck) -> list[tuple[str, str, str, int]]:
    return [(one.task, one.problem, one.split, one.rows) for one in found.findings]


def test_samples_have_no_findings() -> None:
    found = check_data(CheckDataOptions(model="mini"))
    assert found.findings == ()
    assert [(task.name, task.kind, task.absent) for task in found.tasks] == [
        ("topic", "classification", ()),
        ("sentiment", "classification", ()),
    ]
    assert {split.name: split.rows for split in found.tasks[0].splits} == {"train": 392, "validation": 80, "test": 128}
    assert all(split.classes == dict.fromkeys(split.classes, split.rows // 4) for split in found.tasks[0].splits)


def test_a_lone_file_has_validation_held_out_and_no_test(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [HEADER, *rows(40)])
    found = check(f"t={path}")
    (task,) = found.tasks
    assert task.absent == ("validation", "test")
    assert [(split.name, split.rows, split.held_out) for split in task.splits] == [("train", 36, False), ("validation", 4, True)]
    assert found.findings == ()


def test_all_that_can_be_wrong_with_a_folder(tmp_path: Path) -> None:
    train, test = rows(60), rows(20, 100)
    long = "The harbour master said that the storm took the roofs of eleven houses and left two boats on the square."
    train[3] = [train[1][0].upper(), "b"]  # the same text, which was `a`
    train[5] = [" ", "a"]
    train[7] = [long, "a"]
    test[0] = [train[10][0], "b"]
    test[1] = [long.replace("eleven", "twelve"), "a"]
    test[2] = ["A text of a class of its own.", "c"]
    write(tmp_path / "train.csv", [HEADER, *train])
    write(tmp_path / "test.csv", [HEADER, *test])
    write(tmp_path / "dev.csv", [HEADER, *rows(10, 200), train[12]])
    found = check(f"t={tmp_path}")
    assert set(problems(found)) == {
        ("t", "two labels", "train", 1),
        ("t", "blank", "train", 1),
        ("t", "repeated", "train", 1),
        ("t", "overlap", "test", 1),
        ("t", "near", "test", 1),
        ("t", "unseen", "test", 1),
        ("t", "overlap", "validation", 1),
    }
    by_problem = {(one.problem, one.split): one for one in found.findings}
    assert by_problem["overlap", "test"].examples[0].places == (f"{tmp_path}/test.csv:2", f"{tmp_path}/train.csv:12")
    assert by_problem["overlap", "validation"].examples[0].places == (f"{tmp_path}/dev.csv:12", f"{tmp_path}/train.csv:14")
    assert by_problem["blank", "train"].examples[0].places == (f"{tmp_path}/train.csv:7",)
    assert {(one.problem, one.split) for one in found.spoiling} == {
        *(("two labels", "train"), ("blank", "train")),
        *(("overlap", "test"), ("near", "test"), ("unseen", "test")),
    }
    assert [one.spoils for one in found.findings] == [True] * 5 + [False] * 2  # findings that spoil results come first
    assert [split.name for split in found.tasks[0].splits] == ["train", "validation", "test"]


def test_results_are_of_validation_where_there_is_no_test(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", [HEADER, *rows(30)])
    write(tmp_path / "dev.csv", [HEADER, *rows(10, 20), *rows(10, 40)])
    found = check(f"t={tmp_path}")
    (leak,) = [one for one in found.findings if one.problem == "overlap"]
    assert (leak.split, leak.rows, leak.spoils) == ("validation", 10, True)


def test_repeated_rows_of_a_lone_file_are_held_out_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [HEADER, *rows(30), *rows(30)])
    found = check(f"t={path}")
    assert [split.rows for split in found.tasks[0].splits] == [54, 6]
    assert {one.problem for one in found.findings} == {"repeated"}


def test_texts_that_another_task_is_trained_on(tmp_path: Path) -> None:
    for name, part, label in (("one", rows(30), None), ("two", rows(30, 100), "n")):
        write(tmp_path / name / "train.csv", [HEADER, *([text, label or own] for text, own in part)])
        write(tmp_path / name / "dev.csv", [HEADER, *([text, label or own] for text, own in rows(10, 300))])
    write(tmp_path / "two" / "train.csv", [HEADER, *([text, "mn"[n % 2]] for n, (text, _) in enumerate(rows(30, 100)))])
    write(tmp_path / "two" / "test.csv", [HEADER, *([text, "n"] for text, _ in rows(10, 25))])
    write(tmp_path / "one" / "test.csv", [HEADER, *rows(10, 500)])
    found = check(f"one={tmp_path / 'one'}", f"two={tmp_path / 'two'}")
    (shared,) = [one for one in found.findings if one.problem == "shared"]
    assert (shared.task, shared.another, shared.split, shared.rows, shared.spoils) == ("two", "one", "test", 5, True)


def test_lengths_are_counted_whole_and_cut_at_the_length_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    lengths = {"train": range(1, 101), "dev": [1, 400], "test": [5, 7]}
    for name, counts in lengths.items():  # a token a letter, and BOS and EOS
        write(folder / f"{name}.csv", [HEADER, *([" ".join("a" * count), "xy"[count % 2]] for count in counts)])
    found = check(f"t={folder}", max_length=22)
    assert found.max_length == 22
    train, dev, test = (split.lengths for split in found.tasks[0].splits)
    assert (train.median, train.longest, train.cut) == (52.5, 102, 80)
    assert train.most_are_below == pytest.approx(97.05)
    assert (dev.median, dev.longest, dev.cut) == (202.5, 402, 1)
    assert (test.longest, test.cut) == (9, 0)
    (cut,) = [one for one in found.findings if one.problem == "cut"]
    assert (cut.split, cut.rows, cut.of, cut.figure, cut.spoils) == ("train", 80, 100, 22, False)
    assert not [one for one in check(f"t={folder}").findings if one.problem == "cut"]


def test_numbers_and_lists_have_no_classes_to_compare(odd_data: Path) -> None:
    found = check(*(f"{name}={odd_data / name}" for name in ("stars", "tags")))
    stars, tags = found.tasks
    assert (stars.kind, stars.classes) == ("regression", [])
    assert tags.kind == "multi-label"
    assert sum(tags.splits[0].classes.values()) > tags.splits[0].rows  # a row counts for each of its labels


def test_a_single_class_and_rows_in_order(tmp_path: Path) -> None:
    single = write(tmp_path / "one.csv", [HEADER, *([text, "x"] for text, _ in rows(20))])
    assert problems(check(f"t={single}")) == [("t", "one class", "train", 18)]
    ordered = write(tmp_path / "two.csv", [HEADER, *sorted(rows(80), key=lambda row: row[1])])
    assert problems(check(f"t={ordered}")) == [("t", "sorted", "train", 72)]
    assert problems(check(f"t={ordered}?limit=60")) == [("t", "sorted", "train", 54)]


def test_bad_rows_are_named_or_skipped_and_counted(tmp_path: Path) -> None:  # fault 19
    path = write(tmp_path / "a.csv", [HEADER, *rows(20), ["one", "two", "three"], ["no label", ""]])
    with pytest.raises(DataError, match=r"a\.csv:22: 3 fields, but the header has 2; fix it, or skip such rows"):
        check(f"t={path}")
    found = check(f"t={path}", on_bad_row="skip")
    assert found.tally.skipped == 2
    assert found.tally.reasons[1] == f"{path}:23: no label in column 'label'"
    assert str(found.tally) == f"2 rows skipped, such as {path}:22: 3 fields, but the header has 2"
    assert found.to_json()["skipped"] == {"rows": 2, "reasons": found.tally.reasons}


def test_a_task_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="task 't' is repeated"):
        check("t=sample:topic", "t=sample:topic")


TRAIN = LabelledTable(["A", "b", "c", "c"], ["x", "y", "x", "y"])


@pytest.mark.parametrize(
    ("train", "validation", "sentences"),
    [
        (TRAIN.select([0, 1]), LabelledTable(["new"], ["x"]), []),
        (TRAIN, LabelledTable(["new"], ["x"]), ["t: 1 text of train has two labels"]),
        (TRAIN.select([0, 1]), LabelledTable(["a", "n"], ["x", "x"]), ["t: 1 of 2 validation texts is also in train"]),
        (
            LabelledTable(["a", " "], ["x", "x"]),
            LabelledTable(["n"], ["x"]),
            ["t: all 2 train rows have the label 'x'", "t: 1 of 2 train texts is blank"],
        ),
    ],
)
def test_a_first_look_in_sentences(train: LabelledTable, validation: LabelledTable, sentences: list[str]) -> None:
    assert [finding_message(finding) for finding in first_look(train, validation, "t", "classification")] == sentences


def test_a_training_warns_of_it(data: Path, runs: Path, tmp_path: Path) -> None:
    train, test = (rows_of(data / "kind" / f"{name}.csv") for name in ("train", "test"))
    folder = write(tmp_path / "kind" / "train.csv", train).parent
    write(folder / "dev.csv", [*test, train[1]])
    sentence = "kind: 1 of 17 validation texts is also in train; mtlkit check-data says more"
    start = str(runs / "sentence")
    mtl = options(tmp_path, tmp_path / "mtl", "kind", init=start, epochs=1)
    sentence_options = TrainSentenceOptions(task=f"kind={folder}", init=start, out=tmp_path / "sentence", epochs=1)
    for events in (stream(mtl), stream_sentence(sentence_options)):
        assert [event.text for event in events if isinstance(event, Note) and event.warning] == [sentence]
    clean = stream(options(data, tmp_path / "clean", "kind", init=start, epochs=1))
    assert "check-data" not in notes(list(clean))


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_of_real_data() -> None:
    found = [one for one in check(f"t={DATA}").findings if one.split == "test"]
    assert {(one.problem, one.rows) for one in found} == {("overlap", 5), ("near", 84), ("repeated", 1)}


def test_the_baseline_is_scored_on_a_validation_split_or_cross_validated(tmp_path: Path) -> None:
    several = write(tmp_path / "n.csv", [HEADER, *([text, str(place / 7)] for place, (text, _) in enumerate(rows(40)))])
    alone = write(tmp_path / "a.csv", [HEADER, *rows(40)])
    found = check("sample=sample:topic", f"alone={alone}", f"number={several}", baseline=True)
    assert found.baselines is not None
    sample, own = found.baselines["sample"], found.baselines["alone"]
    assert sample is not None
    assert own is not None
    assert (sample.train, sample.rows, sample.folds) == (392, 80, 0)
    assert sample.accuracy > 0.6
    assert (own.rows, own.folds) == (40, 5)
    assert found.baselines["number"] is None
    assert found.to_json()["baselines"]["sample"]["accuracy"] == sample.accuracy
    assert "baselines" not in check("sample=sample:topic").to_json()


def test_the_baseline_needs_labels_and_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--objective pairs has none"):
        check("t=sample:topic", baseline=True, objective="pairs")
    monkeypatch.setattr("mtlkit.recipes.checking.baseline.has_scikit_learn", lambda: False)
    with pytest.raises(UsageError, match=r"mtlkit\[probe\]"):
        check("t=sample:topic", baseline=True)
