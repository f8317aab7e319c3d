"""What a command may write, and where, is settled before any work."""

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
from mtlkit.runs.outputs import Input, check_file, check_folder
from mtlkit.runs.record import holds_state, newest, verify
from mtlkit.runs.staging import finish, staged, sweep


def write(path: Path) -> None:
    """A file of the user, and the folders on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def test_a_place_that_is_free_or_empty_is_taken_and_nothing_is_left_there(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "run", [], overwrite=False)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty", [], overwrite=False)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_run_folder_that_is_not_empty_is_refused_with_both_ways_on(tmp_path: Path) -> None:  # fault 14
    out = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"run is not empty; .*--overwrite.*another folder with --out") as caught:
        check_folder(out, [], overwrite=False)
    assert caught.value.exit_code == 2
    check_folder(out, [], overwrite=True)
    verify(out)  # asking alone changes nothing


def test_a_folder_of_other_things_is_refused_even_with_overwrite(tmp_path: Path) -> None:  # fault 14
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(
        UsageError, match=r"holds thesis.tex, not part of a run, so --overwrite does not touch it; name another folder with --out"
    ):
        check_folder(tmp_path, [], overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("name", [".keep", "photos/a.jpg", "state"])
def test_a_folder_that_holds_one_hidden_file_or_one_folder_is_not_empty(name: str, tmp_path: Path) -> None:  # fault 14
    write(tmp_path / name)
    with pytest.raises(UsageError, match="not empty"):
        check_folder(tmp_path, [], overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_where_the_folder_goes_is_refused(tmp_path: Path, overwrite: bool) -> None:  # fault 15
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match=r"--out .*run is a file; name a folder") as caught:
        check_folder(tmp_path / "run", [], overwrite=overwrite)
    assert caught.value.exit_code == 2
    assert (tmp_path / "run").read_text() == "mine"


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="is a link to nothing"):
        check_folder(tmp_path / "run", [], overwrite=True)


def test_a_file_on_the_way_to_the_folder_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UsageError, match=r"--out .*runs.mtl cannot be written: .*; name another folder with --out"):
        check_folder(tmp_path / "runs" / "mtl", [], overwrite=False)


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:  # fault 15
    (tmp_path / "runs").mkdir(mode=0o555)
    with as_any_user(), pytest.raises(UsageError, match="cannot be written: Permission denied"):
        check_folder(tmp_path / "runs" / "mtl", [], overwrite=False)


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
        check_folder(Path(out), [], overwrite=overwrite)


def test_what_a_training_left_that_saved_nothing_counts_as_empty(tmp_path: Path) -> None:
    state = tmp_path / "run" / "state"
    (state / ".step-00000010.abc").mkdir(parents=True)
    for name in ("lock", "writer.json", "metrics.jsonl"):
        (state / name).touch()
    check_folder(tmp_path / "run", [], overwrite=False)
    assert len(list(state.iterdir())) == 4
    (state / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"):
        check_folder(tmp_path / "run", [], overwrite=False)
    with pytest.raises(UsageError, match=r"holds state/thesis.tex, not part of a run"):
        check_folder(tmp_path / "run", [], overwrite=True)


@pytest.mark.parametrize("name", ["step-00000010", "step-00000010.damaged"])
def test_saved_states_are_refused_with_all_ways_on(name: str, tmp_path: Path) -> None:  # fault 14
    out = tmp_path / "run"
    (out / "state" / name).mkdir(parents=True)
    assert holds_state(out) == (name == "step-00000010")
    ways = r"not empty; continue it with --resume, replace it with --overwrite, or name another folder with --out"
    with pytest.raises(UsageError, match=ways):
        check_folder(out, [], overwrite=False)
    check_folder(out, [], overwrite=True)
    with pytest.raises(UsageError, match="holds no export, so --overwrite does not touch it"):
        check_folder(out, [], overwrite=True, what="export", marks=("export.json",))
    (out / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"holds thesis.tex, not part of a run"):
        check_folder(out, [], overwrite=True)


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    place = tmp_path / "large disk" / "mtl"
    place.mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    out = tmp_path / "runs" / "mtl"
    out.symlink_to(place)
    for content in ("old", "new"):
        check_folder(out, [], overwrite=True)
        make_run(out, content)
        assert (place / "model.safetensors").read_text() == content
    assert out.is_symlink()
    assert [len(list(folder.iterdir())) for folder in (out.parent, place.parent)] == [1, 1]


@pytest.mark.parametrize("find", ["check_folder", "newest", "holds_state", "lock"])
def test_a_run_that_a_kill_left_aside_is_found_by_the_next_command(find: str, tmp_path: Path) -> None:  # fault 2
    out = make_run(tmp_path / "run[1]", "old")
    (tmp_path / ".run[1].old.abc").mkdir()
    out.rename(tmp_path / ".run[1].old.abc" / "run[1]")
    if find == "check_folder":
        check_folder(out, [], overwrite=True)
    elif find == "newest":
        assert newest(tmp_path, ["mtl"]) == out
    elif find == "holds_state":
        assert not holds_state(out)
    else:
        with CheckpointManager(out).lock("mtlkit train-mtl"):
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


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "gone.npy").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.npy")
    for name, said in (
        ("folder.npy", "is a folder; name a file"),
        ("pipe.npy", "is no regular file"),
        ("gone.npy", "is a link to nothing"),
        ("no/v.npy", "cannot be written; name a file in a folder that exists"),
        ("file/v.npy", "cannot be written"),
    ):
        for overwrite in (True, False):
            with pytest.raises(UsageError, match=said):
                check_file(tmp_path / name, [], overwrite=overwrite)
    check_file(tmp_path / "v.npy", [], overwrite=False)
    assert not (tmp_path / "v.npy").exists()


def test_a_file_that_exists_needs_overwrite(tmp_path: Path) -> None:  # fault 40
    (tmp_path / "v.npy").touch()
    with pytest.raises(UsageError, match="exists; replace it with --overwrite, or name another file"):
        check_file(tmp_path / "v.npy", [], overwrite=False)
    check_file(tmp_path / "v.npy", [], overwrite=True)


def links(path: Path, folder: Path) -> list[Path]:
    """A file by other names."""
    folder.mkdir()
    (folder / "link.npy").symlink_to(path)
    os.link(path, folder / "hard.npy")
    (folder / "parent").symlink_to(path.parent)
    return [path, folder / "link.npy", folder / "hard.npy", folder / "parent" / path.name, folder / ".." / path.name]


def test_an_output_is_no_input_by_any_name(tmp_path: Path) -> None:  # fault 40
    (tmp_path / "d.npy").write_text("mine")
    for out in links(tmp_path / "d.npy", tmp_path / "links"):
        for path in (tmp_path / "d.npy", out):
            with pytest.raises(UsageError, match=r"--output .*npy is --input .*npy; name another place"):
                check_file(out, [Input(path, "--input")], overwrite=True)


def test_no_output_is_inside_a_folder_that_is_read_or_holds_a_model(tmp_path: Path) -> None:  # fault 40
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
            check_file(out, inputs, overwrite=True)
        with pytest.raises(UsageError, match=r"is inside --task .*data"):
            check_folder(out.with_name("run"), inputs, overwrite=True)
    for folder in (run, unfinished, foreign_model):
        (folder / "below").mkdir()
        for place in (folder / "v", folder / "below" / "v"):
            with pytest.raises(UsageError, match="the folder of a run or model; name a place outside it"):
                check_file(place, [], overwrite=True)
            with pytest.raises(UsageError, match="the folder of a run or model"):
                check_folder(place, [], overwrite=True)
    check_folder(run / "onnx", [Input(run, "the model")], overwrite=False, option="DIR", what="export", inside=run)
    with pytest.raises(UsageError, match="is inside the model"):
        check_folder(run / "below" / "onnx", [Input(run, "the model")], overwrite=False, what="export", inside=run)


def test_inputs_in_other_places_are_no_obstacle(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.csv")
    inputs = [Input(tmp_path / "data", "--task"), Input(tmp_path / "data" / "a.csv", "--task")]
    check_folder(tmp_path / "run", inputs, overwrite=False)
    check_file(tmp_path / "v.npy", inputs, overwrite=False)


def test_an_export_inside_its_model_holds_no_other_input(tmp_path: Path) -> None:  # fault 40
    run = make_run(tmp_path / "run")
    data = run / "onnx" / "data.csv"
    write(data)
    inputs = [Input(run, "the model"), Input(data, "--calibration")]
    with pytest.raises(UsageError, match=r"onnx contains --calibration .*data\.csv"):
        check_folder(run / "onnx", inputs, overwrite=True, what="export", inside=run)


def test_a_run_replaces_nothing_that_holds_an_input(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    (tmp_path / "link").symlink_to("run")
    for path, relation in ((out, "is"), (tmp_path / "link", "is"), (out / "model.safetensors", "contains")):
        for place in (out, tmp_path / "link"):
            with pytest.raises(UsageError, match=rf"--out .* {relation} --init .*; name another place with --out"):
                check_folder(place, [Input(path, "--init")], overwrite=True)
    check_folder(out, [Input(tmp_path / "gone", "--init")], overwrite=True)


def test_a_file_that_reads_like_no_record_makes_no_run(tmp_path: Path) -> None:  # fault 40
    run = make_run(tmp_path / "run")
    names = "config.json, model.safetensors, run.json"
    for text in ("{}", "[]", "", "not JSON", '{"format": 99}'):
        (run / "run.json").write_text(text)
        with pytest.raises(UsageError, match=f"holds {names}, not part of a run"):
            check_folder(run, [], overwrite=True)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", ".hidden", "data/a.csv", "data/deep/a.csv", "empty", "best/a.csv", "state/notes.txt", "state/step-00000010/a"],
)
def test_anything_else_in_a_run_is_a_reason_to_refuse(name: str, tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run", before_the_end=lambda folder: write(folder / "best" / "topic" / "model.safetensors"))
    with CheckpointManager(out).lock("mtlkit train-mtl"):
        CheckpointManager(out).save(10, {}, {})
    check_folder(out, [], overwrite=True)
    if name == "empty":
        (out / name).mkdir()
    else:
        write(out / name)
    with pytest.raises(UsageError, match=f"holds {name}, not part of a run"):
        check_folder(out, [], overwrite=True)
    assert (out / name).exists()
    verify(out)
    check_folder(out, [], overwrite=False, resume=True)  # it is kept


@pytest.mark.parametrize("name", ["mine/manifest.json", "step-00000020"])
def test_only_checkpoints_among_the_checkpoints_are_ours(name: str, tmp_path: Path) -> None:  # fault 40
    """A folder of the user beside them, a file by the name of one."""
    out = make_run(tmp_path / "run")
    with CheckpointManager(out).lock("mtlkit train-mtl"):
        CheckpointManager(out).save(10, {}, {})
    write(out / "state" / name)
    with pytest.raises(UsageError, match=f"holds state/{Path(name).parts[0]}, not part of a run"):
        check_folder(out, [], overwrite=True)


def test_nothing_is_written_into_an_export(tmp_path: Path) -> None:  # fault 40
    """Its record alone tells what it is, whatever files a format has."""
    with staged(tmp_path / "export") as folder:
        (folder / "weights.onnx").touch()
        finish(folder, tmp_path / "export", replace(record(), command="mtlkit export run"), "export.json")
    with pytest.raises(UsageError, match=r"is inside .*export, the folder of a run or model"):
        check_file(tmp_path / "export" / "v.npy", [], overwrite=False)


def test_links_in_a_run_are_not_ours_and_not_followed(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "a.csv")
    (out / "link").symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match="holds link, not part of a run"):
        check_folder(out, [], overwrite=True)


def test_exports_in_a_run_are_ours_and_what_lies_in_them_is_not(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    exported = replace(record(), command="mtlkit export run")
    for name, kind in (("sentence-transformers", "export.json"), ("onnx", "run.json")):
        with staged(out / name) as folder:
            write(folder / "1_Pooling" / "config.json")
            finish(folder, out / name, exported, kind)
    check_folder(out, [], overwrite=True)
    write(out / "onnx" / "notes.txt")
    with pytest.raises(UsageError, match=r"holds onnx/notes.txt, not part of a run"):
        check_folder(out, [], overwrite=True)
    (out / "onnx" / "notes.txt").unlink()
    make_run(out / "base")  # no export of the run
    with pytest.raises(UsageError, match=r"holds base/config.json, base/model.safetensors, base/run.json, not part of a run"):
        check_folder(out, [], overwrite=True)


def test_a_run_is_no_export_and_an_export_no_run(tmp_path: Path) -> None:  # fault 40
    out = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match="holds no export of this format"):
        check_folder(out, [], overwrite=True, option="DIR", what="export of this format", marks=("run.json",))
    with staged(tmp_path / "export") as folder:
        finish(folder, tmp_path / "export", replace(record(), command="mtlkit export run"))
    check_folder(tmp_path / "export", [], overwrite=True, option="DIR", what="export", marks=("run.json",))
    with pytest.raises(UsageError, match="holds no run"):
        check_folder(tmp_path / "export", [], overwrite=True)


def test_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    for overwrite in (True, False):
        with pytest.raises(UsageError, match=r"disk is the current folder, one above it or a mount point"):
            check_folder(tmp_path / "disk", [], overwrite=overwrite)
    check_folder(tmp_path / "disk" / "run", [], overwrite=False)


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_a_run_whose_text_was_edited_is_not_replaced(tmp_path: Path, name: str) -> None:  # fault 40
    out = make_run(tmp_path / "run", before_the_end=lambda folder: write(folder / name))
    check_folder(out, [], overwrite=True)
    (out / name).write_text("notes of a user")
    with pytest.raises(UsageError, match=rf"{name} was changed after mtlkit wrote it, so --overwrite does not delete it"):
        check_folder(out, [], overwrite=True)
    assert (out / name).read_text() == "notes of a user"
