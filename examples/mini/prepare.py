"""Cuts paragraphs into the texts that the small model learns from: sentences, short ones above all, spans of words, paragraphs.

    python prepare.py WIKIPEDIA.parquet NOVELS.parquet texts.parquet

Both inputs have a column `text`, a paragraph a row.
"""

from __future__ import annotations

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from pyarrow import parquet

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z])")
LEAST_WORDS, SHORT_WORDS, PARAGRAPH_LETTERS = 4, 12, 300


@dataclass(frozen=True)
class Share:
    """How many texts of each sort are taken from a source."""

    sentences: int
    spans: int
    short: int
    paragraphs: int


SHARES = (Share(280_000, 50_000, 90_000, 35_000), Share(90_000, 15_000, 120_000, 10_000))  # encyclopedia, novels


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph that are not mere exclamations."""
    return [one for one in SENTENCE_END.split(paragraph) if len(one.split()) >= LEAST_WORDS]


def span(sentence: str, rng: random.Random) -> str | None:
    """Three to ten words out of a longer sentence."""
    words = sentence.split()
    size = rng.randint(3, 10)
    if len(words) <= size:
        return None
    start = rng.randrange(len(words) - size + 1)
    return " ".join(words[start : start + size]).strip(",;:\"'()")


def pick(path: Path, share: Share, rng: random.Random) -> set[str]:
    """The texts that are taken from one source."""
    rows = [one for one in parquet.read_table(path)["text"].to_pylist() if one.strip()]
    split = [one for row in rows for one in sentences(row)]
    rng.shuffle(split)
    used = share.sentences + share.spans
    texts = set(split[: share.sentences])
    texts.update(made for one in split[share.sentences : used] if (made := span(one, rng)))
    texts.update([one for one in split[used:] if len(one.split()) <= SHORT_WORDS][: share.short])
    long = [row for row in rows if len(row) > PARAGRAPH_LETTERS]
    texts.update(rng.sample(long, min(len(long), share.paragraphs)))
    return texts


def main(wikipedia: Path, novels: Path, out: Path) -> None:
    rng = random.Random(0)
    texts = sorted({text for path, share in zip((wikipedia, novels), SHARES, strict=True) for text in pick(path, share, rng)})
    random.Random(1).shuffle(texts)
    parquet.write_table(pyarrow.table({"text": texts}), out, compression="zstd")
    print(f"{out}: {len(texts):,} texts, {sum(map(len, texts)):,} letters")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
