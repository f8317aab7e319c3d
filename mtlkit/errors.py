"""What can go wrong by the user's hand or by the world's, each with its exit code.

A message is one line: it names the thing, the place and the way on. The command line prints it without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class MtlkitError(Exception):
    """An error with a message for the user. Exit code 1 is kept for bugs in mtlkit."""

    exit_code = 1


class UsageError(MtlkitError):
    """An option or a configuration that cannot be carried out."""

    exit_code = 2


class OptionError(UsageError):
    """An option whose value cannot be: of another type, or out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class DataError(MtlkitError):
    """A data set that cannot be read or used as asked."""

    exit_code = 3


class SavingError(MtlkitError):
    """Something that the disk does not take."""

    exit_code = 3


class IntegrityError(MtlkitError):
    """A saved model that is not what was written."""

    exit_code = 4


class NotFiniteError(IntegrityError):
    """A model gave NaN or infinity for a text. `row` counts the texts from 0."""

    def __init__(self, what: str, row: int) -> None:
        super().__init__(
            f"the {what} of text {row + 1:,} is not finite (NaN or infinity); the model's weights are damaged or its numbers too "
            "large, so no answer is given; use another model or --precision fp32"
        )
        self.what, self.row = what, row


@contextmanager
def rows_from(first: int) -> Iterator[None]:
    """Lets a NotFiniteError count from the first of all texts, where a part of them begins at `first`."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(error.what, first + error.row) from None


class DivergedError(MtlkitError):
    """A training whose numbers stopped being finite."""

    exit_code = 5


class StoppedError(BaseException):
    """A training that was asked to stop by a signal, and did when nothing could be lost. No Exception, as a signal may come while
    somebody's code runs that turns those into its own."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class NetworkError(MtlkitError):
    """A hub that cannot be reached."""

    exit_code = 6


def first_line(error: BaseException) -> str:
    """What an error of a library says in its first line; its class where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def shorten(text: str, width: int = 80) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(1, width - 1)].rstrip() + "…"


NAME_LETTERS, LIST_LETTERS = 120, 300


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error sentence: "; did you mean 'topic'?", or nothing when no known name is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{shorten(matches[0], NAME_LETTERS)}'?" if matches else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names joined by commas: at most `limit` of them, long ones cut, in all about 300 letters."""
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
