"""Cache files: read exactly as written, or reported and recomputed."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faults import failing_at, watch
from rights import as_any_user
from safetensors.numpy import load_file, save_file

from mtlkit.errors import IntegrityError
from mtlkit.runs import atomic as disk
from mtlkit.runs.store import Arrays, RowStream, StoreEntry, cache_key, entry_in, has_shape

KEY = cache_key("all", "that", "it follows from")
ARRAYS: Arrays = {
    "vectors": np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32),
    "halves": np.ones((2, 2), np.float16),
    "ends": np.arange(5),
    "letters": np.frombuffer(b"some letters", np.uint8),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> StoreEntry:
    """A file with ARRAYS."""
    made = entry_in(tmp_path / "cache", "test", KEY)
    made.write(ARRAYS)
    return made


def accept_all(arrays: Arrays) -> bool:
    return True


def is_same(found: Arrays | None, wanted: Arrays = ARRAYS) -> bool:
    return (
        found is not None
        and found.keys() == wanted.keys()
        and all(
            found[name].dtype == array.dtype and found[name].shape == array.shape and found[name].tobytes() == array.tobytes()
            for name, array in wanted.items()
        )
    )


@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_round_trip(file: StoreEntry, mapped: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert is_same(file.read(accept_all, mapped=mapped))
    assert is_same({**load_file(file.path)})  # other tools can read it too
    assert not caplog.messages


def test_mapped_arrays_are_memory_maps(file: StoreEntry) -> None:
    found = file.read(accept_all, mapped=True)
    assert found is not None
    assert isinstance(found["vectors"], np.memmap)
    assert found["vectors"].flags.aligned
    assert not found["vectors"].flags.writeable


def test_rows_are_written_in_blocks(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    one, other = (entry_in(tmp_path / name, "test", KEY) for name in ("parts", "whole"))
    one.write({"rows": RowStream(rows.shape, iter(np.array_split(rows, 3)))})
    other.write({"rows": rows})
    assert one.path.read_bytes() == other.path.read_bytes()


def test_missing_file_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert entry_in(tmp_path, "test", KEY).read(accept_all) is None
    assert entry_in(tmp_path / "file" / "cache", "test", KEY).read(accept_all) is None
    assert not caplog.messages


def test_any_flipped_bit_is_detected(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    good = file.path.read_bytes()
    padding = 8 + len(good[8:].partition(b"}}")[0] + b"}}")  # where the padding begins, which is not checked
    for place in range(0, len(good), 3):
        file.path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        caplog.clear()
        found = file.read(accept_all, mapped=bool(place % 2))
        assert found is None or (is_same(found) and place >= padding), place
        assert len(caplog.messages) == (found is None)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a byte": lambda good: good[:1],
    "cut in the header": lambda good: good[:60],
    "cut at half": lambda good: good[: len(good) // 2],
    "last byte gone": lambda good: good[:-1],
    "longer": lambda good: good + b"\0",
    "zeros": lambda good: bytes(len(good)),
    "a page": lambda _: b"<html>not a cache</html>" * 20,
    "a huge header": lambda good: (2**40).to_bytes(8, "little") + good[8:],
    "deep JSON": lambda _: (100_000).to_bytes(8, "little") + b"[" * 100_000,
    "another type": lambda good: good.replace(b'"F32"', b'"U32"'),
    "an unknown type": lambda good: good.replace(b'"F32"', b'"BAD"'),
    "another shape": lambda good: good.replace(b"[6, 3]", b"[3, 6]"),
    "a negative shape": lambda good: good.replace(b"[6, 3]", b"[-6,3]"),
    "a shape of words": lambda good: good.replace(b"[6, 3]", b'["a"] '),
    "a name": lambda good: good.replace(b'"ends"', b'"endz"'),
    "metadata of no object": lambda good: good.replace(b'"__metadata__": {', b'"__metadata__": 5, "a": {'),
    "NaN": lambda good: good.replace(ARRAYS["vectors"].tobytes(), np.full((6, 3), np.nan, np.float32).tobytes()),
    "infinite": lambda good: good.replace(ARRAYS["vectors"].tobytes(), np.full((6, 3), np.inf, np.float32).tobytes()),
    "all zero": lambda good: good.replace(ARRAYS["vectors"].tobytes(), bytes(ARRAYS["vectors"].nbytes)),
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_is_reported_once_and_recomputed(
    file: StoreEntry, damage: str, mapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    good = file.path.read_bytes()
    file.path.write_bytes(DAMAGE[damage](good))
    assert file.path.read_bytes() != good
    assert file.read(accept_all, mapped=mapped) is None
    (warning,) = caplog.messages
    assert warning.startswith(f"{file.path} ")
    assert "ignoring it" in warning
    assert "\n" not in warning
    caplog.clear()
    assert is_same(file.get(lambda: ARRAYS, accept_all).arrays)
    assert file.path.read_bytes() == good
    assert len(caplog.messages) == 1
    assert is_same(file.get(lambda: pytest.fail("computed again"), accept_all).arrays)


def test_content_is_checked_even_with_a_valid_digest(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    assert file.read(lambda arrays: has_shape(arrays.get("vectors"), "<f4", 6, 4)) is None
    assert file.read(lambda arrays: has_shape(arrays.get("vectors"), "<f2", 6, 3)) is None
    assert file.read(lambda arrays: has_shape(arrays.get("other"), "<f4", 6, 3)) is None
    assert [message.partition(";")[0] for message in caplog.messages] == [f"{file.path} has unexpected content"] * 3
    assert file.read(lambda arrays: has_shape(arrays.get("vectors"), "<f4", None, 3)) is not None


def test_file_of_another_program_is_not_used(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    save_file(ARRAYS, file.path)
    assert file.read(accept_all) is None
    save_file(ARRAYS, file.path, {"format": "1", "kind": "test", "key": KEY, "sha256": "0" * 64})
    assert file.read(accept_all) is None
    save_file(ARRAYS, file.path, {"format": "0", "kind": "test", "key": KEY, "sha256": "0" * 64})
    assert file.read(accept_all) is None
    reasons = [message.removeprefix(f"{file.path} ")[:20] for message in caplog.messages]
    assert reasons == ["is not a cache file ", "is damaged (SHA-256 ", "was written by anoth"]


@pytest.mark.parametrize("change", [{"key": cache_key("another model")}, {"kind": "other"}])
def test_file_with_another_key_or_kind_is_not_used(
    file: StoreEntry, change: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    other = StoreEntry(file.path, **{"kind": file.kind, "key": file.key, **change})
    assert other.read(accept_all) is None
    assert "other inputs" in caplog.messages[0]
    other.write(ARRAYS)
    assert is_same(other.read(accept_all))
    assert file.read(accept_all) is None


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_only_regular_files_are_read(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    file.path.unlink()
    os.mkfifo(file.path)
    assert is_same(file.get(lambda: ARRAYS, accept_all).arrays)
    assert "is not a regular file" in caplog.messages[0]
    assert is_same(file.read(accept_all))  # replaced
    file.path.unlink()
    file.path.symlink_to("/dev/zero")
    assert file.read(accept_all) is None
    file.path.unlink()
    file.path.mkdir()
    assert is_same(file.get(lambda: ARRAYS, accept_all).arrays)  # a folder is not replaced
    assert file.path.is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
def test_unreadable_file_is_replaced(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    file.path.chmod(0)
    with as_any_user():
        assert is_same(file.get(lambda: ARRAYS, accept_all).arrays)
    assert "cannot be read" in caplog.messages[0]
    assert is_same(file.read(accept_all))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_not_stored(file: StoreEntry, value: float) -> None:
    good = file.path.read_bytes()
    with pytest.raises(IntegrityError, match=r"'vectors' was not stored .*NaN"):
        file.keep({"vectors": np.array([[1.0, value]], np.float32)})
    with pytest.raises(IntegrityError, match="NaN"):
        file.write({"vectors": RowStream((1, 2), [np.array([[1.0, value]], np.float32)])})
    assert file.path.read_bytes() == good
    assert os.listdir(file.path.parent) == [file.path.name]


@pytest.mark.parametrize("mapped", [False, True])
def test_nan_is_not_read_even_with_a_valid_digest(
    file: StoreEntry, mapped: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as unchecked:
        unchecked.setattr("mtlkit.runs.store.is_finite", lambda _: True)
        file.write({"vectors": np.array([[1.0, np.nan]], np.float32)})
    assert file.read(accept_all, mapped=mapped) is None
    assert "NaN or infinity in 'vectors'" in caplog.messages[0]


def test_parent_folders_are_created(tmp_path: Path) -> None:
    """A missing cache folder must not disable caching."""
    deep = entry_in(tmp_path / "new" / "folder" / "tokens", "test", KEY)
    deep.keep(ARRAYS)
    assert is_same(deep.read(accept_all))


def test_file_is_synced_before_the_rename(file: StoreEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    done = watch(monkeypatch, lambda _, name, path: seen.append((name, path.suffix)))
    file.write(ARRAYS)
    assert done == ["sync", "rename", "sync"]
    assert seen[:2] == [("sync", disk.UNFINISHED), ("rename", disk.UNFINISHED)]


@pytest.mark.parametrize("number", [1, 2])
def test_disk_error_keeps_the_old_file(file: StoreEntry, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with monkeypatch.context() as patch:
        watch(patch, failing_at(number, 28))
        file.keep({"vectors": np.zeros((2, 2), np.float32)})
    assert is_same(file.read(accept_all))
    assert os.listdir(file.path.parent) == [file.path.name]


def read_and_write(path: str) -> None:
    """Reads and writes the same file repeatedly, beside other processes; any warning is an error."""
    logging.getLogger("mtlkit").addHandler(RaisingHandler())
    file = StoreEntry(Path(path), "test", KEY)
    for _ in range(40):
        assert is_same(file.get(lambda: ARRAYS, accept_all).arrays)
        file.write(ARRAYS)


class RaisingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


def test_concurrent_writers_of_one_file(tmp_path: Path) -> None:
    path = entry_in(tmp_path / "cache", "test", KEY).path
    spawn = multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork")
    workers = [spawn.Process(target=read_and_write, args=(str(path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert os.listdir(path.parent) == [path.name]


WRITING = """
import sys, time
import numpy as np
from pathlib import Path
from mtlkit.runs.store import RowStream, entry_in

