"""Splits raw text into words for heads that tag words."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # written without blanks; as BERT's tokenizer
JOINING = r"['’.\-&/:@+=?%#~]+"  # punctuation inside a word: don't, e-mail, U.S.A, https://example.org/a?b=c

INVISIBLE = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060-\u2064\ufeff]"  # control characters and blanks without width


def split_words(text: str) -> NDArray[np.int64]:
    """The words of a text as character offsets of their beginnings and ends, (n, 2); n is 0 for blank text.

    A word is a run of letters, marks and digits, also with single punctuation inside, as in "don't", 3.5 and web addresses, and
    with @ or # before it. Each other visible character is a word, and so is each Chinese one.
    """
    spans = [match.span() for match in word_pattern().finditer(text)]
    return np.array(spans, np.int64).reshape(-1, 2)


@cache
def word_pattern() -> re.Pattern[str]:
    """The regular expression of a word."""
    marks = f"[{_marks()}]"
    letter = rf"(?:(?![{IDEOGRAPHS}])[\w{_marks()}])"
    choices = (
        rf"[{IDEOGRAPHS}]{marks}*",
        r"(?:[^\W\d_]\.){2,}",  # an abbreviation such as U.S.
        rf"[@#]?{letter}+(?:(?:{JOINING}|(?<=\d),(?=\d)){letter}+)*",
        rf"(?!{INVISIBLE})\S{marks}*(?:(?<=\u200d)\S{marks}*)*",  # symbols that a joiner makes one
    )
    return re.compile("|".join(choices))


@cache
def _marks() -> str:
    """Combining marks and joiners, which belong to the character before them, as the inside of a character class."""
    marks = [code for code in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    marks += [0x200C, 0x200D, *range(0x1F3FB, 0x1F400)]  # joiners, skin tones
    marks.sort()
    starts = [marks[0], *(after for before, after in pairwise(marks) if after > before + 1)]
    ends = [*(before for before, after in pairwise(marks) if after > before + 1), marks[-1]]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
