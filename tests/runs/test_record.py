from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import save
from scenes import make_run, record

from mtlkit.errors import IntegrityError
from mtlkit.model.digest import digest_of
from mtlkit.runs import atomic as disk
from mtlkit.runs import replace_folder as folders
from mtlkit.runs.record import (
    file_digest,
    newest_run,
    read_record,
    replace_metrics,
    verify,
    write_json,
)
from mtlkit.runs.staging import finish, staged

Rename = Callable[[Path, Path], Path]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def test_record_has_the_digest_of_every_file(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run")
    found = verify(out)
    assert found.files == {name: file_digest(out / name) for name in ("config.json", "model.safetensors")}
    assert found.files["config.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of "{}"
    assert (found.stage, found.options, found.seed, found.metrics) == ("mtl", {"epochs": 2}, 7, {"score": 0.5})
    assert {"python", "torch", "mtlkit"} <= found.versions.keys()
    assert found.finished.endswith("+00:00")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_digest_of_a_run_changes_with_its_files(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a", "weights"), make_run(tmp_path / "b", "other weights")
    assert digest_of(first) == file_digest(first / "run.json") != digest_of(second)


def test_staged_folder_is_removed_after_an_error(tmp_path: Path) -> None:
    def interrupt(folder: Path) -> None:
        assert folder.parent == tmp_path  # the same file system, so that the rename is one step
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path / "run", before_the_end=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_old_run_is_kept_after_an_error(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", "old")
    before = digest_of(out)

    def fail(folder: Path) -> None:
        assert (out / "model.safetensors").read_text() == "old"
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        make_run(out, "new", before_the_end=fail)
    verify(out)
    assert digest_of(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_old_run_is_replaced_completely_and_only_at_the_end(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", "old", before_the_end=lambda folder: (folder / "old.txt").touch())
    with staged(out) as folder:
        (folder / "model.safetensors").write_text("new")
        assert (out / "model.safetensors").read_text() == "old"
        finish(folder, out, record())
    assert {path.name: path.read_text() for path in out.iterdir() if path.name != "run.json"} == {"model.safetensors": "new"}
    verify(out)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("failing", ["old", "new"])
def test_error_in_the_last_rename_keeps_the_old_run(  # fault 6
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = make_run(tmp_path / "run", "old")
    before = digest_of(out)
    rename: Rename = Path.replace
    monkeypatch.setattr(folders, "exchange", lambda *_: False)  # as on systems without renameat2

    def broken(self: Path, target: Path) -> Path:
        moves = "old" if self == out else "new" if target == out and self.parent == out.parent else None
        if moves == failing:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    with pytest.raises(OSError, match="Input/output error"):
        make_run(out, "new", before_the_end=lambda _: monkeypatch.setattr(Path, "replace", broken))
    verify(out)
    assert digest_of(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_error_in_a_sync_keeps_the_old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fault 6
    out = make_run(tmp_path / "run", "old")
    before = digest_of(out)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        make_run(out, "new", before_the_end=lambda _: monkeypatch.setattr(os, "fsync", broken))
    verify(out)
    assert digest_of(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_every_file_is_synced_before_the_folder_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    fsync, rename = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        done.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        fsync(descriptor)

    def watched_rename(self: Path, target: Path) -> Path:
        done.append(("rename", target.name))
        return rename(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc to tell the name of an open file")
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    make_run(tmp_path / "run")
    place = done.index(("rename", "run"))
    assert {name for _, name in done[:place]} >= {"model.safetensors", "config.json", "run.json"}
    assert done[place + 1 :] == [("sync", tmp_path.name)]


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)])
def test_modes_follow_the_umask(tmp_path: Path, mask: int, file: int, folder: int) -> None:
    with umask(mask):
        out = make_run(tmp_path / "run", before_the_end=lambda folder: (folder / "config.json").chmod(0o600))
        assert os.umask(mask) == mask  # finish leaves it as it was
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {file}  # safetensors writes 0600
    assert stat.S_IMODE(out.stat().st_mode) == folder


def test_replace_metrics_changes_nothing_else(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    before = verify(folder)
    mode = (folder / "run.json").stat().st_mode
    replace_metrics(folder, {"score": 0.5, "sharing": {"delta": 0.1}})
    assert verify(folder) == replace(before, metrics={"score": 0.5, "sharing": {"delta": 0.1}})
    assert (folder / "run.json").stat().st_mode == mode
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_newest_run_is_the_one_that_finished_last(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "z"), make_run(tmp_path / "a")
    assert newest_run(tmp_path, ["mtl"]) == second
    os.utime(first)  # a later change to the folder does not count
    assert newest_run(tmp_path, ["mtl"]) == second
    make_run(first)
    assert newest_run(tmp_path, ["mtl"]) == first


def test_newest_run_prefers_the_first_stage(tmp_path: Path) -> None:
    sentence = make_run(tmp_path / "sentence", stage="sentence")
    base = make_run(tmp_path / "base", stage="base")
    make_run(tmp_path / "mtl", stage="mtl")
    assert newest_run(tmp_path, ["sentence", "base"]) == sentence
    assert newest_run(tmp_path, ["base"]) == base
    assert newest_run(tmp_path / "mtl", ["mtl"]) is None
    assert newest_run(tmp_path / "nowhere", ["mtl"]) is None


def test_newest_run_skips_everything_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    damaged = make_run(tmp_path / "damaged")
    (damaged / "run.json").write_text("{")
    make_run(tmp_path / ".hidden")  # where another process is about to rename
    later = make_run(tmp_path / "later")
    value = json.loads((later / "run.json").read_text())
    write_json(later / "run.json", {**value, "format": 99})
    assert newest_run(tmp_path, ["mtl"]) == run


def test_damaged_file_is_named_with_both_digests(tmp_path: Path) -> None:  # fault 4
    out = make_run(tmp_path / "run")
    recorded = file_digest(out / "model.safetensors")
    (out / "model.safetensors").write_text("weightz")
    digest = file_digest(out / "model.safetensors")
    with pytest.raises(IntegrityError, match=rf"model\.safetensors: .*{digest}.*{recorded}") as caught:
        verify(out)
    assert caught.value.exit_code == 4


def test_missing_file_is_named(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run")
    (out / "config.json").unlink()
    with pytest.raises(IntegrityError, match=r"config\.json: missing, .*run\.json"):
        verify(out)


def test_damaged_safetensors_that_start_like_a_pickle(tmp_path: Path) -> None:  # fault 4
    content = save({}, {"note": "x" * 600})
    size = int.from_bytes(content[:8], "little")
    content = save({}, {"note": "x" * (600 + 640 - size)})
    assert content.startswith(b"\x80\x02")  # 640 bytes of header
    out = make_run(tmp_path / "run")
    (out / "model.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: damaged"):
        verify(out)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stage": "mtl"}', '{"format": 1, "stage": "mtl"}', '{"format": "x"}'])
def test_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"run\.json: (damaged|field 'format' is missing)"):
        read_record(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/run.json", "best/../../x", "a\0b", "x" * 201])
def test_record_that_lists_a_file_outside_the_run_is_damaged(name: str, tmp_path: Path) -> None:
    out = make_run(tmp_path / "run")
    value = json.loads((out / "run.json").read_text())
    value["files"][name] = "0" * 64
    (out / "run.json").write_text(json.dumps(value))
    with pytest.raises(IntegrityError, match=r"run\.json: damaged .*not inside the run"):
        verify(out)


def test_newer_record_format_asks_for_an_update(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 2, "what": "is new"}')
    with pytest.raises(IntegrityError, match=r"newer mtlkit \(format 2\)"):
        read_record(tmp_path)


def test_folder_without_a_record_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(IntegrityError, match="unfinished training; let it finish"):
        verify(tmp_path)
    (tmp_path / "state").rmdir()
    with pytest.raises(IntegrityError, match=r"not an mtlkit run \(run\.json is missing\)"):
        verify(tmp_path)


def test_replace_metrics_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "run")
    done: list[tuple[str, Path]] = []
    sync, rename = disk.sync, disk.rename
    monkeypatch.setattr(disk, "sync", lambda path: (done.append(("sync", path)), sync(path)))
    monkeypatch.setattr(disk, "rename", lambda source, target: (done.append(("rename", source)), rename(source, target)))
    replace_metrics(folder, {"score": 1.0})
    (first, written), (second, renamed), last = done
    assert (first, second, written.suffix) == ("sync", "rename", disk.UNFINISHED)
    assert written == renamed  # synced before it is renamed
    assert written.parent != folder
    assert last == ("sync", folder)


def test_files_in_subfolders_are_verified(tmp_path: Path) -> None:  # fault 4
    def best(folder: Path) -> None:
        (folder / "best" / "topic").mkdir(parents=True)
        (folder / "best" / "topic" / "model.safetensors").write_text("weights")

    out = make_run(tmp_path / "run", before_the_end=best)
    path = out / "best" / "topic" / "model.safetensors"
    assert "best/topic/model.safetensors" in verify(out).files
    path.write_text("weightz")
    with pytest.raises(IntegrityError, match=r"best/topic/model\.safetensors: damaged"):
        verify(out)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"best/topic/model\.safetensors: missing"):
        verify(out)
