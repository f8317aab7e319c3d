"""Parts of an unfinished output: which may be resumed, and which may not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from faults import watch
from safetensors.numpy import save_file

from mtlkit.data.outputs.columns import Layout, OutputRows, VectorColumn
from mtlkit.data.outputs.resumable_output import OutputParts
from mtlkit.errors import DataError, UsageError

TEXTS = ["a", "", "café 😀", "line\nbreak"]
VECTORS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
LAYOUT = Layout(True, (), VectorColumn(3))
MADE_BY = {"model": "12ab", "normalize": "false"}


@pytest.fixture
def parts(tmp_path: Path) -> OutputParts:
    """Of two parts, the first is done."""
    parts = OutputParts(tmp_path / "out.npy", MADE_BY)
    parts.open(resume=False, overwrite=False)
    parts.write(0, OutputRows(TEXTS[:3], VECTORS[:3]))
    return parts


def test_parts_become_the_file_and_go_away(parts: OutputParts) -> None:
    parts.write(1, OutputRows(TEXTS[3:], VECTORS[3:]))
    assert list(parts.assemble(2, LAYOUT)) == [3, 1]
    assert np.array_equal(np.load(parts.output), VECTORS)
    assert [path.name for path in parts.output.parent.iterdir()] == ["out.npy"]


def test_finished_work_is_neither_lost_nor_reused_without_request(parts: OutputParts) -> None:  # fault 14
    again = OutputParts(parts.output, MADE_BY)
    with pytest.raises(UsageError, match="continue with --resume, or start again with --overwrite"):
        again.open(resume=False, overwrite=False)
    again.open(resume=True, overwrite=False)
    assert again.holds(0, TEXTS[:3])
    assert not again.holds(1, TEXTS[3:])
    again.open(resume=False, overwrite=True)
    assert not again.any()


def test_an_attempt_that_had_done_nothing_is_no_obstacle(tmp_path: Path) -> None:
    OutputParts(tmp_path / "out.npy", MADE_BY).open(resume=False, overwrite=False)
    OutputParts(tmp_path / "out.npy", {"model": "other"}).open(resume=False, overwrite=False)


def test_resuming_nothing_begins(tmp_path: Path) -> None:
    parts = OutputParts(tmp_path / "out.npy", MADE_BY)
    parts.open(resume=True, overwrite=False)
    assert not parts.any()


@pytest.mark.parametrize(
    ("made_by", "said"),
    [
        ({**MADE_BY, "normalize": "true"}, "was started with normalize false, but now it is true"),
        ({**MADE_BY, "model": "34cd"}, "was started with model 12ab, but now it is 34cd"),
        ({"model": "12ab"}, "was started with normalize false, but now it is None"),
    ],
)
def test_what_would_make_other_vectors_is_refused(parts: OutputParts, made_by: dict[str, str], said: str) -> None:  # fault 12
    with pytest.raises(UsageError, match=said):
        OutputParts(parts.output, made_by).open(resume=True, overwrite=False)
    assert parts.any()


@pytest.mark.parametrize("texts", [["a", "", "cafe 😀"], ["a", ""], ["", "a", "café 😀"], ["a", "", "café 😀", "more"]])
def test_other_texts_are_refused(parts: OutputParts, texts: list[str]) -> None:  # fault 12
    with pytest.raises(UsageError, match=r"the texts of part 1 of .*out.npy differ"):
        parts.holds(0, texts)


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_part_that_is_cut_short_is_not_done(parts: OutputParts, left: int) -> None:  # fault 3
    path = parts.folder / "00000000.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    assert not parts.holds(0, TEXTS[:3])


def test_a_bit_flipped_anywhere_in_a_part_is_seen(parts: OutputParts, caplog: pytest.LogCaptureFixture) -> None:  # fault 43
    path = parts.folder / "00000000.safetensors"
    good = path.read_bytes()
    data = good.index(VECTORS[:3].tobytes()) - 64  # and some of the header, whose end means nothing
    for place in [*range(0, 200, 7), *range(data + 64, len(good))]:
        path.write_bytes(good[:place] + bytes([good[place] ^ 64]) + good[place + 1 :])
        caplog.clear()
        assert not parts.holds(0, TEXTS[:3]), place
        (warning,) = caplog.messages
        assert warning.startswith(f"{path} ")


@pytest.mark.parametrize("made_by", [{**MADE_BY, "model": "34cd"}, {"model": "12ab"}, {**MADE_BY, "prompt": "query: "}], ids=str)
def test_a_part_of_other_settings_under_the_same_name_is_not_used(parts: OutputParts, made_by: dict[str, str]) -> None:
    assert not OutputParts(parts.output, made_by).holds(0, TEXTS[:3])


def test_a_part_under_the_name_of_another_is_not_used(parts: OutputParts) -> None:
    (parts.folder / "00000000.safetensors").rename(parts.folder / "00000001.safetensors")
    assert not parts.holds(1, TEXTS[:3])


@pytest.mark.parametrize("damage", ["bit", "gone"])
def test_a_part_that_is_damaged_before_the_output_is_made_stops_it(parts: OutputParts, damage: str) -> None:
    parts.write(1, OutputRows(TEXTS[3:], VECTORS[3:]))
    path = parts.folder / "00000000.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    if damage == "gone":
        path.unlink()
    with pytest.raises(DataError, match=r"00000000\.safetensors was damaged after it was written; compute .* with --resume"):
        list(parts.assemble(2, LAYOUT))
    assert not parts.output.exists()
    parts.write(0, OutputRows(TEXTS[:3], VECTORS[:3]))
    assert list(parts.assemble(2, LAYOUT)) == [3, 1]
    assert np.array_equal(np.load(parts.output), VECTORS)


def test_a_part_is_synced_before_it_counts_as_done(parts: OutputParts, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    watch(monkeypatch, lambda _, name, path: done.append((name, path.name)))
    parts.write(1, OutputRows(TEXTS[3:], VECTORS[3:]))
    assert [name for name, _ in done] == ["sync", "rename", "sync"]
    beside = done[0][1]
    assert beside.startswith(".00000001.safetensors.")
    assert done[1:] == [("rename", beside), ("sync", parts.folder.name)]


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_state_is_replaced_and_sound_parts_are_used(
    parts: OutputParts, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    state = parts.folder / "state.json"
    good = state.read_bytes()
    state.write_bytes(content)
    parts.open(resume=True, overwrite=False)
    (warning,) = caplog.messages
    assert warning.startswith(f"{state} is damaged (")
    assert state.read_bytes() == good
    assert parts.holds(0, TEXTS[:3])
    state.write_bytes(content)
    other = OutputParts(parts.output, {**MADE_BY, "model": "34cd"})
    other.open(resume=True, overwrite=False)
    assert not other.holds(0, TEXTS[:3])


def test_parts_of_an_earlier_version_are_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = OutputParts(tmp_path / "out.npy", MADE_BY)
    parts.folder.mkdir()
    (parts.folder / "state.json").write_text(json.dumps(MADE_BY))
    save_file({"vectors": VECTORS, "ends": np.arange(4)}, parts.folder / "00000000.safetensors")
    parts.open(resume=True, overwrite=False)
    (warning,) = caplog.messages
    assert "another version of mtlkit; starting again" in warning
    assert not parts.any()


def test_files_of_others_in_the_folder_of_parts_are_kept(parts: OutputParts) -> None:
    notes = parts.folder / "notes.txt"
    notes.write_text("mine")
    parts.open(resume=False, overwrite=True)
    assert not parts.any()
    parts.write(0, OutputRows(TEXTS[:3], VECTORS[:3]))
    list(parts.assemble(1, LAYOUT))
    assert notes.read_text() == "mine"
    assert list(parts.folder.iterdir()) == [notes]


def test_texts_of_no_letters_are_kept(tmp_path: Path) -> None:
    parts = OutputParts(tmp_path / "out.jsonl", MADE_BY)
    parts.open(resume=False, overwrite=False)
    parts.write(0, OutputRows(["", ""], VECTORS[:2]))
    assert parts.holds(0, ["", ""])
    assert list(parts.assemble(1, LAYOUT)) == [2]


def test_a_place_that_vanished_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone/\.out\.npy\.parts: No such file or directory"):
        OutputParts(tmp_path / "gone" / "out.npy", MADE_BY).open(resume=False, overwrite=False)
