"""The errors that mtlkit raises on purpose, each with its exit code.

A message is one line that names the cause, the place and a remedy. The command line prints it without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class MtlkitError(Exception):
    """An error with a message for the user. Exit code 1 is reserved for bugs in mtlkit."""

    exit_code = 1


class UsageError(MtlkitError):
    """An invalid option or configuration."""

    exit_code = 2


class NewClassesError(UsageError):
    """Data has classes that the existing head of its task does not know, and `--new-classes` does not say what to do."""


class OptionError(UsageError):
    """An option with a value of the wrong type or out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class DataError(MtlkitError):
    """Data that cannot be read or used."""

    exit_code = 3


class NoRowsError(DataError):
    """A source without a single row."""


class SavingError(MtlkitError):
    """A file that cannot be written, e.g. because the disk is full."""

    exit_code = 3


class IntegrityError(MtlkitError):
    """A model, checkpoint or other file that is damaged or not supported."""

    exit_code = 4


class NotFiniteError(IntegrityError):
    """A model returned NaN or infinity for a text. `row` is the index of the text, from 0."""

    def __init__(self, what: str, row: int) -> None:
        super().__init__(
            f"the {what} of text {row + 1:,} is not finite (NaN or infinity); the model's weights are damaged or its "
            "activations overflow; use another model or --precision fp32"
        )
        self.what, self.row = what, row


@contextmanager
def rows_from(first: int) -> Iterator[None]:
    """Adds `first`, the index of a part's first text among all texts, to the row of a NotFiniteError raised in the block."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(error.what, first + error.row) from None


class DivergedError(MtlkitError):
    """A training whose loss, gradient or outputs became NaN or infinite."""

    exit_code = 5


class StoppedError(BaseException):
    """A training that a signal stopped at a safe point. Not an Exception, so that `except Exception` in other code does not
    swallow it."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class NetworkError(MtlkitError):
    """The Hugging Face Hub, or another process of a training, cannot be reached."""

    exit_code = 6


class LostRankError(NetworkError):
    """Another process of a training in several processes is gone."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its class if the message is empty."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def shorten(text: str, width: int = 80) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(1, width - 1)].rstrip() + "…"


NAME_LETTERS, LIST_LETTERS = 120, 300


def suggest(name: str, known: Iterable[str], repeatable: str = "") -> str:
    """The end of an error message: "; did you mean 'topic'?", or "" if no known name is similar. For several names with commas
    between them, how to give them to a `repeatable` option."""
    if repeatable and "," in name:
        return f"; for several, repeat {repeatable}"
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{shorten(matches[0], NAME_LETTERS)}'?" if matches else ""


def counted(count: int, noun: str, several: str | None = None) -> str:
    """A number with its noun, which is in the plural (`several`, or `noun` with an s) unless the number is 1: "2 rows"."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names joined by commas: at most `limit` names, long ones shortened, about 300 characters in total."""
    names = list(names)
    shown: list[str] = []
    letters = 0
    for name in names[:limit]:
        name = name if len(name) <= NAME_LETTERS else shorten(name, NAME_LETTERS)
        letters += len(name) + 2
        if letters > LIST_LETTERS and shown:
            break
        shown.append(name)
    line = ", ".join(shown)
    return line if len(shown) == len(names) else f"{line}, ... ({len(names):,} in all)"
