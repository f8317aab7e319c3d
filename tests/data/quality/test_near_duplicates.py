"""Texts that are the same, and texts that are near."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.quality.minhash import SHINGLE, batch_ranges, resemblance, shingles, signatures
from mtlkit.data.quality.near_duplicates import BANDS, NEAR, ROWS, TextNumbers, folded, near_pairs

SENTENCE = "a storm over the harbour took the roofs of eleven houses and left two boats on the church square"
LETTERS = st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Z", "P", "S"]), max_size=60)


def sentences(count: int) -> list[str]:
    """Different texts of some twenty words."""
    random = np.random.default_rng(1)
    return [" ".join(f"{word}{random.integers(1000)}" for word in random.permutation(SENTENCE.split())) for _ in range(count)]


def test_the_same_text_has_the_same_number() -> None:
    numbers = TextNumbers()
    assert numbers.of(["A cat.", "a  CAT.\n", "A dog.", ""]).tolist() == [0, 0, 1, 2]
    assert numbers.of([" \t", "Straße", "a cat."]).tolist() == [2, 3, 0]
    assert numbers.texts() == ["a cat.", "a dog.", "", "strasse"]


@given(LETTERS)
def test_folding_is_done_once(text: str) -> None:
    assert folded(folded(f"  {text} ")) == folded(text)


@given(LETTERS, LETTERS)
def test_resemblance_is_a_share_and_has_no_direction(text: str, other: str) -> None:
    value = resemblance(text, other)
    assert 0 <= value <= 1
    assert value == resemblance(other, text)
    assert resemblance(text, text) == 1


def test_resemblance_by_hand() -> None:
    assert shingles("abcdef") == {"abcde", "bcdef"}
    assert shingles("ab") == {"ab"}
    assert resemblance("abcdef", "abcdefg") == 2 / 3
    assert resemblance("ab", "cd") == 0


@settings(derandomize=True)
@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_signatures_estimate_the_resemblance(common: int, own: int, seed: int) -> None:
    """Within five standard deviations of a share of 400 values, for texts of any letters."""
    letters = "".join(map(chr, np.random.default_rng(seed).permutation(np.arange(0x4E00, 0x9000))[: 2 * (common + own)]))
    shared, mine, theirs = letters[: 2 * common], letters[2 * common : 2 * common + own], letters[-own:]
    text, other = (shared + part + "." * SHINGLE for part in (mine, theirs))
    first, second = signatures([text, other], 400)
    true = resemblance(text, other)
    assert abs(float(np.mean(first == second)) - true) <= 5 * np.sqrt(max(true * (1 - true), 1 / 400) / 400)


@given(st.lists(LETTERS, min_size=1, max_size=8))
def test_a_signature_is_of_its_text_alone(texts: list[str]) -> None:
    together = signatures(texts, 8)
    np.testing.assert_array_equal(together, np.concatenate([signatures([text], 8) for text in texts]))


def test_equal_sets_of_shingles_have_equal_signatures() -> None:
    first, second = signatures(["abcabcabcabc", "abcabcabcabcabcabc"], 64)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("sizes", [[], [1], [5, 5, 5, 5], [100, 1, 1, 100], [0, 0, 0]])
def test_batch_ranges_cover_each_item_once(sizes: list[int]) -> None:
    found = list(batch_ranges(np.array(sizes, np.int64), 8))
    assert [place for start, stop in found for place in range(start, stop)] == list(range(len(sizes)))


def test_near_pairs_are_those_that_all_comparisons_find() -> None:
    texts = sentences(150)
    random = np.random.default_rng(0)
    for text in texts[:60]:  # 60 with one to twelve letters changed
        letters = list(text)
        for place in random.integers(len(letters), size=int(random.integers(1, 13))):
            letters[place] = "#"
        texts.append("".join(letters))
    among, others = np.arange(150, 210), np.arange(150)
    wanted = {int(one) for one in among if max(resemblance(texts[one], texts[other]) for other in others) >= NEAR}
    found = list(near_pairs(texts, among, others))
    assert 10 < len(wanted) < 55
    assert {pair.text for pair in found} == wanted
    assert len(found) == len(wanted)
    for pair in found:
        assert pair.resemblance == resemblance(texts[pair.text], texts[pair.other]) >= NEAR
        assert pair.other == pair.text - 150


def test_boilerplate_is_found_without_comparing_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    head = "This message was sent to all members of the society by the secretary on behalf of the board; number "
    texts = [f"{head}{number}" for number in range(2000)]
    compared = []
    monkeypatch.setattr(
        "mtlkit.data.quality.near_duplicates.resemblance", lambda *pair: compared.append(pair) or resemblance(*pair)
    )
    found = list(near_pairs(texts, np.arange(1000), np.arange(1000, 2000)))
    assert {pair.text for pair in found} == set(range(1000))
    assert len(compared) < 2000


@pytest.mark.parametrize(("among", "others"), [([], []), ([0], []), ([], [0])])
def test_nothing_is_near_nothing(among: list[int], others: list[int]) -> None:
    assert list(near_pairs(["a text"], np.array(among, np.int64), np.array(others, np.int64))) == []


def test_a_pair_at_the_bound_is_hardly_ever_missed() -> None:
    assert (1 - NEAR**ROWS) ** BANDS < 0.001
