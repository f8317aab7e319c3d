"""Atomic writes of files and folders."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from faults import failing_at, watch
from safetensors import SafetensorError
from scenes import make_run, save
from windows import imitate, needs_proc

from mtlkit.errors import SavingError
from mtlkit.runs import atomic as disk
from mtlkit.runs import file_locks
from mtlkit.runs import replace_folder as folders
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import replace_metrics, verify


def write(path: Path, content: bytes) -> None:
    with disk.atomic_file(path) as file:
        file.write(content)


def test_atomic_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = watch(monkeypatch, lambda *_: None)
    write(tmp_path / "file", b"new")
    assert done == ["sync", "rename", "sync"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_atomic_file_mode_follows_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write(tmp_path / "file", b"new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("number", [1, 2])
def test_disk_error_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    watch(monkeypatch, failing_at(number, errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_error_in_the_block_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError), disk.atomic_file(tmp_path / "file") as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def age(path: Path) -> None:
    """Sets the modification time of a file to long ago."""
    os.utime(path, (0, 0))


def test_only_abandoned_temporary_files_are_removed(tmp_path: Path) -> None:
    fresh, abandoned = (tmp_path / f".{name}{disk.UNFINISHED}" for name in ("fresh", "abandoned"))
    fresh.touch()
    abandoned.touch()
    age(abandoned)
    with disk.atomic_file(tmp_path / "file") as file:
        (held,) = (path for path in tmp_path.iterdir() if path.name.startswith(".file."))
        age(held)
        assert file_locks.in_use(held)
        assert not file_locks.in_use(abandoned)
        assert disk.unfinished_files(tmp_path) == [abandoned]
        disk.remove_unfinished(tmp_path)
        file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [fresh.name, "file"]
    with (tmp_path / "file").open("rb") as file_read:
        file_locks.lock_shared(file_read)
        assert file_locks.in_use(tmp_path / "file")


@pytest.mark.skipif(file_locks.fcntl is None, reason="Windows")
def test_without_locks_only_old_temporary_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(file_locks.fcntl, "flock", no_locks)
    monkeypatch.setattr(disk, "MIN_AGE", -1.0)
    fresh, old = (tmp_path / f".{name}{disk.UNFINISHED}" for name in ("fresh", "old"))
    fresh.touch()
    old.touch()
    age(old)
    assert disk.unfinished_files(tmp_path) == [old]


def test_replaced_folder_is_synced_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for exchanges in (True, False):
        for name in ("new", "place"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "file").write_text(name)
        with monkeypatch.context() as patch:
            done = watch(patch, lambda *_: None, exchanges)
            folders.replace_folder(tmp_path / "new", tmp_path / "place")
        assert done == (["exchange", "sync"] if exchanges else ["rename", "rename", "sync"])
        assert (tmp_path / "place" / "file").read_text() == "new"
        assert [path.name for path in tmp_path.iterdir()] == ["place"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_sync_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        disk.sync(tmp_path)
    assert len(os.listdir("/proc/self/fd")) < before + 20


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_failed_exchange_raises(tmp_path: Path) -> None:
    """False would make `replace_folder` try two renames instead."""
    with pytest.raises(FileNotFoundError):
        folders.exchange(tmp_path, tmp_path / "gone")


def test_full_disk_is_a_one_line_error(tmp_path: Path) -> None:  # fault 5
    for error in (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError(f"Error while serializing: I/O error: {os.strerror(errno.ENOSPC)} (os error 28)"),
    ):
        with (
            pytest.raises(SavingError, match=rf"run: {os.strerror(errno.ENOSPC)}; "),
            disk.saving(tmp_path / "run"),
        ):
            raise error
    with pytest.raises(OSError, match=r"^not of a disk$") as caught, disk.saving(tmp_path / "run"):
        raise OSError("not of a disk")
    assert not isinstance(caught.value, SavingError)


def test_folders_are_replaced_by_renames_where_none_can_be_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, whose C library has no renameat2."""
    for name in ("new", "place"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert not folders.exchange(tmp_path / "new", tmp_path / "place")
    folders.replace_folder(tmp_path / "new", tmp_path / "place")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_without_fcntl_no_file_counts_as_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_locks, "fcntl", None)
    with (tmp_path / "file").open("wb") as file:
        assert file_locks.lock_exclusive(file)
        assert not file_locks.in_use(tmp_path / "file")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch)


@needs_proc
@pytest.mark.usefixtures("windows")
def test_runs_are_saved_finished_and_replaced_on_windows(tmp_path: Path) -> None:  # fault 56
    out = tmp_path / "run"
    save(out, 10, 20)
    save(out, 20, note="again")
    checkpoint, warnings = CheckpointManager(out).newest()
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.plain["note"], warnings) == (20, "again", [])
    make_run(out, "old")
    make_run(out, "new", before_the_end=lambda _: (out / "notes.txt").touch())
    verify(out)
    assert (out / "model.safetensors").read_text() == "new"
    assert (out / "notes.txt").exists()
    replace_metrics(out, {"score": 1.0})
    assert verify(out).metrics == {"score": 1.0}
    assert list(tmp_path.iterdir()) == [out]


def test_modules_import_without_posix_modules() -> None:  # fault 56
    code = """if True:
        import os, signal, sys
        sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = None
        import filelock
        for name in ("SIGHUP", "SIGXFSZ"):
            delattr(signal, name)
        import mtlkit.cli.app, mtlkit.runs.outputs, mtlkit.runs.staging, mtlkit.runs.checkpoints, mtlkit.training.checkpointing
        mtlkit.cli.app.heed_signals()
        with mtlkit.training.checkpointing.Interrupts():
            pass
    """
    before = {**os.environ, "PYTHONWARNINGS": "ignore"}  # filelock warns about its fallback
    subprocess.run([sys.executable, "-c", code], check=True, env=before, timeout=120)


@pytest.mark.slow
def test_every_module_imports_without_what_windows_lacks() -> None:  # fault 56
    code = """if True:
        import importlib, os, pkgutil, signal, sys
        import datasets, torch  # have their own ways
        for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
            sys.modules[name] = None
        for name in ("sched_getaffinity", "register_at_fork", "sysconf", "getuid", "fork", "mkfifo", "statvfs", "O_NONBLOCK"):
            delattr(os, name)
        for name in ("SIGHUP", "SIGUSR1", "SIGXFSZ", "SIGKILL", "SIGALRM"):
            delattr(signal, name)
        import mtlkit
        for module in pkgutil.walk_packages(mtlkit.__path__, "mtlkit."):
            if module.name != "mtlkit.__main__":
                importlib.import_module(module.name)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
