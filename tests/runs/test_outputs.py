"""Checks of output paths."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rights import as_any_user
from scenes import make_run, record, save

from mtlkit.errors import UsageError
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.outputs import check_output_file, check_output_folder, kept_line
from mtlkit.runs.overlap import Input
from mtlkit.runs.record import has_checkpoint, newest_run, verify
from mtlkit.runs.staging import finish, remove_staged, staged


def write(path: Path) -> None:
    """Writes a user's file and its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def test_missing_or_empty_folder_is_accepted_and_stays_empty(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "new" / "run", [], overwrite=False)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "empty").mkdir()
    check_output_folder(tmp_path / "empty", [], overwrite=False)
    assert list((tmp_path / "empty").iterdir()) == []


def test_non_empty_run_folder_needs_overwrite(tmp_path: Path) -> None:  # fault 14
    out = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"run is not empty; .*--overwrite.*--out") as caught:
        check_output_folder(out, [], overwrite=False)
    assert caught.value.exit_code == 2
    check_output_folder(out, [], overwrite=True)
    verify(out)  # the check changes nothing


def test_folder_with_other_files_is_refused_even_with_overwrite(tmp_path: Path) -> None:  # fault 14
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"contains thesis.tex, not part of a run, .*--overwrite .*--out"):
        check_output_folder(tmp_path, [], overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("name", [".keep", "photos/a.jpg", "state"])
def test_folder_with_a_hidden_file_or_a_folder_is_not_empty(name: str, tmp_path: Path) -> None:  # fault 14
    write(tmp_path / name)
    with pytest.raises(UsageError, match="not empty"):
        check_output_folder(tmp_path, [], overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
def test_file_in_place_of_the_folder_is_refused(tmp_path: Path, overwrite: bool) -> None:  # fault 15
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match=r"--out .*run is a file") as caught:
        check_output_folder(tmp_path / "run", [], overwrite=overwrite)
    assert caught.value.exit_code == 2
    assert (tmp_path / "run").read_text() == "mine"


def test_broken_link_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="broken link"):
        check_output_folder(tmp_path / "run", [], overwrite=True)


def test_file_in_place_of_a_parent_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UsageError, match=r"cannot write --out .*runs.mtl: "):
        check_output_folder(tmp_path / "runs" / "mtl", [], overwrite=False)


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
def test_folder_without_write_permission_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").mkdir(mode=0o555)
    with as_any_user(), pytest.raises(UsageError, match=r"cannot write .*: Permission denied"):
        check_output_folder(tmp_path / "runs" / "mtl", [], overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("out", [".", "..", "inner/..", "/", "../here"])
def test_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, overwrite: bool) -> None:
    place = tmp_path / "outer" / "here"
    (place / "inner").mkdir(parents=True)
    monkeypatch.chdir(place)
    with pytest.raises(UsageError, match=r"not empty|current folder"):
        check_output_folder(Path(out), [], overwrite=overwrite)


