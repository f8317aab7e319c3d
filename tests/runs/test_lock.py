"""Locks: one writer at a time per output."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from scenes import COMMAND, make_run

from mtlkit.errors import UsageError
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.lock import locked
from mtlkit.runs.record import verify


def hold(out: Path, lock: str = "CheckpointManager(out).lock") -> subprocess.Popen[str]:
    """A running process that holds the lock."""
    code = f"""if True:
        import sys
        from functools import partial
        from pathlib import Path
        from mtlkit.runs.lock import locked
        from mtlkit.runs.checkpoints import CheckpointManager
        assert "torch" not in sys.modules
        out = Path({str(out)!r})
        with {lock}("mtlkit train-mtl\\n--epochs 9"):
            print("held", flush=True)
            sys.stdin.read()
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_writer_is_refused_until_the_first_dies(tmp_path: Path) -> None:  # fault 13
    folder = CheckpointManager(tmp_path / "run")
    with hold(tmp_path / "run") as first:
        try:
            with pytest.raises(UsageError) as caught, folder.lock(COMMAND):
                pytest.fail("two writers")
            message = str(caught.value)
            assert f"{tmp_path / 'run'} is being written by process {first.pid} on {socket.gethostname()} since 20" in message
            assert "(mtlkit train-mtl --epochs 9)" in message
            assert "--out" in message
            assert caught.value.exit_code == 2
            assert (tmp_path / ".run.writer.json").exists()  # the first is not affected
        finally:
            first.send_signal(signal.SIGKILL)
    assert (tmp_path / ".run.lock").exists()  # left by the killed process
    with folder.lock(COMMAND):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert list((tmp_path / "run").iterdir()) == []  # the folder was there before


def test_the_same_process_cannot_lock_twice(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    with (
        folder.lock(COMMAND),
        pytest.raises(UsageError, match=r"by this process since .* close"),
        folder.lock(COMMAND),
    ):
        pytest.fail("two writers")


def test_every_path_to_an_output_is_the_same_lock(tmp_path: Path) -> None:  # fault 42
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "v.npy").touch()
    (tmp_path / "w.npy").symlink_to("v.npy")
    for one, other in (("real/v.npy", "link/v.npy"), ("v.npy", "w.npy"), ("real", "link"), ("v.npy", "real/../v.npy")):
        with (
            locked(tmp_path / one, "first", option="--output"),
            pytest.raises(UsageError, match=r"by this process.*with --output"),
            locked(tmp_path / other, "second", option="--output"),
        ):
            pytest.fail("two writers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real", "v.npy", "w.npy"]


def test_waiting_writer_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path / "v.npy", "second", wait=30):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "v.npy", "first"):
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_lock_file_removed_while_locking_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    acquire = FileLock.acquire

    def acquire_late(lock: FileLock, **how: object) -> object:
        nonlocal taken
        taken += 1
        if taken == 1:  # the previous writer ends after the file was opened here
            (tmp_path / ".run.lock").unlink()
        return acquire(lock, **how)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "acquire", acquire_late)
        with locked(tmp_path / "run", COMMAND):
            assert taken == 2
            with pytest.raises(UsageError, match="is being written"), locked(tmp_path / "run", COMMAND):
                pytest.fail("two writers")


def test_run_that_replaced_the_folder_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = CheckpointManager(out)
    with folder.lock(COMMAND):
        folder.save(10, {}, {})
        make_run(out)
        with pytest.raises(UsageError, match="is being written"), folder.lock(COMMAND):
            pytest.fail("two writers")  # the lock is still held, although the folder was replaced
    verify(out)
    assert not folder.path.exists()
    with hold(out) as other:  # e.g. a training that extends the finished run
        with pytest.raises(UsageError, match=f"process {other.pid}"), folder.lock(COMMAND):
            pytest.fail("two writers")
        other.communicate("")
    verify(out)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_lock_files_of_an_earlier_version_are_removed(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    folder.path.mkdir(parents=True)
    (folder.path / "lock").touch()
    (folder.path / "writer.json").write_text("{}")
    with folder.lock(COMMAND):
        folder.save(10, {}, {})
    assert [path.name for path in folder.path.iterdir()] == ["step-00000010"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), UsageError("no")])
def test_ending_before_the_first_checkpoint_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")

    def train() -> None:
        with folder.lock(COMMAND):
            folder.log.write_text("{}\n")
            raise end

    with pytest.raises(type(end)):
        train()
    assert list(tmp_path.iterdir()) == []


def test_path_that_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(lock: FileLock, **how: object) -> None:
        raise NotImplementedError("this system has no locks")

    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match=r"cannot lock .*(Not a directory|exists); .*--out"),
        CheckpointManager(tmp_path / "file" / "x").lock(COMMAND),
    ):
        pytest.fail("no lock")
    with pytest.raises(UsageError, match="File name too long"), locked(tmp_path / ("n" * 254), COMMAND):
        pytest.fail("no lock")
    monkeypatch.setattr(FileLock, "acquire", no_locks)
    with pytest.raises(UsageError, match="this system has no locks"), locked(tmp_path / "run", COMMAND):
        pytest.fail("no lock")


def test_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    code = """if True:
        import subprocess, sys
        from pathlib import Path
        from mtlkit.runs.lock import locked
        with locked(Path(sys.argv[1]), "mtlkit"):
            print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid, flush=True)
            sys.stdin.read()
    """
    words = [sys.executable, "-c", code, str(tmp_path / "v.npy")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
    try:
        with locked(tmp_path / "v.npy", COMMAND):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_damaged_note_of_the_holder(tmp_path: Path) -> None:
    for text in ("", "[]", '{"pid": 1}', '{"pid": 1, "host": "h", "since": "s", "command": 5}', "\0", "[" * 100_000):
        with locked(tmp_path / "run", COMMAND):
            (tmp_path / ".run.writer.json").write_text(text)
            with pytest.raises(UsageError, match="by another process"), locked(tmp_path / "run", COMMAND):
                pytest.fail("two writers")
