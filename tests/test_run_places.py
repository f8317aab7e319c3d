"""Where a run may be written is settled before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scenes import make_run

from mtlkit.errors import UsageError
from mtlkit.runs import check_place, holds_state, newest, sweep, verify
from mtlkit.states import StateFolder


def test_a_place_that_is_free_or_empty_is_taken_and_nothing_is_left_there(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "run", overwrite=False)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", overwrite=False)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_run_folder_that_is_not_empty_is_refused_with_both_ways_on(tmp_path: Path) -> None:  # fault 14
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"run is not empty; .*--overwrite.*another folder with --out") as caught:
        check_place(out, overwrite=False)
    assert caught.value.exit_code == 2
    check_place(out, overwrite=True)
    assert (out / "run.json").read_text() == "{}"  # asking alone changes nothing


def test_a_folder_of_other_things_is_refused_even_with_overwrite(tmp_path: Path) -> None:  # fault 14
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="holds no run, so --overwrite does not touch it; name another folder with --out"):
        check_place(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_folder_that_holds_only_a_hidden_file_is_not_empty(tmp_path: Path) -> None:  # fault 14
    (tmp_path / ".keep").touch()
    with pytest.raises(UsageError, match="not empty"):
        check_place(tmp_path, overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_where_the_folder_goes_is_refused(tmp_path: Path, overwrite: bool) -> None:  # fault 15
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match=r"--out .*run is a file; name a folder") as caught:
        check_place(tmp_path / "run", overwrite)
    assert caught.value.exit_code == 2
    assert (tmp_path / "run").read_text() == "mine"


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="name a folder"):
        check_place(tmp_path / "run", overwrite=True)


def test_a_file_on_the_way_to_the_folder_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UsageError, match=r"--out .*runs.mtl cannot be written: .*; name another folder with --out"):
        check_place(tmp_path / "runs" / "mtl", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").mkdir(mode=0o555)
    with pytest.raises(UsageError, match="cannot be written: Permission denied"):
        check_place(tmp_path / "runs" / "mtl", overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("out", [".", "..", "inner/..", "/", "../here"])
def test_the_folder_one_stands_in_cannot_become_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, overwrite: bool
) -> None:
    place = tmp_path / "outer" / "here"
    (place / "inner").mkdir(parents=True)
    monkeypatch.chdir(place)
    with pytest.raises(
        UsageError, match=r"not empty|is the current folder, one above it or a mount point; name a folder inside it"
    ):
        check_place(Path(out), overwrite)


def test_what_a_training_left_that_saved_nothing_counts_as_empty(tmp_path: Path) -> None:
    state = tmp_path / "run" / "state"
    (state / ".step-00000010.abc").mkdir(parents=True)
    for name in ("lock", "writer.json", "metrics.jsonl"):
        (state / name).touch()
    check_place(tmp_path / "run", overwrite=False)
    assert len(list(state.iterdir())) == 4
    (state / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"):
        check_place(tmp_path / "run", overwrite=False)
    with pytest.raises(UsageError, match="holds no run, so --overwrite does not touch it"):
        check_place(tmp_path / "run", overwrite=True)


@pytest.mark.parametrize("name", ["step-00000010", "step-00000010.damaged"])
def test_saved_states_are_refused_with_all_ways_on(name: str, tmp_path: Path) -> None:  # fault 14
    out = tmp_path / "run"
    (out / "state" / name).mkdir(parents=True)
    assert holds_state(out) == (name == "step-00000010")
    ways = r"not empty; go on with --resume, replace it with --overwrite, or name another folder with --out"
    with pytest.raises(UsageError, match=ways):
        check_place(out, overwrite=False)
    check_place(out, overwrite=True)
    with pytest.raises(UsageError, match="holds no export, so --overwrite does not touch it"):
        check_place(out, overwrite=True, what="export", marks=("export.json",))
    (out / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds no run, so --overwrite does not touch it"):
        check_place(out, overwrite=True)


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    place = tmp_path / "large disk" / "mtl"
    place.mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    out = tmp_path / "runs" / "mtl"
    out.symlink_to(place)
    for content in ("old", "new"):
        check_place(out, overwrite=True)
        make_run(out, content)
        assert (place / "model.safetensors").read_text() == content
    assert out.is_symlink()
    assert [len(list(folder.iterdir())) for folder in (out.parent, place.parent)] == [1, 1]


@pytest.mark.parametrize("find", ["check_place", "newest", "holds_state", "lock"])
def test_a_run_that_a_kill_left_aside_is_found_by_the_next_command(find: str, tmp_path: Path) -> None:  # fault 2
    out = make_run(tmp_path / "run[1]", "old")
    (tmp_path / ".run[1].old.abc").mkdir()
    out.rename(tmp_path / ".run[1].old.abc" / "run[1]")
    if find == "check_place":
        check_place(out, overwrite=True)
    elif find == "newest":
        assert newest(tmp_path, ["mtl"]) == out
    elif find == "holds_state":
        assert not holds_state(out)
    else:
        with StateFolder(out).lock("mtlkit train-mtl"):
            pass
    verify(out)
    assert list(tmp_path.iterdir()) == [out]


def test_what_killed_processes_had_staged_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [
        tmp_path / name
        for name in ("run", ".run.notes", ".run.abcdefgh", ".run.old.abcdefgh", ".runs.abcdefgh", ".other.abcdefgh")
    ]
    for path in [*kept, tmp_path / ".run.staged.ab_d3fgh"]:
        path.mkdir()
        (path / "metrics.jsonl").touch()
    (tmp_path / ".run.staged.abcdefgi").touch()  # a file is nobody's folder
    sweep(tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / ".run.staged.abcdefgi"])
