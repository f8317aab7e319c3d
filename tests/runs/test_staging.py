"""Files that are not part of a run are kept when a run is moved to its path."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from scenes import make_run, record, save

from mtlkit.errors import SavingError
from mtlkit.runs import replace_folder as folders
from mtlkit.runs import staging
from mtlkit.runs.record import verify
from mtlkit.runs.staging import exports_in, finish, foreign_files, staged

FOREIGN = {"notes.txt": "mine", "data/deep/a.csv": "text,label", ".hidden": "", "state/log.txt": "of a job"}


def add_foreign(out: Path) -> None:
    """Writes files of a user into a folder."""
    for name, text in FOREIGN.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    (out / "empty").mkdir()
    (out / "link").symlink_to("data")


def has_foreign(out: Path) -> bool:
    texts = {name: (out / name).read_text() for name in FOREIGN}
    return texts == FOREIGN and (out / "empty").is_dir() and os.readlink(out / "link") == "data"


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("before", ["a run", "a checkpoint"])
def test_files_added_during_a_training_are_kept(  # fault 41
    before: str, exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    make_run(out, "old", before_the_end=lambda folder: (folder / "old.txt").touch()) if before == "a run" else save(out, 10)
    if not exchanges:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)  # as on systems without renameat2
    mode = 0o640

    def during(_: Path) -> None:
        add_foreign(out)
        (out / "notes.txt").chmod(mode)

    make_run(out, "new", before_the_end=during)
    verify(out)
    assert has_foreign(out)
    assert (out / "notes.txt").stat().st_mode & 0o777 == mode
    assert foreign_files(out) == sorted([*FOREIGN, "empty", "link"])
    assert not (out / "old.txt").exists()
    assert not list((out / "state").glob("step-*"))
    assert list(tmp_path.iterdir()) == [out]


def test_file_that_is_still_open_is_kept(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "run"
    save(out, 10)
    with (out / "log.txt").open("w") as log:
        make_run(out)
        log.write("after the end")
    assert (out / "log.txt").read_text() == "after the end"


def test_files_are_copied_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fault 41
    def no_links(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    out = tmp_path / "run"
    save(out, 10)
    make_run(out, before_the_end=lambda _: add_foreign(out))
    assert has_foreign(out)


def test_clashing_files_are_both_kept(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "run"
    save(out, 10)
    with pytest.raises(SavingError, match=r"run contains config.json.*run\.finished$") as caught:
        make_run(out, before_the_end=lambda _: (out / "config.json").write_text("mine"))
    assert caught.value.exit_code == 3
    assert (out / "config.json").read_text() == "mine"
    verify(tmp_path / "run.finished")
    with pytest.raises(SavingError, match=r"run\.finished-new$"):
        make_run(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.finished", "run.finished-new"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_files_added_at_the_last_moment_are_kept(exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    save(out, 10)
    replace = staging.replace_folder
    if not exchanges:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)

    def replace_late(*arguments: object) -> None:
        add_foreign(out)
        (out / "config.json").write_text("mine")
        replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "replace_folder", replace_late)
    make_run(out)
    verify(out)
    assert has_foreign(out)
    assert (out / "config.json.kept").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("early", ["a.txt", "z.txt"])
def test_late_file_is_kept_beside_an_earlier_one(early: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    save(out, 10)
    replace = staging.replace_folder

    def replace_late(*arguments: object) -> None:
        (out / "m.txt").write_text("late")
        replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "replace_folder", replace_late)
    make_run(out, before_the_end=lambda _: (out / early).write_text("early"))
    verify(out)
    assert [(out / name).read_text() for name in (early, "m.txt")] == ["early", "late"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_exports_are_kept_when_their_run_is_replaced(  # fault 41
    exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    out = make_run(tmp_path / "run", "old")
    before: dict[str, str] = {}
    for name, kind in (("onnx", "export.json"), ("deep/compact", "run.json")):
        (out / name).parent.mkdir(exist_ok=True)
        with staged(out / name) as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "model.bin").write_text("of the old run")
            finish(folder, out / name, replace(record(), command="mtlkit export run"), kind)
        before |= {f"{name}/{file}": (out / name / file).read_text() for file in ("inner/model.bin", kind)}
    assert exports_in(out) == ["deep/compact", "onnx"]
    assert foreign_files(out, but_exports=True) == []
    assert foreign_files(out) == sorted(before)
    make_run(out, "new")
    verify(out)
    assert {name: (out / name).read_text() for name in before} == before
    assert (out / "model.safetensors").read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_foreign_files_in_an_export_are_kept(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "export"
    for _ in range(2):
        with staged(out) as folder:
            (folder / "model.onnx").touch()
            finish(folder, out, replace(record(), command="mtlkit export run"), "export.json")
        (out / "notes.txt").write_text("mine")
    assert (out / "notes.txt").read_text() == "mine"
    assert foreign_files(out) == ["notes.txt"]
