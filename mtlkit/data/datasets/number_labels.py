"""Labels that look like numbers, all of them or most, and are read as classes: what to say of them, or to refuse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mtlkit.data.datasets.marks import Label, RowError
from mtlkit.data.datasets.values import class_name, number_of, quoted
from mtlkit.errors import DataError, listed

FEW_NUMBERS, FEW_NAMES = 10, 20  # classes, up to which each row may have its own
OWN_DECIMALS, OWN_NUMBERS, OWN_NAMES = 0.5, 0.8, 0.9  # shares of the rows above which labels are not classes
MOST_SCORES, MOST_NUMBERS = 0.5, 0.8  # of the rows, from which numbers with a fraction, or any, are what labels are meant to be
SHOWN = 5  # labels in a sentence
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
ADORNED = re.compile(r"\s*[$€£¥]?\s*[-+]?(?:\d{1,3}(?:[., '\u00a0\u202f]\d{3})+|\d+)?(?:[.,]\d+)?\s*[%$€£¥]?\s*")


def check_numbers(labels: Sequence[Label], place: str) -> None:
    """Raises DataError where labels are numbers in a spelling that no computer reads, and RowError where most are scores and some
    row has something else."""
    counts = Counter(labels)
    if not any(isinstance(label, tuple) for label in counts):
        _check_spelling(_names(counts), place)
        _check_scores(labels, counts, place)


def check_classes(labels: Sequence[Label], place: str) -> None:
    """Raises DataError where labels are hardly meant as classes: nearly every row has one of its own."""
    if any(isinstance(label, tuple) for label in labels):
        return
    classes = _names(Counter(labels))
    numbers = all(number_of(one) is not None for one in classes)
    decimals = numbers and any("." in one for one in classes)
    few, share = (FEW_NUMBERS, OWN_DECIMALS if decimals else OWN_NUMBERS) if numbers else (FEW_NAMES, OWN_NAMES)
    if len(classes) > few and len(classes) > share * len(labels):
        found = f"{place}: {len(labels):,} rows have {len(classes):,} different labels ({listed(classes, SHOWN)})"
        way = "?kind=regression to learn them as numbers" if numbers else "?label=NAME to read another column"
        raise DataError(f"{found}; specify {way}, or ?kind=classification to learn them as classes")


def _names(counts: Counter[Label]) -> list[str]:
    """Different labels as names of classes, in the order in which they occur."""
    return list(dict.fromkeys(map(_name, counts)))


def _check_spelling(classes: Sequence[str], place: str) -> None:
    """Raises DataError where all labels are numbers, and some are not written as a computer reads them."""
    odd = [one for one in classes if number_of(one) is None]
    if not odd or not all(re.search(r"\d", one) and ADORNED.fullmatch(one) for one in odd):
        return
    comma = all(DECIMAL_COMMA.fullmatch(one) for one in odd)
    sign = "with a decimal comma" if comma else "with a currency, a percent sign or separated thousands"
    ways = ["write them as 1250.5 is written", *(["specify ?sep=, if they are several labels"] if comma else [])]
    raise DataError(
        f"{place}: labels look like numbers {sign} ({listed(odd, SHOWN)}); {', '.join(ways)}, "
        "or specify ?kind=classification to learn them as classes"
    )


def _check_scores(labels: Sequence[Label], counts: Counter[Label], place: str) -> None:
    """Raises RowError where most labels are numbers, some with a fraction, and a few are something else."""
    others, numbers = _apart(counts)
    rows = sum(counts[label] for label in numbers)
    if others and any(number % 1 for number in numbers.values()) and rows >= MOST_SCORES * len(labels):
        row = next(row for row, label in enumerate(labels) if label in others)
        raise RowError(
            row,
            place,
            f"label {quoted([_name(labels[row])])} is not a number, while {rows:,} of {len(labels):,} rows have one "
            f"({listed(map(_name, numbers), SHOWN)}); not numbers: {quoted(map(_name, others))}; fix such rows, or specify "
            "?kind=regression with --on-bad-row skip to leave them out, or ?kind=classification to learn all as classes",
        )


def number_remarks(labels: Sequence[Label], place: str) -> Iterator[str]:
    """That labels are numbers written with decimals, or most are numbers, and all are read as classes."""
    counts = Counter(labels)
    others, numbers = _apart(counts)
    rows = sum(counts[label] for label in numbers)
    decimals = {number for label, number in numbers.items() if isinstance(label, float) or re.search("[.eE]", label)}
    if decimals and not others:
        found = listed(map(class_name, sorted(decimals)), SHOWN)
        yield f"{place}: labels are whole numbers ({found}), read as classes; to learn them as numbers, specify kind=regression"
    elif others and (rows >= MOST_NUMBERS * len(labels) or any(number % 1 for number in numbers.values())):
        summary = f"{rows:,} of {len(labels):,} labels are numbers, and {quoted(map(_name, others))} are not"
        yield (
            f"{place}: {summary}; all are read as classes; to learn numbers and leave the other rows out, "
            "specify kind=regression and --on-bad-row skip"
        )


def _apart(counts: Counter[Label]) -> tuple[list[Label], dict[str | float, float]]:
    """Labels that are not numbers, and those that are, with their values; a list is neither."""
    numbers = {label: number for label in counts if not isinstance(label, tuple) and (number := number_of(label)) is not None}
    return [label for label in counts if label not in numbers and not isinstance(label, tuple)], numbers


def _name(label: Label) -> str:
    return "" if isinstance(label, tuple) else class_name(label)
