"""What becomes of files that are not of a run when the run comes to its place."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from scenes import make_run, record, save

from mtlkit.errors import SavingError
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import verify
from mtlkit.runs.staging import finish, foreign, staged

STRANGERS = {"notes.txt": "mine", "data/deep/a.csv": "text,label", ".hidden": "", "state/log.txt": "of a job"}


def arrive(out: Path) -> None:
    """A user writes into a folder."""
    for name, text in STRANGERS.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    (out / "empty").mkdir()
    (out / "link").symlink_to("data")


def kept(out: Path) -> bool:
    texts = {name: (out / name).read_text() for name in STRANGERS}
    return texts == STRANGERS and (out / "empty").is_dir() and os.readlink(out / "link") == "data"


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("before", ["a run", "a checkpoint"])
def test_what_arrives_while_a_run_is_made_is_kept(  # fault 41
    before: str, exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    make_run(out, "old", before_the_end=lambda folder: (folder / "old.txt").touch()) if before == "a run" else save(out, 10)
    if not exchanges:
        monkeypatch.setattr(disk, "exchange", lambda *_: False)  # as on systems that cannot
    mode = 0o640

    def during(_: Path) -> None:
        arrive(out)
        (out / "notes.txt").chmod(mode)

    make_run(out, "new", before_the_end=during)
    verify(out)
    assert kept(out)
    assert (out / "notes.txt").stat().st_mode & 0o777 == mode
    assert foreign(out) == sorted([*STRANGERS, "empty", "link"])
    assert not (out / "old.txt").exists()
    assert not list((out / "state").glob("step-*"))
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_a_program_still_writes_goes_on_to_be_written(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "run"
    save(out, 10)
    with (out / "log.txt").open("w") as log:
        make_run(out)
        log.write("after the end")
    assert (out / "log.txt").read_text() == "after the end"


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fault 41
    def unable(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unable)
    out = tmp_path / "run"
    save(out, 10)
    make_run(out, before_the_end=lambda _: arrive(out))
    assert kept(out)


def test_two_files_of_one_name_are_both_kept(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "run"
    save(out, 10)
    with pytest.raises(
        SavingError, match=r"run holds config.json, not written by this command.*is in .*run\.finished$"
    ) as caught:
        make_run(out, before_the_end=lambda _: (out / "config.json").write_text("mine"))
    assert caught.value.exit_code == 3
    assert (out / "config.json").read_text() == "mine"
    verify(tmp_path / "run.finished")
    with pytest.raises(SavingError, match=r"run\.finished-new$"):
        make_run(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.finished", "run.finished-new"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_what_comes_in_the_last_moment_is_kept_too(exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    save(out, 10)
    put = disk.put
    if not exchanges:
        monkeypatch.setattr(disk, "exchange", lambda *_: False)

    def late(*arguments: object) -> None:
        arrive(out)
        (out / "config.json").write_text("mine")
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "put", late)
    make_run(out)
    verify(out)
    assert kept(out)
    assert (out / "config.json.kept").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("early", ["a.txt", "z.txt"])
def test_a_late_file_is_kept_beside_one_that_was_there(early: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    save(out, 10)
    put = disk.put

    def late(*arguments: object) -> None:
        (out / "m.txt").write_text("late")
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "put", late)
    make_run(out, before_the_end=lambda _: (out / early).write_text("early"))
    verify(out)
    assert [(out / name).read_text() for name in (early, "m.txt")] == ["early", "late"]


def test_what_stands_in_an_export_is_kept(tmp_path: Path) -> None:  # fault 41
    out = tmp_path / "export"
    for _ in range(2):
        with staged(out) as folder:
            (folder / "model.onnx").touch()
            finish(folder, out, replace(record(), command="mtlkit export run"), "export.json")
        (out / "notes.txt").write_text("mine")
    assert (out / "notes.txt").read_text() == "mine"
    assert foreign(out) == ["notes.txt"]
