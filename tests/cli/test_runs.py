"""`mtlkit runs`, typed: lists, comparisons and deletions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from every_kind import KINDS

from mtlkit.runs.lock import locked

Typed = Callable[..., Any]


@pytest.fixture
def folder(runs: Path, tmp_path: Path) -> Path:
    """A copy of all runs, one of them twice, and an unfinished training."""
    copy = shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(copy / "mtl", copy / "again")
    (copy / "half" / "state").mkdir(parents=True)
    (copy / "half" / "state" / "metrics.jsonl").write_text('{"type": "header", "command": "train-mtl"}\n{"seconds": 60.5}\n')
    (copy / "notes").mkdir()
    return copy


def moved(folder: Path) -> Path:
    """The parent of two runs, whose records name a path where it is no more."""
    for name in ("mtl", "again"):
        record = json.loads((folder / name / "run.json").read_text())
        parent = folder / Path(record["parent"]["path"]).name
        record["parent"]["path"] = f"/gone/{parent.name}"
        (folder / name / "run.json").write_text(json.dumps(record))
    return parent


def names(answer: Any) -> list[str]:
    return [Path(run["path"]).name for run in json.loads(answer.out)]


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_has_every_run_with_its_scores(typed: Typed, folder: Path, width: int) -> None:
    answer = typed("runs", folder, width=width)
    assert answer.code == 0, answer.err
    assert answer.widest <= width
    words = " ".join(answer.out.split())
    assert "again mtl finished" in words
    assert "half train-mtl interrupted" in words
    assert "accuracy" in words
    assert "notes" not in words


def test_json_has_scores_with_intervals_and_rows(typed: Typed, folder: Path) -> None:
    run = next(run for run in json.loads(typed("runs", folder, "--json").out) if run["path"].endswith("again"))
    record = json.loads((folder / "again" / "run.json").read_text())
    for score in run["scores"]:
        recorded = record["metrics"]["validation"][score["task"]]
        assert score["value"] == recorded[score["metric"]]
        assert score["rows"] == record["data"][score["task"]]["validation"]["rows"]
        if score["metric"] == "accuracy":
            low, high = score["interval"]
            assert low < score["value"] < high or score["value"] in (0, 1)
    assert run["size"] == sum(path.stat().st_size for path in (folder / "again").rglob("*") if path.is_file())
    assert (run["state"], run["finished" if "finished" in run else "changed"]) == ("finished", record["finished"])


@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "score", "size"])
def test_sorting(typed: Typed, folder: Path, sort: str) -> None:
    runs = json.loads(typed("runs", folder, "--sort", sort, "--json").out)
    keys = {
        "newest": [run["started"] or run["changed"] or "" for run in runs][::-1],
        "oldest": [run["started"] or run["changed"] or "" for run in runs],
        "name": [run["path"] for run in runs],
        "score": [-1 if run["score"] is None else run["score"] for run in runs][::-1],
        "size": [run["size"] for run in runs][::-1],
    }
    assert keys[sort] == sorted(keys[sort])
    assert len(runs) > 3


def test_damaged_and_running_runs_are_called_so(typed: Typed, folder: Path) -> None:
    (folder / "again" / "run.json").write_text("{")
    with locked(folder / "half", "mtlkit train-mtl"):
        answer = typed("runs", folder)
    words = " ".join(answer.out.split())
    assert answer.code == 0
    assert "half train-mtl running" in words
    assert "again - damaged" in words
    assert "run.json: damaged" in words.replace("run.json : ", "run.json: ")


def test_the_start_is_the_recorded_one_of_runs_finished_or_not(typed: Typed, folder: Path) -> None:
    record = json.loads((folder / "mtl" / "run.json").read_text())
    log = folder / "half" / "state" / "metrics.jsonl"
    assert record["started"] == json.loads((folder / "mtl" / "metrics.jsonl").read_text().splitlines()[0])["started"]
    early = "2020-01-01T00:00:00+00:00"
    log.write_text(json.dumps({"type": "header", "command": "train-mtl", "started": early}) + '\n{"seconds": 60.5}\n')
    started = {Path(run["path"]).name: run["started"] for run in json.loads(typed("runs", folder, "--json").out)}
    assert (started["half"], started["mtl"]) == (early, record["started"])
    record["started"] = ""  # of a run of an earlier version, without a start in its log
    (folder / "mtl" / "run.json").write_text(json.dumps(record))
    (folder / "mtl" / "metrics.jsonl").write_text('{"type": "header", "command": "train-mtl"}\n{"seconds": 60.5}\n')
    run = next(run for run in json.loads(typed("runs", folder, "--json").out) if run["path"].endswith("/mtl"))
    assert datetime.fromisoformat(run["changed"]) - datetime.fromisoformat(run["started"]) == timedelta(seconds=60.5)
    assert names(typed("runs", folder, "--json"))[-1] == "half"


def test_an_unfinished_run_has_the_best_scores_so_far(typed: Typed, folder: Path) -> None:
    def line(score: float, best: bool) -> str:
        state = {"task": "kind", "kind": "classification", "validation": {"loss": 0.1, "accuracy": score}}
        return json.dumps({"type": "epoch", "step": 3, "epoch": 1, "score": score, "best": best, "tasks": [state]}) + "\n"

    log = folder / "half" / "state" / "metrics.jsonl"
    log.write_text(
        log.read_text() + line(0.5, best=True) + line(0.75, best=True) + line(0.25, best=False) + '{"best": true, "tasks"'
    )
    answer = typed("runs", folder)
    assert "half train-mtl interrupted" in " ".join(answer.out.split())
    assert "kind 75.0 accuracy" in " ".join(answer.out.split())
    assert "scores of runs that are not finished: the best so far" in answer.out
    run = next(run for run in json.loads(typed("runs", folder, "--json").out) if run["path"].endswith("half"))
    assert (run["score"], run["best_so_far"], run["scores"][0]["interval"]) == (0.75, True, None)


def test_runs_side_by_side_show_what_differs(typed: Typed, folder: Path) -> None:
    path = folder / "again" / "run.json"
    record = json.loads(path.read_text())
    record["options"]["learning_rate"] = 0.125
    path.write_text(json.dumps(record))
    answer = typed("runs", folder / "mtl", folder / "again", "--json")
    document = json.loads(answer.out)
    assert list(document["options"]) == ["--learning-rate"]
    assert document["options"]["--learning-rate"][1] == "0.125"
    assert set(document["same_rows"].values()) == {True}
    table = typed("runs", folder / "mtl", folder / "again")
    assert "0.125" in table.out
    assert f"next: mtlkit report {folder / 'mtl'} {folder / 'again'}" in table.err
    record["data"]["kind"]["validation"]["sha256"] = "other"
    path.write_text(json.dumps(record))
    assert "not comparable: kind" in " ".join(typed("runs", folder / "mtl", folder / "again").out.split())


def paired(typed: Typed, *arguments: object) -> dict[str, dict[str, Any]]:
    answer = typed("runs", *arguments, "--json")
    assert answer.code == 0, answer.err
    return {test["task"]: test for test in json.loads(answer.out)["tests"]}


def test_paired_tests_are_those_of_eval_for_every_kind(typed: Typed, every_kind: Path) -> None:
    first, second = every_kind / "one", every_kind / "two"
    found = paired(typed, first, second)
    assert found.pop("kind")["not_comparable"] == "one: its data is not recorded"  # a head of the starting model
    assert list(found) == list(KINDS)
    expected = json.loads(typed("eval", first, "--against", second, "--json").out)["against"]["tasks"]
    for task, test in found.items():
        assert {name: test[name] for name in expected[task]} == expected[task]
        main = test["metrics"][test["metric"]]
        assert test["test"] == ("McNemar" if test["metric"] == "accuracy" else "bootstrap")
        assert 0 < test["p"] <= 1
        low, high = main["difference_interval"]
        if test["test"] == "bootstrap" and not low == 0 == high:
            assert (test["p"] < 0.05) == (not low <= 0 <= high)
    answer = typed("runs", first, second, first, width=80)
    assert answer.widest <= 80
    assert "using the cached predictions of" in answer.err
    assert answer.out.count("two") > len(KINDS)


def test_runs_that_cannot_be_compared_say_why(typed: Typed, every_kind: Path, folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(every_kind / "two", tmp_path / "other")
    record = json.loads((other / "run.json").read_text())
    fewer = shutil.copytree(every_kind / "data", tmp_path / "fewer")
    lines = (fewer / "pair" / "test.jsonl").read_text().splitlines(keepends=True)
    (fewer / "pair" / "test.jsonl").write_text("".join(lines[1:]))
    for task, about in record["data"].items():
        about["source"] = about["source"].replace(str(every_kind / "data"), str(fewer if task != "tokens" else tmp_path / "gone"))
    (other / "run.json").write_text(json.dumps(record))
    found = paired(typed, every_kind / "one", other)
    assert "the rows are not the same (24 in" in found["pair"]["not_comparable"]
    assert "gone" in found["tokens"]["not_comparable"]
    assert "metrics" in found["regression"]
    shown = " ".join(typed("runs", every_kind / "one", other).out.split())
    assert "pair: other is not comparable because the rows are not the same" in shown
    assert paired(typed, folder / "mtl", folder / "half") == {}
    assert f"{folder / 'half'} is not finished, so nothing to test" in typed("runs", folder / "mtl", folder / "half").err
    assert "no task in common, so nothing to test" in typed("runs", folder / "mtl", folder / "sentence").err
    assert "nothing to test" not in typed("runs", folder / "mtl", folder / "sentence", "--split", "none").err
    assert paired(typed, folder / "mtl", folder / "again", "--split", "none") == {}


def test_no_run_and_no_folder(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = typed("runs", tmp_path / "empty")
    assert (answer.code, answer.out) == (0, "")
    assert "no run in" in answer.err
    assert typed("runs", tmp_path / "none").code == 2
    assert "is not a run" in typed("runs", tmp_path / "none", tmp_path / "empty").err


def test_a_deletion_is_not_made_unasked(typed: Typed, folder: Path) -> None:
    answer = typed("runs", "--delete", folder / "again")
    assert answer.code == 2
    assert "would delete 1 run" in answer.err
    assert "nothing was deleted: confirm with --yes, as there is no terminal to ask on" in answer.err
    assert (folder / "again" / "run.json").is_file()
    answer = typed("runs", "--delete", folder / "again", "--yes")
    assert (answer.code, answer.out.startswith("deleted 1 run")) == (0, True)
    assert not (folder / "again").exists()
    assert (folder / "mtl").is_dir()


def test_exports_that_go_with_a_run_are_named(typed: Typed, folder: Path) -> None:
    assert typed("export", folder / "again", "--format", "compact").code == 0
    for more in ((), ("--yes",)):
        assert (
            f"deleted with the run they are in: {folder / 'again' / 'compact'}"
            in typed("runs", "--delete", folder / "again", *more).err
        )
    assert not (folder / "again").exists()


def test_what_another_run_descends_from_is_not_deleted(typed: Typed, folder: Path) -> None:
    parent = moved(folder)
    answer = typed("runs", "--delete", parent, "--yes")
    assert answer.code == 2
    assert "descends from it, so nothing was deleted" in answer.err
    assert (parent / "run.json").is_file()


def test_keep_keeps_the_newest_and_their_ancestors(typed: Typed, folder: Path) -> None:
    os.utime(folder / "half" / "state" / "metrics.jsonl", (1, 1))
    parent = moved(folder)
    before = names(typed("runs", folder, "--json"))
    answer = typed("runs", folder, "--keep", 1, "--yes", "--json")
    assert answer.code == 0, answer.err
    left = names(typed("runs", folder, "--json"))
    assert left[0] == before[0]
    assert "half" not in left
    document = json.loads(answer.out)
    assert parent.name in left
    assert {Path(path).name for path in document["kept"]} == set(left[1:])
    assert {Path(path).name for path in document["deleted"]} == set(before) - set(left)


def test_files_of_others_and_running_trainings_are_not_deleted(typed: Typed, folder: Path) -> None:
    (folder / "again" / "thesis.txt").write_text("mine")
    answer = typed("runs", "--delete", folder / "again", "--yes")
    assert answer.code == 2
    assert "holds 1 file that mtlkit did not write (thesis.txt), so nothing was deleted; move it, or" in answer.err
    with locked(folder / "half", "mtlkit train-mtl"):
        assert "is being trained" in typed("runs", "--delete", folder / "half", "--yes").err
    link = folder / "link"
    link.symlink_to(folder / "half", target_is_directory=True)
    assert "not a run" in typed("runs", "--delete", link, "--yes").err
    assert (folder / "again" / "thesis.txt").read_text() == "mine"
    assert (folder / "half" / "state").is_dir()


@pytest.mark.parametrize("arguments", [["--delete", "a", "--keep", 1], ["a", "b", "--keep", 1], ["--keep", -1]])
def test_contradictions(typed: Typed, arguments: list[object]) -> None:
    assert typed("runs", *arguments).code == 2
