"""Tokenizers on disk, and what the library that reads them raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Tokenizer

from mtlkit.config.small_files import read_file
from mtlkit.errors import IntegrityError
from mtlkit.runs.record import diagnose

LARGEST = 2**28  # bytes; the largest public ones hold some 40 million


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a file. Raises IntegrityError when the file is not one."""
    try:
        with library_errors(f"{path}: not a tokenizer"):
            return bare(Tokenizer.from_buffer(read_file(path, LARGEST)))
    except IntegrityError:
        if found := diagnose(path):
            raise IntegrityError(f"{path}: {found}") from None
        raise


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Names the file in an IntegrityError."""
    try:
        yield
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turns what `tokenizers` raises for a file that it cannot use into an IntegrityError: a bare Exception or, from Rust code
    that did not foresee it, a PanicException, which is no Exception and has no public name."""
    try:
        yield
    except IntegrityError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise IntegrityError(f"{what} ({error})") from None


def bare(tokenizer: Tokenizer) -> Tokenizer:
    """Text in, its tokens out: nothing is cut or padded, and a text that spells out "<eos>" is that text, not its end."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()  # both are stored in the files of many pretrained models; TextEncoder cuts, and nothing pads
    tokenizer.no_truncation()
    return tokenizer
