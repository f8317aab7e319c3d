"""The nearest candidates of each pair, against a comparison of everything with everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlkit.config.commands.mine import MineOptions
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.inputs.texts import parts
from mtlkit.recipes.mining import search
from mtlkit.recipes.mining.candidates import DistinctTexts
from mtlkit.recipes.mining.search import PairIndex, Search

FIRSTS = ["a cat", "A  Cat", "a saw", "a horse", "the trout", "a drill"]
SECONDS = ["the cat sleeps", "a kitten", "a broken saw", "THE CAT SLEEPS", "a fish", "a kitten"]


@pytest.fixture(scope="module")
def model(runs: Path) -> LoadedModel:
    return load(runs / "sentence")


def by_hand(model: LoadedModel, candidates: list[str]) -> list[list[str]]:
    """The candidates of each pair, nearest first, without the anchor and what matches it."""
    anchors, others = (model.embed(list(group), normalize=True) for group in (FIRSTS, candidates))
    found = []
    for row, first in enumerate(FIRSTS):
        same = [other for other in range(len(FIRSTS)) if FIRSTS[other].split() == first.split() or {row, other} == {0, 1}]
        matching = {" ".join(text.lower().split()) for other in same for text in (FIRSTS[other], SECONDS[other])}
        order = np.argsort(-(others @ anchors[row]), kind="stable")
        found.append([candidates[place] for place in order if " ".join(candidates[place].lower().split()) not in matching])
    return found


@pytest.mark.parametrize(
    "corpus", [None, ["a fish", "A CAT", "two saws", " ", "a fish ", "the cat  sleeps", "a pony", "a hammer"]]
)
def test_nearest_candidates_in_blocks(corpus: list[str] | None, model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "parts", lambda texts: parts(texts, 2))
    monkeypatch.setattr(search, "ANCHORS_AT_ONCE", 3)
    distinct = None if corpus is None else DistinctTexts(lambda: corpus)
    pairs = PairIndex(FIRSTS, SECONDS)
    found = Search(pairs, MineOptions(depth=4), model).run(distinct)
    candidates = list(distinct or pairs.seconds)
    assert candidates == (
        ["the cat sleeps", "a kitten", "a broken saw", "a fish"]
        if corpus is None
        else ["a fish", "A CAT", "two saws", "the cat  sleeps", "a pony", "a hammer"]
    )
    assert found.compared == len(candidates)
    for row, wanted in enumerate(by_hand(model, candidates)):
        assert [candidates[number] for number in found.candidates[row] if number >= 0] == wanted[:4]
    firsts, seconds = (model.embed(group, normalize=True) for group in (FIRSTS, SECONDS))
    written_once = [0, 2, 4, 5]  # of texts that differ in case, the first stands for all
    np.testing.assert_allclose(found.positives[written_once], (firsts * seconds).sum(1)[written_once], atol=1e-5)
