"""Reads rows from plain text: one text per line, or fastText lines with their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.records import TOO_LONG
from mtlkit.data.formats.text import NumberedLines, open_lines
from mtlkit.data.sources.rows import BadRow, Row, placed

LABEL = "__label__"  # prefix of a label in fastText files
LABELLED = re.compile(LABEL + r"(\S+)[ \t]*")


def read_lines(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """Reads one text per line; in fastText files (lines start with `__label__x`) also the labels."""
    with open_lines(file, encoding) as lines:
        sample = lines.peek(1000, 1 << 18)
        if is_fasttext(sample):
            multi_label = any(len(_split_labels(line)[0]) > 1 for line in sample if line)
            yield from _read_fasttext(lines, file, multi_label)
            return
        for number, line in lines.numbered():
            if line is None:
                yield BadRow(f"{file}:{number}: {TOO_LONG}")
            else:
                yield placed({"text": line}, file, number)


def is_fasttext(sample: list[str | None]) -> bool:
    """Whether the first non-empty line starts with a label."""
    return (next((line for line in sample if line), None) or "").startswith(LABEL)


def _read_fasttext(lines: NumberedLines, file: DataFile, multi_label: bool) -> Iterator[Row | BadRow]:
    for number, line in lines.numbered():
        if line is None:
            yield BadRow(f"{file}:{number}: {TOO_LONG}")
        elif line:
            labels, text = _split_labels(line)
            if not labels:
                yield BadRow(f"{file}:{number}: the line does not start with {LABEL}")
            elif len(labels) > 1 and not multi_label:
                yield BadRow(f"{file}:{number}: {len(labels)} labels, but earlier lines have one each")
            else:
                yield placed({"text": text, "label": labels if multi_label else labels[0]}, file, number)


def _split_labels(line: str) -> tuple[list[str], str]:
    """`__label__a __label__b some text` -> (["a", "b"], "some text")."""
    labels = []
    while match := LABELLED.match(line):
        labels.append(match[1])
        line = line[match.end() :]
    return labels, line
