"""Words of raw text and their character offsets."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.tokenization.word_splitting import INVISIBLE, split_words


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jim's (new) car, 3.5m long!", "Jim's ( new ) car , 3.5m long !"),
        ("see https://t.co/a?b=c #now @Jim_1", "see https://t.co/a?b=c #now @Jim_1"),
        ("3,500 a,b;c wait...", "3,500 a , b ; c wait . . ."),
        ("the U.S. won.", "the U.S. won ."),
        ("don’t—stop 50%", "don’t — stop 50 %"),
        ("我在北京。Hello", "我 在 北 京 。 Hello"),
        ("मैं हिन्दी में", "मैं हिन्दी में"),
        ("nai\u0308ve 👩\u200d👧 👍🏽", "nai\u0308ve 👩\u200d👧 👍🏽"),
    ],
)
def test_words_are_split_at_blanks_and_punctuation(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@pytest.mark.parametrize("text", ["", "  \n\t", "\x00\u200b"])
def test_blank_text_has_no_words(text: str) -> None:
    assert split_words(text).shape == (0, 2)


@given(text=st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_every_visible_character_is_in_one_word(text: str) -> None:
    spans = split_words(text)
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    inside = np.zeros(len(text), np.bool_)
    for start, end in spans:
        inside[start:end] = True
        assert not any(letter.isspace() for letter in text[start:end])
    assert all(
        letter.isspace() or re.fullmatch(INVISIBLE, letter) for letter, found in zip(text, inside, strict=True) if not found
    )
