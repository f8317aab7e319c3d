"""Tags of all texts in one spelling."""

from __future__ import annotations

import pytest

from mtlkit.config.architecture import TagScheme
from mtlkit.data.labels.marks import RowError
from mtlkit.data.labels.tag_reading import ReadTags, read_tags


def rows(*texts: str) -> list[tuple[str, ...]]:
    return [tuple(text.split()) for text in texts]


@pytest.mark.parametrize(
    ("written", "scheme", "expected", "remark"),
    [
        ("O B-X I-X", None, "O B-X I-X", ""),
        ("O B_X I_X", None, "O B-X I-X", ""),
        ("B I O", None, "B I O", ""),
        ("U-X O B-Y I-Y L-Y", None, "S-X O B-Y I-Y E-Y", "L as E and U as S"),
        ("O I-X I-X", None, "O B-X I-X", "IOB1"),
        ("B-X O I-Y", None, "B-X O B-Y", "1 of 3 tags do not follow the scheme BIO, such as I-Y after O"),
        ("I-X B-Y", None, "B-X B-Y", "such as I-X at the beginning of a text"),
        ("B-X O S-X", None, "S-X O S-X", "BIOES, such as B-X at the beginning"),
        ("S-X O B-Y E-Y", "bio", "B-X O B-Y I-Y", ""),
        ("B-X O B-Y I-Y", "bioes", "S-X O B-Y E-Y", ""),
        ("NOUN B-X", None, "NOUN B-X", r"tags of spans (B-X) are mixed with other tags (NOUN)"),
        ("NOUN B-X", "plain", "NOUN B-X", ""),
        ("O I-X", "plain", "O I-X", ""),
        ("NOUN O", "bio", "NOUN O", ""),
        ("O O", "bio", "O O", ""),
    ],
)
def test_tags_are_read_in_one_spelling(written: str, scheme: TagScheme | None, expected: str, remark: str) -> None:
    read = read_tags(rows(written), scheme)
    assert read.tags == rows(expected)
    assert remark in "; ".join(read.remarks)
    assert bool(read.remarks) == bool(remark)


def test_the_scheme_that_a_user_names_is_kept() -> None:
    assert read_tags(rows("O I-X B-X"), None, "plain") == ReadTags(rows("O I-X B-X"), "plain")
    assert read_tags(rows("O O"), None, "bio").scheme == "bio"
    assert read_tags(rows("B-X I-X O"), "bio", "bioes").tags == rows("B-X E-X O")
    with pytest.raises(RowError, match="'NOUN' is not of scheme=bio") as caught:
        read_tags(rows("B-X", "O NOUN"), None, "bio")
    assert caught.value.row == 1


def test_the_first_text_with_mixed_tags_is_the_rare_one() -> None:
    assert read_tags(rows("B-X I-X", "O B-X", "O NOUN")).mixed == 2
    assert read_tags(rows("VERB NOUN", "B-X", "NOUN NOUN")).mixed == 1
    assert read_tags(rows("S V", "V V")).mixed is None  # letters by themselves are names


def test_the_first_text_with_an_invalid_sequence_is_known() -> None:
    assert read_tags(rows("B-X I-X", "", "O", "B-X I-Y I-Y", "I-X")).invalid == 3
    assert read_tags(rows("I-X", "I-X B-X")).invalid is None  # IOB1
