"""Spans in the tags of texts, counted and for display."""

from __future__ import annotations

import pytest

from mtlkit.data.labels.tagged_spans import shown_tags, spans_by_type
from mtlkit.data.tokenization.word_splitting import split_words


def test_spans_are_counted_by_type_the_largest_first() -> None:
    labels = [("B-PER", "I-PER", "O", "B-LOC"), ("O",), ("B-LOC", "B-LOC")]
    assert list(spans_by_type(labels).items()) == [("LOC", 3), ("PER", 1)]
    assert spans_by_type([("NOUN", "VERB")]) == {}
    assert spans_by_type([("O",)]) == {}


@pytest.mark.parametrize(
    ("tags", "shown"),
    [
        ("B-PER O O B-LOC I-LOC", "PER Anna, LOC New York"),
        ("O O O O O", "no spans"),
        ("NOUN VERB ADP NOUN NOUN", "NOUN VERB ADP NOUN NOUN"),
    ],
)
def test_tags_of_a_text_for_display(tags: str, shown: str) -> None:
    text = "Anna lives in New York"
    assert shown_tags(text, split_words(text), tuple(tags.split())) == shown
