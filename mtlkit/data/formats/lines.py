"""Rows of plain text: a text a line, or a line of fastText with its labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.records import TOO_LONG
from mtlkit.data.formats.text import NumberedLines, open_lines
from mtlkit.data.sources.rows import BadRow, Row, placed

LABEL = "__label__"  # how a label begins in the files of fastText
LABELLED = re.compile(LABEL + r"(\S+)[ \t]*")


def read_lines(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """A text a line; where lines begin with `__label__x`, their labels, too."""
    with open_lines(file, encoding) as lines:
        sample = lines.peek(1000, 1 << 18)
        if is_fasttext(sample):
            several = any(len(_labels(line)[0]) > 1 for line in sample if line)
            yield from _labelled(lines, file, several)
            return
        for number, line in lines.numbered():
            if line is None:
                yield BadRow(f"{file}:{number}: {TOO_LONG}")
            else:
                yield placed({"text": line}, file, number)


def is_fasttext(sample: list[str | None]) -> bool:
    """Whether the first line that is not blank begins with a label."""
    return (next((line for line in sample if line), None) or "").startswith(LABEL)


def _labelled(lines: NumberedLines, file: DataFile, several: bool) -> Iterator[Row | BadRow]:
    for number, line in lines.numbered():
        if line is None:
            yield BadRow(f"{file}:{number}: {TOO_LONG}")
        elif line:
            labels, text = _labels(line)
            if not labels:
                yield BadRow(f"{file}:{number}: no {LABEL} at the beginning of the line")
            elif len(labels) > 1 and not several:
                yield BadRow(f"{file}:{number}: {len(labels)} labels where the rows before have one")
            else:
                yield placed({"text": text, "label": labels if several else labels[0]}, file, number)


def _labels(line: str) -> tuple[list[str], str]:
    """`__label__a __label__b some text` -> its labels and the text."""
    labels = []
    while found := LABELLED.match(line):
        labels.append(found[1])
        line = line[found.end() :]
    return labels, line
