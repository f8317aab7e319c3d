"""Cache files: read exactly as written, or reported and made again, whatever happened to them."""

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
from mtlkit.runs.store import Arrays, RowStream, StoreEntry, digest, entry, fits

KEY = digest("all", "that", "it follows from")
ARRAYS: Arrays = {
    "vectors": np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32),
    "halves": np.ones((2, 2), np.float16),
    "ends": np.arange(5),
    "letters": np.frombuffer(b"some letters", np.uint8),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def file(tmp_path: Path) -> StoreEntry:
    """A file that holds ARRAYS."""
    made = entry(tmp_path / "cache", "test", KEY)
    made.write(ARRAYS)
    return made


def anything(arrays: Arrays) -> bool:
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
def test_what_is_read_is_what_was_written(file: StoreEntry, mapped: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert is_same(file.read(anything, mapped=mapped))
    assert is_same({**load_file(file.path)})  # other tools read it, too
    assert not caplog.messages


def test_a_mapped_array_is_a_view_of_the_disk(file: StoreEntry) -> None:
    found = file.read(anything, mapped=True)
    assert found is not None
    assert isinstance(found["vectors"], np.memmap)
    assert found["vectors"].flags.aligned
    assert not found["vectors"].flags.writeable


def test_rows_are_written_part_by_part(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    one, other = (entry(tmp_path / name, "test", KEY) for name in ("parts", "whole"))
    one.write({"rows": RowStream(rows.shape, iter(np.array_split(rows, 3)))})
    other.write({"rows": rows})
    assert one.path.read_bytes() == other.path.read_bytes()


def test_a_file_that_is_not_there_is_no_matter_of_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert entry(tmp_path, "test", KEY).read(anything) is None
    assert entry(tmp_path / "file" / "cache", "test", KEY).read(anything) is None
    assert not caplog.messages


def test_a_bit_flipped_anywhere_is_seen(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    good = file.path.read_bytes()
    padding = 8 + len(good[8:].partition(b"}}")[0] + b"}}")  # where blanks begin, which mean nothing
    for place in range(0, len(good), 3):
        file.path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        caplog.clear()
        found = file.read(anything, mapped=bool(place % 2))
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
def test_a_damaged_file_is_named_once_and_made_again(
    file: StoreEntry, damage: str, mapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    good = file.path.read_bytes()
    file.path.write_bytes(DAMAGE[damage](good))
    assert file.path.read_bytes() != good
    assert file.read(anything, mapped=mapped) is None
    (warning,) = caplog.messages
    assert warning.startswith(f"{file.path} ")
    assert warning.endswith("ignoring it and computing it again")
    assert "\n" not in warning
    caplog.clear()
    assert is_same(file.get(lambda: ARRAYS, anything))
    assert file.path.read_bytes() == good
    assert len(caplog.messages) == 1
    assert is_same(file.get(lambda: pytest.fail("computed again"), anything))


def test_a_file_whose_digest_was_redone_is_still_held_against_its_use(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    assert file.read(lambda arrays: fits(arrays.get("vectors"), "<f4", 6, 4)) is None
    assert file.read(lambda arrays: fits(arrays.get("vectors"), "<f2", 6, 3)) is None
    assert file.read(lambda arrays: fits(arrays.get("other"), "<f4", 6, 3)) is None
    assert [message.partition(";")[0] for message in caplog.messages] == [f"{file.path} does not hold what it should"] * 3
    assert file.read(lambda arrays: fits(arrays.get("vectors"), "<f4", None, 3)) is not None


def test_a_foreign_file_of_the_same_format_is_not_used(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    save_file(ARRAYS, file.path)
    assert file.read(anything) is None
    save_file(ARRAYS, file.path, {"format": "1", "kind": "test", "key": KEY, "sha256": "0" * 64})
    assert file.read(anything) is None
    save_file(ARRAYS, file.path, {"format": "0", "kind": "test", "key": KEY, "sha256": "0" * 64})
    assert file.read(anything) is None
    said = [message.removeprefix(f"{file.path} ")[:20] for message in caplog.messages]
    assert said == ["is not a cache file ", "is damaged: SHA-256 ", "was written by anoth"]


@pytest.mark.parametrize("change", [{"key": digest("another model")}, {"kind": "other"}])
def test_a_file_of_another_key_or_kind_under_the_same_name_is_not_used(
    file: StoreEntry, change: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    other = StoreEntry(file.path, **{"kind": file.kind, "key": file.key, **change})
    assert other.read(anything) is None
    assert "was made from something else" in caplog.messages[0]
    other.write(ARRAYS)
    assert is_same(other.read(anything))
    assert file.read(anything) is None


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    file.path.unlink()
    os.mkfifo(file.path)
    assert is_same(file.get(lambda: ARRAYS, anything))
    assert "is not a regular file" in caplog.messages[0]
    assert is_same(file.read(anything))  # replaced
    file.path.unlink()
    file.path.symlink_to("/dev/zero")
    assert file.read(anything) is None
    file.path.unlink()
    file.path.mkdir()
    assert is_same(file.get(lambda: ARRAYS, anything))  # which cannot be replaced
    assert file.path.is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
def test_a_file_that_may_not_be_read_is_replaced(file: StoreEntry, caplog: pytest.LogCaptureFixture) -> None:
    file.path.chmod(0)
    with as_any_user():
        assert is_same(file.get(lambda: ARRAYS, anything))
    assert "cannot be read" in caplog.messages[0]
    assert is_same(file.read(anything))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_not_stored(file: StoreEntry, value: float) -> None:
    good = file.path.read_bytes()
    with pytest.raises(IntegrityError, match=r"'vectors' is not stored, as it holds numbers that are not finite"):
        file.keep({"vectors": np.array([[1.0, value]], np.float32)})
    with pytest.raises(IntegrityError, match="not finite"):
        file.write({"vectors": RowStream((1, 2), [np.array([[1.0, value]], np.float32)])})
    assert file.path.read_bytes() == good
    assert os.listdir(file.path.parent) == [file.path.name]


@pytest.mark.parametrize("mapped", [False, True])
def test_numbers_that_are_not_finite_are_not_read_even_with_a_right_digest(
    file: StoreEntry, mapped: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as unchecked:
        unchecked.setattr("mtlkit.runs.store.is_finite", lambda _: True)
        file.write({"vectors": np.array([[1.0, np.nan]], np.float32)})
    assert file.read(anything, mapped=mapped) is None
    assert "not finite in 'vectors'" in caplog.messages[0]


def test_folders_of_a_file_are_created(tmp_path: Path) -> None:
    """A cache folder that is not there yet must not mean that nothing is ever cached."""
    deep = entry(tmp_path / "new" / "folder" / "tokens", "test", KEY)
    deep.keep(ARRAYS)
    assert is_same(deep.read(anything))


def test_a_file_is_synced_before_it_takes_its_place(file: StoreEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    done = watch(monkeypatch, lambda _, name, path: seen.append((name, path.suffix)))
    file.write(ARRAYS)
    assert done == ["sync", "rename", "sync"]
    assert seen[:2] == [("sync", disk.UNFINISHED), ("rename", disk.UNFINISHED)]


@pytest.mark.parametrize("number", [1, 2])
def test_a_failing_disk_keeps_the_file_that_was_there(file: StoreEntry, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with monkeypatch.context() as patch:
        watch(patch, failing_at(number, 28))
        file.keep({"vectors": np.zeros((2, 2), np.float32)})
    assert is_same(file.read(anything))
    assert os.listdir(file.path.parent) == [file.path.name]


def rounds(path: str) -> None:
    """What a process does that uses the same file as others: reads and writes it over and over; damage ends it with an error."""
    logging.getLogger("mtlkit").addHandler(Loud())
    file = StoreEntry(Path(path), "test", KEY)
    for _ in range(40):
        assert is_same(file.get(lambda: ARRAYS, anything))
        file.write(ARRAYS)


class Loud(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


def test_processes_that_write_the_same_file_at_once_do_each_other_no_harm(tmp_path: Path) -> None:
    path = entry(tmp_path / "cache", "test", KEY).path
    spawn = multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork")
    workers = [spawn.Process(target=rounds, args=(str(path),)) for _ in range(3)]
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
from mtlkit.runs.store import RowStream, entry

def parts():
    yield np.ones((500, 8), np.float32)
    print("half", flush=True)
    time.sleep(60)

entry(Path(sys.argv[1]), "test", sys.argv[2]).write({"rows": RowStream((1000, 8), parts())})
"""


@pytest.fixture
def writing(file: StoreEntry) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing another version of the file."""
    arguments = [sys.executable, "-c", WRITING, str(file.path.parent), KEY]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_while_it_writes_the_file_before_stands_and_the_rest_is_swept(
    file: StoreEntry, writing: subprocess.Popen[str]
) -> None:
    folder = file.path.parent
    assert is_same(file.read(anything))
    (half,) = folder.glob(f".*{disk.UNFINISHED}")
    before = time.time() - disk.JUST_MADE - 1
    os.utime(half, (before, before))
    file.write(ARRAYS)
    assert half.exists()  # somebody writes it
    writing.send_signal(signal.SIGKILL)
    writing.wait()
    assert is_same(file.read(anything))
    file.write(ARRAYS)
    assert os.listdir(folder) == [file.path.name]


def test_keys_tell_all_their_parts_apart() -> None:
    keys = {digest(*parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [], ["c", "ab"])}
    assert len(keys) == 6
    assert json.dumps(sorted(keys)).isascii()
