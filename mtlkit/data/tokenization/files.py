"""Loads tokenizers from files, and translates the errors of the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Tokenizer

from mtlkit.config.small_files import read_file
from mtlkit.errors import IntegrityError
from mtlkit.runs.record import diagnose

LARGEST = 2**28  # bytes; the largest public tokenizers have about 40 million


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a file. Raises IntegrityError if it is not a tokenizer."""
    try:
        with library_errors(f"{path}: not a tokenizer"):
            return bare(Tokenizer.from_buffer(read_file(path, LARGEST)))
    except IntegrityError:
        if diagnosis := diagnose(path):
            raise IntegrityError(f"{path}: {diagnosis}") from None
        raise


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Prefixes an IntegrityError with the file."""
    try:
        yield
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turns errors of `tokenizers` into IntegrityError: a bare Exception, or a PanicException of its Rust code, which is not a
    subclass of Exception and has no public name."""
    try:
        yield
    except IntegrityError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise IntegrityError(f"{what} ({error})") from None


def read_literally(tokenizer: Tokenizer, literal: bool) -> None:
    """Whether the tokenizer treats names of special tokens in texts as plain text. Encoders with other settings may share it; it
    must not be changed while another thread uses it, so it is left alone where it is set already."""
    if tokenizer.encode_special_tokens != literal:
        tokenizer.encode_special_tokens = literal


def bare(tokenizer: Tokenizer) -> Tokenizer:
    """Turns off truncation and padding, and treats names of special tokens such as "<eos>" in a text as plain text."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()  # many pretrained models store both in their files; TextEncoder truncates, and nothing pads
    tokenizer.no_truncation()
    return tokenizer
