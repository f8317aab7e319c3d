"""One writer at a time for an output."""

from __future__ import annotations

import os
import re
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
    """A process that holds the lock, and holds it now."""
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


def test_a_second_writer_is_told_of_the_first_whose_death_frees_the_folder(tmp_path: Path) -> None:  # fault 13
    folder = CheckpointManager(tmp_path / "run")
    with hold(tmp_path / "run") as first:
        try:
            with pytest.raises(UsageError) as caught, folder.lock(COMMAND):
                pytest.fail("two writers")
            message = str(caught.value)
            assert f"{tmp_path / 'run'} is being written by process {first.pid} on {socket.gethostname()} since 20" in message
            assert "(mtlkit train-mtl --epochs 9); wait for it to end, stop it, or name another place with --out" in message
            assert caught.value.exit_code == 2
            assert (tmp_path / ".run.writer.json").exists()  # the first is not disturbed
        finally:
            first.send_signal(signal.SIGKILL)
    assert (tmp_path / ".run.lock").exists()  # left by the dead
    with folder.lock(COMMAND):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert list((tmp_path / "run").iterdir()) == []  # the folder was there before


def test_the_same_process_is_kept_out_too_and_told_that_it_is_its_own(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    with (
        folder.lock(COMMAND),
        pytest.raises(UsageError, match=r"is being written by this process since .* finish or close that first"),
        folder.lock(COMMAND),
    ):
        pytest.fail("two writers")


def test_any_name_of_a_place_is_the_same_lock(tmp_path: Path) -> None:  # fault 42
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


def test_who_waits_gets_the_lock_once_it_is_free(tmp_path: Path) -> None:
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


def test_a_lock_that_was_removed_while_it_was_taken_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    acquire = FileLock.acquire

    def late(lock: FileLock, **how: object) -> object:
        nonlocal taken
        taken += 1
        if taken == 1:  # the writer before ends between our opening the file and our locking it, and another begins
            (tmp_path / ".run.lock").unlink()
        return acquire(lock, **how)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "acquire", late)
        with locked(tmp_path / "run", COMMAND):
            assert taken == 2
            with pytest.raises(UsageError, match="is being written"), locked(tmp_path / "run", COMMAND):
                pytest.fail("two writers")


def test_what_took_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = CheckpointManager(out)
    with folder.lock(COMMAND):
        folder.save(10, {}, {})
        make_run(out)
        with pytest.raises(UsageError, match="is being written"), folder.lock(COMMAND):
            pytest.fail("two writers")  # it is still this writer's, although the folder is another
    verify(out)
    assert not folder.path.exists()
    with hold(out) as other:  # who extends the finished run
        with pytest.raises(UsageError, match=f"process {other.pid}"), folder.lock(COMMAND):
            pytest.fail("two writers")
        other.communicate("")
    verify(out)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_lock_of_an_earlier_version_is_no_obstacle(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    folder.path.mkdir(parents=True)
    (folder.path / "lock").touch()
    (folder.path / "writer.json").write_text("{}")
    with folder.lock(COMMAND):
        folder.save(10, {}, {})
    assert [path.name for path in folder.path.iterdir()] == ["step-00000010"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), UsageError("no")])
def test_an_end_before_anything_was_saved_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")

    def train() -> None:
        with folder.lock(COMMAND):
            folder.log.write_text("{}\n")
            raise end

    with pytest.raises(type(end)):
        train()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(lock: FileLock, **how: object) -> None:
        raise NotImplementedError("this system has no locks")

    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match=r"cannot be locked: .*(Not a directory|exists); name another place with --out"),
        CheckpointManager(tmp_path / "file" / "x").lock(COMMAND),
    ):
        pytest.fail("no lock")
    with pytest.raises(UsageError, match="cannot be locked: File name too long"), locked(tmp_path / ("n" * 254), COMMAND):
        pytest.fail("no lock")
    monkeypatch.setattr(FileLock, "acquire", unable)
    with pytest.raises(UsageError, match="cannot be locked: this system has no locks"), locked(tmp_path / "run", COMMAND):
        pytest.fail("no lock")


def test_a_child_of_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
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


def test_the_note_of_the_holder_may_be_damaged(tmp_path: Path) -> None:
    for text in ("", "[]", '{"pid": 1}', '{"pid": 1, "host": "h", "since": "s", "command": 5}', "\0", "[" * 100_000):
        with locked(tmp_path / "run", COMMAND):
            (tmp_path / ".run.writer.json").write_text(text)
            with pytest.raises(UsageError, match=re.escape("by another process; wait")), locked(tmp_path / "run", COMMAND):
                pytest.fail("two writers")