def parts():
    yield np.ones((500, 8), np.float32)
    print("half", flush=True)
    time.sleep(60)

entry_in(Path(sys.argv[1]), "test", sys.argv[2]).write({"rows": RowStream((1000, 8), parts())})
"""


@pytest.fixture
def writing(file: StoreEntry) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half of another version of the file."""
    arguments = [sys.executable, "-c", WRITING, str(file.path.parent), KEY]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_writer_leaves_the_old_file_and_its_temporary_file_is_removed(
    file: StoreEntry, writing: subprocess.Popen[str]
) -> None:
    folder = file.path.parent
    assert is_same(file.read(accept_all))
    (half,) = folder.glob(f".*{disk.UNFINISHED}")
    before = time.time() - disk.MIN_AGE - 1
    os.utime(half, (before, before))
    file.write(ARRAYS)
    assert half.exists()  # still being written
    writing.send_signal(signal.SIGKILL)
    writing.wait()
    assert is_same(file.read(accept_all))
    file.write(ARRAYS)
    assert os.listdir(folder) == [file.path.name]


def test_keys_differ_by_parts_and_their_order() -> None:
    keys = {cache_key(*parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [], ["c", "ab"])}
    assert len(keys) == 6
    assert json.dumps(sorted(keys)).isascii()
