"""Where commands print: results to stdout, everything else to stderr."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console

from mtlkit.config.from_json import to_json
from mtlkit.errors import listed
from mtlkit.notebook import below_kernel

if TYPE_CHECKING:
    from mtlkit.data.tokenization.tokenizer import TextEncoder
    from mtlkit.inference.loaded_model import LoadedModel


def reader_left(console: Console) -> None:
    """Replaces rich's reaction to a closed pipe, which is to exit with 1: training continues when nobody reads its progress."""
    if not console.stderr:
        raise BrokenPipeError
    console.quiet = True


class StandardError:
    """sys.stderr; a closed terminal is treated like a closed pipe, so that a training still saves and stops cleanly."""

    def _stream(self) -> TextIO:
        stream: TextIO = getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich's live view takes its place
        return stream

    def write(self, text: str) -> int:
        try:
            return self._stream().write(text)
        except OSError as error:
            raise _left(error) from None

    def flush(self) -> None:
        try:
            self._stream().flush()
        except OSError as error:
            raise _left(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)


def _left(error: OSError) -> OSError:
    return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if error.errno == errno.EIO else error


def terminal() -> bool | None:
    """Whether the output is a terminal; None: rich finds out. The one that a notebook gives to `!mtlkit ...` is none: every
    refresh of a live view would be a line of the cell."""
    return False if below_kernel() else None


@cache
def stdout() -> Console:
    return Console(highlight=False, soft_wrap=False, force_terminal=terminal())


@cache
def stderr() -> Console:
    return Console(stderr=True, file=cast("TextIO", StandardError()), highlight=False, force_terminal=terminal())


def can_ask() -> bool:
    """Whether somebody at a terminal sees a question and can answer it."""
    return sys.stdin.isatty() and stderr().is_terminal


def say(text: str, style: str | None = None, console: Console | None = None) -> None:
    """Writes a sentence to stderr, with brackets and control characters as plain text. On a terminal it is wrapped between words,
    and a command gets a line of its own if it does not fit; elsewhere it is one line."""
    from mtlkit.report.text import literal, wrapped

    console = console or stderr()
    lines = wrapped(text, console.width) if console.is_terminal else [text]
    console.print(literal("\n".join(lines), style or ""), soft_wrap=True)


def answer(text: str) -> None:
    """Writes a sentence to stdout, wrapped as by `say`."""
    say(text, console=stdout())


def say_notes(loaded: LoadedModel) -> None:
    """Notes on a model: its active prompt, and unknown settings in its folder."""
    for note in loaded.notes:
        say(note)


def say_cached(tasks: Sequence[str]) -> None:
    """The tasks whose predictions came from the cache, if any."""
    if tasks:
        say(f"using the cached predictions of {listed(tasks)}; --no-cache computes them anew")


class ShownWarnings(logging.Handler):
    """Shows log messages of the library, such as on a damaged cache file, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(f"warning: {record.getMessage()}", "yellow")
        except Exception:  # as every handler: a warning that cannot be shown is no reason to stop
            self.handleError(record)


SHOWN = ShownWarnings(logging.WARNING)


def say_cut(encoder: TextEncoder) -> None:
    """How many texts did not fit the model, if any."""
    if encoder.cut:
        length, way = encoder.encoding.max_length, encoder.encoding.truncate
        texts = "1 text was" if encoder.cut == 1 else f"{encoder.cut:,} texts were"
        say(f"{texts} cut to {length} tokens ({way}), as they did not fit")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(to_json(document, ensure_ascii=not _unicode(), indent=2) + "\n")


def print_line(value: Any) -> None:
    """One JSON object on a line of its own on stdout."""
    sys.stdout.write(to_json(value, ensure_ascii=not _unicode()) + "\n")


def _unicode() -> bool:
    """Whether stdout can encode all characters; if not, JSON uses \\uXXXX escapes."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def close_stdout() -> None:
    """Discards buffered output after the reader (head, less) has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
