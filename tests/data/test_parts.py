"""Parts of unfinished work: what may be gone on with, and what may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlkit.data.parts import Parts
from mtlkit.errors import DataError, UsageError

TEXTS = ["a", "", "café 😀", "line\nbreak"]
VECTORS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
MADE_BY = {"model": "12ab", "normalize": "false"}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Of two parts, the first is done."""
    parts = Parts(tmp_path / "out.npy", MADE_BY)
    parts.open(resume=False, overwrite=False)
    parts.write(0, TEXTS[:3], VECTORS[:3])
    return parts


def test_parts_become_the_file_and_go_away(parts: Parts) -> None:
    parts.write(1, TEXTS[3:], VECTORS[3:])
    assert list(parts.assemble(2, 3)) == [3, 1]
    assert np.array_equal(np.load(parts.output), VECTORS)
    assert [path.name for path in parts.output.parent.iterdir()] == ["out.npy"]


def test_work_that_was_done_is_neither_lost_nor_used_unasked(parts: Parts) -> None:  # fault 14
    again = Parts(parts.output, MADE_BY)
    with pytest.raises(UsageError, match="go on with --resume, or start again with --overwrite"):
        again.open(resume=False, overwrite=False)
    again.open(resume=True, overwrite=False)
    assert again.holds(0, TEXTS[:3])
    assert not again.holds(1, TEXTS[3:])
    again.open(resume=False, overwrite=True)
    assert not again.any()


def test_an_attempt_that_had_done_nothing_is_no_obstacle(tmp_path: Path) -> None:
    Parts(tmp_path / "out.npy", MADE_BY).open(resume=False, overwrite=False)
    Parts(tmp_path / "out.npy", {"model": "other"}).open(resume=False, overwrite=False)


def test_resuming_nothing_begins(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out.npy", MADE_BY)
    parts.open(resume=True, overwrite=False)
    assert not parts.any()


@pytest.mark.parametrize(
    ("made_by", "said"),
    [
        ({**MADE_BY, "normalize": "true"}, "was begun with normalize false, and now it is true"),
        ({**MADE_BY, "model": "34cd"}, "was begun with model 12ab, and now it is 34cd"),
        ({"model": "12ab"}, "was begun with normalize false, and now it is None"),
    ],
)
def test_what_would_make_other_vectors_is_refused(parts: Parts, made_by: dict[str, str], said: str) -> None:  # fault 12
    with pytest.raises(UsageError, match=said):
        Parts(parts.output, made_by).open(resume=True, overwrite=False)
    assert parts.any()


@pytest.mark.parametrize("texts", [["a", "", "cafe 😀"], ["a", ""], ["", "a", "café 😀"], ["a", "", "café 😀", "more"]])
def test_other_texts_are_refused(parts: Parts, texts: list[str]) -> None:  # fault 12
    with pytest.raises(UsageError, match=r"the texts of part 1 are not those that .*out.npy was begun with"):
        parts.holds(0, texts)


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_part_that_is_cut_short_is_not_taken_for_done(parts: Parts, left: int) -> None:  # fault 3
    path = parts.folder / "00000000.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    assert not parts.holds(0, TEXTS[:3])


def test_a_damaged_state_is_named(parts: Parts) -> None:
    (parts.folder / "state.json").write_text("[")
    with pytest.raises(UsageError, match=r"state.json: damaged; start again with --overwrite"):
        parts.open(resume=True, overwrite=False)


def test_texts_of_no_letters_are_kept(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out.jsonl", MADE_BY)
    parts.open(resume=False, overwrite=False)
    parts.write(0, ["", ""], VECTORS[:2])
    assert parts.holds(0, ["", ""])
    assert list(parts.assemble(1, 3)) == [2]


def test_a_place_that_vanished_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone/\.out\.npy\.parts: No such file or directory"):
        Parts(tmp_path / "gone" / "out.npy", MADE_BY).open(resume=False, overwrite=False)