def test_remains_of_a_killed_training_count_as_empty(tmp_path: Path) -> None:
    state = tmp_path / "run" / "state"
    (state / ".step-00000010.abc").mkdir(parents=True)
    for name in ("lock", "writer.json", "metrics.jsonl"):
        (state / name).touch()
    check_output_folder(tmp_path / "run", [], overwrite=False)
    assert len(list(state.iterdir())) == 4
    (state / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"):
        check_output_folder(tmp_path / "run", [], overwrite=False)
    with pytest.raises(UsageError, match=r"contains state/thesis.tex, not part of a run"):
        check_output_folder(tmp_path / "run", [], overwrite=True)


@pytest.mark.parametrize("name", ["step-00000010", "step-00000010.damaged"])
def test_checkpoints_are_refused_with_all_choices(name: str, tmp_path: Path) -> None:  # fault 14
    out = tmp_path / "run"
    (out / "state" / name).mkdir(parents=True)
    assert has_checkpoint(out) == (name == "step-00000010")
    with pytest.raises(UsageError, match=r"not empty; .*--resume.*--overwrite.*--out"):
        check_output_folder(out, [], overwrite=False)
    check_output_folder(out, [], overwrite=True)
    with pytest.raises(UsageError, match="is not an export"):
        check_output_folder(out, [], overwrite=True, what="export", marks=("export.json",))
    (out / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"contains thesis.tex, not part of a run"):
        check_output_folder(out, [], overwrite=True)


def test_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    place = tmp_path / "large disk" / "mtl"
    place.mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    out = tmp_path / "runs" / "mtl"
    out.symlink_to(place)
    for content in ("old", "new"):
        check_output_folder(out, [], overwrite=True)
        make_run(out, content)
        assert (place / "model.safetensors").read_text() == content
    assert out.is_symlink()
    assert [len(list(folder.iterdir())) for folder in (out.parent, place.parent)] == [1, 1]


@pytest.mark.parametrize("find", ["check_output_folder", "newest_run", "has_checkpoint", "lock"])
def test_run_left_aside_by_a_kill_is_restored(find: str, tmp_path: Path) -> None:  # fault 2
    out = make_run(tmp_path / "run[1]", "old")
    (tmp_path / ".run[1].old.abc").mkdir()
    out.rename(tmp_path / ".run[1].old.abc" / "run[1]")
    if find == "check_output_folder":
        check_output_folder(out, [], overwrite=True)
    elif find == "newest_run":
        assert newest_run(tmp_path, ["mtl"]) == out
    elif find == "has_checkpoint":
        assert not has_checkpoint(out)
    else:
        with CheckpointManager(out).lock("mtlkit train-mtl"):
            pass
    verify(out)
    assert list(tmp_path.iterdir()) == [out]


def test_only_staged_folders_of_killed_processes_are_removed(tmp_path: Path) -> None:
    kept = [
        tmp_path / name
        for name in ("run", ".run.notes", ".run.abcdefgh", ".run.old.abcdefgh", ".runs.abcdefgh", ".other.abcdefgh")
    ]
    for path in [*kept, tmp_path / ".run.staged.ab_d3fgh"]:
        path.mkdir()
        (path / "metrics.jsonl").touch()
    (tmp_path / ".run.staged.abcdefgi").touch()  # a file, not a staged folder
    remove_staged(tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / ".run.staged.abcdefgi"])


def test_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "gone.npy").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.npy")
    for name, message in (
        ("folder.npy", "is a folder"),
        ("pipe.npy", "not a regular file"),
        ("gone.npy", "broken link"),
        ("no/v.npy", "cannot write"),
        ("file/v.npy", "cannot write"),
    ):
        for overwrite in (True, False):
            with pytest.raises(UsageError, match=message):
                check_output_file(tmp_path / name, [], overwrite=overwrite)
    check_output_file(tmp_path / "v.npy", [], overwrite=False)
    assert not (tmp_path / "v.npy").exists()


def test_existing_file_needs_overwrite(tmp_path: Path) -> None:  # fault 40
    (tmp_path / "v.npy").touch()
    with pytest.raises(UsageError, match=r"exists; .*--overwrite"):
        check_output_file(tmp_path / "v.npy", [], overwrite=False)
    check_output_file(tmp_path / "v.npy", [], overwrite=True)


def links(path: Path, folder: Path) -> list[Path]:
    """Other paths to a file."""
    folder.mkdir()
    (folder / "link.npy").symlink_to(path)
    os.link(path, folder / "hard.npy")
    (folder / "parent").symlink_to(path.parent)
    return [path, folder / "link.npy", folder / "hard.npy", folder / "parent" / path.name, folder / ".." / path.name]


def test_output_must_not_be_an_input_by_any_path(tmp_path: Path) -> None:  # fault 40
    (tmp_path / "d.npy").write_text("mine")
    for out in links(tmp_path / "d.npy", tmp_path / "links"):
        for path in (tmp_path / "d.npy", out):
            with pytest.raises(UsageError, match=r"--output .*npy is the same as --input .*npy"):
                check_output_file(out, [Input(path, "--input")], overwrite=True)


