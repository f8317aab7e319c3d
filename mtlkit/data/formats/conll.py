"""Reads files with a word per line and columns of tags, as the shared tasks of CoNLL have them: a row for each sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.records import TOO_LONG
from mtlkit.data.formats.text import LONGEST, NumberedLines, open_lines
from mtlkit.data.sources.rows import BadRow, Row, placed
from mtlkit.errors import counted

SUFFIXES = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes")
UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # columns of CoNLL-U
DOCUMENT = "-DOCSTART-"
SAMPLE_LINES, SAMPLE_CHARACTERS = 1000, 1 << 18


@dataclass(frozen=True)
class ConllLayout:
    """The names of the columns, 1, 2 and so on or those of CoNLL-U, and whether tabs separate them; else blanks do."""

    columns: tuple[str, ...]
    tabs: bool

    def fields(self, line: str) -> list[str]:
        return [field.strip() for field in line.split("\t")] if self.tabs else line.split()


def read_conll(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """Reads a row for each sentence, of lists with the values of its words; its number is the line of its first word.

    Blank lines separate sentences. Lines with -DOCSTART-, and before a sentence comments, are skipped. A line is a comment if it
    begins with # and does not have the fields of a word, so that # can be a word.
    """
    with open_lines(file, encoding) as lines:
        layout = find_layout(lines.peek(SAMPLE_LINES, SAMPLE_CHARACTERS))
        for sentence in _sentences(lines, layout):
            yield _row(sentence, layout, file)


def find_layout(sample: Sequence[str | None]) -> ConllLayout:
    """The layout of a file, by its first lines: as many columns as most lines have."""
    lines = [line for line in sample if line and line.strip() and not line.startswith(DOCUMENT)]
    words = [line for line in lines if not line.startswith("#")] or lines
    layout = ConllLayout((), any("\t" in line for line in words))
    rows = [layout.fields(line) for line in words]
    count = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    if count == len(UNIVERSAL) and layout.tabs and re.fullmatch(r"1(-\d+)?", rows[0][0]):
        return ConllLayout(UNIVERSAL, True)
    return ConllLayout(tuple(str(number) for number in range(1, count + 1)), layout.tabs)


def looks_tagged(lines: Sequence[str]) -> bool:
    """Whether lines are words with tags of spans in the last of several columns."""
    from mtlkit.data.labels.tag_schemes import scheme_of  # needs numpy, which `--help` does without

    rows = [line.split() for line in lines if line.strip() and not line.startswith(DOCUMENT)]
    widths = set(map(len, rows))
    return len(widths) == 1 and widths.pop() > 1 and scheme_of(row[-1] for row in rows) != "plain"


Sentence = list[tuple[int, str | None]]


def _sentences(lines: NumberedLines, layout: ConllLayout) -> Iterator[Sentence]:
    """The lines of the words of each sentence, with their numbers; None in place of one that is too long."""
    sentence: Sentence = []
    letters = 0
    for number, line in lines.numbered():
        if line is not None and (not line.strip() or line.startswith(DOCUMENT)):
            if sentence:
                yield sentence
            sentence, letters = [], 0
        elif line is None or sentence or not line.startswith("#") or len(layout.fields(line)) == len(layout.columns):
            letters += len(line or "")
            if letters <= LONGEST:
                sentence.append((number, line))
            elif sentence[-1][1] is not None:
                sentence.append((number, None))
    if sentence:
        yield sentence


def _row(sentence: Sentence, layout: ConllLayout, file: DataFile) -> Row | BadRow:
    """A sentence as lists of the fields of its words."""
    words: list[list[str]] = []
    for number, line in sentence:
        if line is None:
            return BadRow(f"{file}:{number}: {TOO_LONG}")
        fields = layout.fields(line)
        if len(fields) != len(layout.columns):
            separator = "tabs" if layout.tabs else "blanks"
            found, usual = counted(len(fields), "field"), len(layout.columns)
            return BadRow(f"{file}:{number}: {found} separated by {separator}, but other lines have {usual}")
        if layout.columns is not UNIVERSAL or fields[0].isdigit():  # else a range of words such as 1-2, or an empty node
            words.append(fields)
    return placed(zip(layout.columns, map(list, zip(*words, strict=True)), strict=False), file, sentence[0][0])
