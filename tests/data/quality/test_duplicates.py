"""Texts of a corpus that repeat earlier ones."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest

from mtlkit.data.quality import duplicates
from mtlkit.data.quality.duplicates import find_duplicates
from mtlkit.data.quality.minhash import resemblance
from mtlkit.data.quality.near_duplicates import NEAR, folded

WORDS = "otter barn river stone light copper winter garden letter morning silver anchor bottle".split()  # noqa: SIM905


def story(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=40))


@pytest.fixture
def texts() -> list[str]:
    """30 stories; of every third one there are also a copy in capitals and two that differ in a word."""
    random, rows = Random(0), []
    for number in range(30):
        text = story(random)
        rows.append(text)
        if not number % 3:
            rows += [text.upper(), f"{text} indeed", f"{text}  again"]
    return rows


def test_one_of_each_group_is_left_and_nothing_unlike_it_is_lost(texts: list[str]) -> None:
    found = find_duplicates(texts, "near")
    assert (found.equal.sum(), found.near.sum()) == (10, 20)
    assert not (found.equal & found.near).any()
    kept = [folded(text) for text, repeated in zip(texts, found.any, strict=True) if not repeated]
    assert len(kept) == 30
    assert all(resemblance(*pair) < NEAR for pair in combinations(kept, 2))
    for place in np.flatnonzero(found.any).tolist():
        assert any(resemblance(folded(texts[place]), folded(before)) >= NEAR for before in texts[:place])


def test_what_is_looked_for(texts: list[str]) -> None:
    assert not find_duplicates(texts, "none").any.any()
    exact = find_duplicates(texts, "exact")
    assert (exact.equal.sum(), exact.near.sum(), exact.is_large) == (10, 0, False)
    assert not find_duplicates([], "near").any.any()


def test_a_long_run_of_boilerplate_leaves_its_first_text() -> None:
    rows = [f"In the {year} census of the county there were twenty seven families in this place." for year in range(1500, 1900)]
    assert np.flatnonzero(~find_duplicates(rows, "near").any).tolist() == [0]


def test_what_was_found_is_read_from_the_cache(texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))
    first = find_duplicates(texts, "near")
    monkeypatch.setattr(duplicates, "near_earlier", lambda _: pytest.fail("compared again"))
    assert find_duplicates(texts, "near").near.tolist() == first.near.tolist()
    (stored,) = (tmp_path / "duplicates").iterdir()
    stored.write_bytes(stored.read_bytes()[:-4])
    monkeypatch.undo()
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))
    assert find_duplicates(texts, "near").near.tolist() == first.near.tolist()  # a damaged file is not used


def test_much_text_is_only_compared_for_equal_texts(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "LETTERS_COMPARED", 100)
    found = find_duplicates(texts, "near")
    assert (found.equal.sum(), found.near.sum(), found.is_large) == (10, 0, True)