def test_output_must_not_be_inside_an_input_or_model(tmp_path: Path) -> None:  # fault 40
    (tmp_path / "data").mkdir()
    (tmp_path / "way").symlink_to("data")
    run, unfinished, foreign_model = make_run(tmp_path / "run"), tmp_path / "unfinished", tmp_path / "hf"
    save(unfinished, 10)
    foreign_model.mkdir()
    (foreign_model / "config.json").write_text("{}")
    (foreign_model / "pytorch_model.bin").touch()
    inputs = [Input(tmp_path / "data", "--task")]
    for out in (tmp_path / "data" / "v.npy", tmp_path / "way" / "v.npy"):
        with pytest.raises(UsageError, match=r"is inside --task .*data"):
            check_output_file(out, inputs, overwrite=True)
        with pytest.raises(UsageError, match=r"is inside --task .*data"):
            check_output_folder(out.with_name("run"), inputs, overwrite=True)
    for folder in (run, unfinished, foreign_model):
        (folder / "below").mkdir()
        for place in (folder / "v", folder / "below" / "v"):
            with pytest.raises(UsageError, match="is a run or model"):
                check_output_file(place, [], overwrite=True)
            with pytest.raises(UsageError, match="is a run or model"):
                check_output_folder(place, [], overwrite=True)
    check_output_folder(run / "onnx", [Input(run, "the model")], overwrite=False, option="DIR", what="export", inside=run)
    with pytest.raises(UsageError, match="is inside the model"):
        check_output_folder(run / "below" / "onnx", [Input(run, "the model")], overwrite=False, what="export", inside=run)


