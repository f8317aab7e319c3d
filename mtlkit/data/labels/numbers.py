"""Checks and remarks on labels that look like numbers and are read as classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mtlkit.data.labels.marks import Label, RowError
from mtlkit.data.labels.values import class_name, number_of, quoted
from mtlkit.errors import DataError, listed

FEW_NUMBERS, FEW_NAMES = 10, 20  # classes, up to which each row may have its own
OWN_DECIMALS, OWN_NUMBERS, OWN_NAMES = 0.5, 0.8, 0.9  # shares of the rows above which labels are not classes
MOST_SCORES, MOST_NUMBERS = (
    0.5,
    0.8,
)  # shares of the rows above which numbers, with a fraction or any, are probably meant as numbers
SHOWN = 5  # labels in a sentence
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
ADORNED = re.compile(r"\s*[$€£¥]?\s*[-+]?(?:\d{1,3}(?:[., '\u00a0\u202f]\d{3})+|\d+)?(?:[.,]\d+)?\s*[%$€£¥]?\s*")


def check_numbers(labels: Sequence[Label], location: str) -> None:
    """Raises DataError if the labels are numbers in a notation that cannot be parsed, and RowError if most are scores and a
    row has something else."""
    counts = Counter(labels)
    if not any(isinstance(label, tuple) for label in counts):
        _check_spelling(_names(counts), location)
        _check_scores(labels, counts, location)


def check_classes(labels: Sequence[Label], location: str) -> None:
    """Raises DataError if the labels are unlikely to be classes, as nearly every row has a different one."""
    if any(isinstance(label, tuple) for label in labels):
        return
    classes = _names(Counter(labels))
    numbers = all(number_of(name) is not None for name in classes)
    decimals = numbers and any("." in name for name in classes)
    few, share = (FEW_NUMBERS, OWN_DECIMALS if decimals else OWN_NUMBERS) if numbers else (FEW_NAMES, OWN_NAMES)
    if len(classes) > few and len(classes) > share * len(labels):
        problem = f"{location}: {len(labels):,} rows have {len(classes):,} different labels ({listed(classes, SHOWN)})"
        way = "?kind=regression to learn them as numbers" if numbers else "?label=NAME to read another column"
        raise DataError(f"{problem}; specify {way}, or ?kind=classification to learn them as classes")


def _names(counts: Counter[Label]) -> list[str]:
    """The distinct labels as class names, in order of first occurrence."""
    return list(dict.fromkeys(map(_name, counts)))


def _check_spelling(classes: Sequence[str], location: str) -> None:
    """Raises DataError if all labels are numbers, and some are in a notation that cannot be parsed."""
    odd = [name for name in classes if number_of(name) is None]
    if not odd or not all(re.search(r"\d", name) and ADORNED.fullmatch(name) for name in odd):
        return
    comma = all(DECIMAL_COMMA.fullmatch(name) for name in odd)
    sign = "with a decimal comma" if comma else "with a currency, a percent sign or separated thousands"
    ways = ["write them like 1250.5", *(["specify ?sep=, if they are several labels"] if comma else [])]
    raise DataError(
        f"{location}: labels look like numbers {sign} ({listed(odd, SHOWN)}); {', '.join(ways)}, "
        "or specify ?kind=classification to learn them as classes"
    )


def _check_scores(labels: Sequence[Label], counts: Counter[Label], location: str) -> None:
    """Raises RowError if most labels are numbers, some with a fraction, and a few are something else."""
    others, numbers = _apart(counts)
    rows = sum(counts[label] for label in numbers)
    if others and any(number % 1 for number in numbers.values()) and rows >= MOST_SCORES * len(labels):
        row = next(row for row, label in enumerate(labels) if label in others)
        raise RowError(
            row,
            location,
            f"label {quoted([_name(labels[row])])} is not a number, while {rows:,} of {len(labels):,} rows have one "
            f"({listed(map(_name, numbers), SHOWN)}); not numbers: {quoted(map(_name, others))}; fix such rows, or specify "
            "?kind=regression with --on-bad-row skip to leave them out, or ?kind=classification to learn all as classes",
        )


def number_remarks(labels: Sequence[Label], location: str) -> Iterator[str]:
    """Remarks on labels that are numbers with decimals, or mostly numbers, and are read as classes."""
    counts = Counter(labels)
    others, numbers = _apart(counts)
    rows = sum(counts[label] for label in numbers)
    decimals = {number for label, number in numbers.items() if isinstance(label, float) or re.search("[.eE]", label)}
    if decimals and not others:
        examples = listed(map(class_name, sorted(decimals)), SHOWN)
        yield (
            f"{location}: labels are whole numbers ({examples}), read as classes; to learn them as numbers, "
            "specify kind=regression"
        )
    elif others and (rows >= MOST_NUMBERS * len(labels) or any(number % 1 for number in numbers.values())):
        summary = f"{rows:,} of {len(labels):,} labels are numbers, and {quoted(map(_name, others))} are not"
        yield (
            f"{location}: {summary}; all are read as classes; to learn numbers and leave the other rows out, "
            "specify kind=regression and --on-bad-row skip"
        )


def _apart(counts: Counter[Label]) -> tuple[list[Label], dict[str | float, float]]:
    """Labels that are not numbers, and those that are, with their values; a list is neither."""
    numbers = {label: number for label in counts if not isinstance(label, tuple) and (number := number_of(label)) is not None}
    return [label for label in counts if label not in numbers and not isinstance(label, tuple)], numbers


def _name(label: Label) -> str:
    return "" if isinstance(label, tuple) else class_name(label)