def test_inputs_elsewhere_are_allowed(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.csv")
    inputs = [Input(tmp_path / "data", "--task"), Input(tmp_path / "data" / "a.csv", "--task")]
    check_output_folder(tmp_path / "run", inputs, overwrite=False)
    check_output_file(tmp_path / "v.npy", inputs, overwrite=False)


def test_export_inside_its_model_must_not_contain_another_input(tmp_path: Path) -> None:  # fault 40
    run = make_run(tmp_path / "run")
    data = run / "onnx" / "data.csv"
    write(data)
    inputs = [Input(run, "the model"), Input(data, "--calibration")]
    with pytest.raises(UsageError, match=r"onnx contains --calibration .*data\.csv"):
        check_output_folder(run / "onnx", inputs, overwrite=True, what="export", inside=run)


def test_run_must_not_replace_a_folder_with_an_input(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    (tmp_path / "link").symlink_to("run")
    for path, relation in (
        (out, "is the same as"),
        (tmp_path / "link", "is the same as"),
        (out / "model.safetensors", "contains"),
    ):
        for place in (out, tmp_path / "link"):
            with pytest.raises(UsageError, match=rf"--out .* {relation} --init .*--out"):
                check_output_folder(place, [Input(path, "--init")], overwrite=True)
    check_output_folder(out, [Input(tmp_path / "gone", "--init")], overwrite=True)


def test_unreadable_record_does_not_make_a_run(tmp_path: Path) -> None:  # fault 40
    run = make_run(tmp_path / "run")
    names = "config.json, model.safetensors, run.json"
    for text in ("{}", "[]", "", "not JSON", '{"format": 99}'):
        (run / "run.json").write_text(text)
        with pytest.raises(UsageError, match=f"contains {names}, not part of a run"):
            check_output_folder(run, [], overwrite=True)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", ".hidden", "data/a.csv", "data/deep/a.csv", "empty", "best/a.csv", "state/notes.txt", "state/step-00000010/a"],
)
def test_run_with_other_files_is_refused(name: str, tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run", before_the_end=lambda folder: write(folder / "best" / "topic" / "model.safetensors"))
    with CheckpointManager(out).lock("mtlkit train-mtl"):
        CheckpointManager(out).save(10, {}, {})
    check_output_folder(out, [], overwrite=True)
    if name == "empty":
        (out / name).mkdir()
    else:
        write(out / name)
    with pytest.raises(UsageError, match=f"contains {name}, not part of a run"):
        check_output_folder(out, [], overwrite=True)
    assert (out / name).exists()
    verify(out)
    check_output_folder(out, [], overwrite=False, resume=True)  # it is kept


@pytest.mark.parametrize("name", ["mine/manifest.json", "step-00000020"])
def test_other_files_among_the_checkpoints_are_foreign(name: str, tmp_path: Path) -> None:  # fault 40
    """A folder of the user, and a file with the name of a checkpoint."""
    out = make_run(tmp_path / "run")
    with CheckpointManager(out).lock("mtlkit train-mtl"):
        CheckpointManager(out).save(10, {}, {})
    write(out / "state" / name)
    with pytest.raises(UsageError, match=f"contains state/{Path(name).parts[0]}, not part of a run"):
        check_output_folder(out, [], overwrite=True)


def test_output_must_not_be_inside_an_export(tmp_path: Path) -> None:  # fault 40
    """Its record identifies it, whatever files the format has."""
    with staged(tmp_path / "export") as folder:
        (folder / "weights.onnx").touch()
        finish(folder, tmp_path / "export", replace(record(), command="mtlkit export run"), "export.json")
    with pytest.raises(UsageError, match=r"is inside .*export, .*a run or model"):
        check_output_file(tmp_path / "export" / "v.npy", [], overwrite=False)


def test_links_in_a_run_are_foreign_and_not_followed(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "a.csv")
    (out / "link").symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match="contains link, not part of a run"):
        check_output_folder(out, [], overwrite=True)


def test_a_run_with_exports_may_be_replaced_but_not_foreign_files_in_them(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    assert kept_line(out) == kept_line(tmp_path / "none") == ""
    exported = replace(record(), command="mtlkit export run")
    for name, kind in (("sentence-transformers", "export.json"), ("onnx", "run.json")):
        with staged(out / name) as folder:
            write(folder / "1_Pooling" / "config.json")
            finish(folder, out / name, exported, kind)
    check_output_folder(out, [], overwrite=True)
    assert kept_line(out).startswith(f"{out} keeps onnx, sentence-transformers, exported before")
    write(out / "onnx" / "notes.txt")
    with pytest.raises(UsageError, match=r"contains onnx/notes.txt, not part of a run"):
        check_output_folder(out, [], overwrite=True)
    (out / "onnx" / "notes.txt").unlink()
    make_run(out / "base")  # not an export
    with pytest.raises(UsageError, match=r"contains base/config.json, base/model.safetensors, base/run.json, not part of a run"):
        check_output_folder(out, [], overwrite=True)


def test_a_run_is_not_replaced_by_an_export_nor_an_export_by_a_run(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match="is not an export of this format"):
        check_output_folder(out, [], overwrite=True, option="DIR", what="export of this format", marks=("run.json",))
    with staged(tmp_path / "export") as folder:
        finish(folder, tmp_path / "export", replace(record(), command="mtlkit export run"))
    check_output_folder(tmp_path / "export", [], overwrite=True, option="DIR", what="export", marks=("run.json",))
    with pytest.raises(UsageError, match="is not a run"):
        check_output_folder(tmp_path / "export", [], overwrite=True)


def test_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    for overwrite in (True, False):
        with pytest.raises(UsageError, match=r"disk is .*a mount point"):
            check_output_folder(tmp_path / "disk", [], overwrite=overwrite)
    check_output_folder(tmp_path / "disk" / "run", [], overwrite=False)


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_run_with_an_edited_file_is_not_replaced(tmp_path: Path, name: str) -> None:  # fault 40
    out = make_run(tmp_path / "run", before_the_end=lambda folder: write(folder / name))
    check_output_folder(out, [], overwrite=True)
    (out / name).write_text("notes of a user")
    with pytest.raises(UsageError, match=rf"{name} was changed .*--overwrite"):
        check_output_folder(out, [], overwrite=True)
    assert (out / name).read_text() == "notes of a user"
