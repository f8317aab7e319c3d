"""Tokenizers that transformers builds: of classes that mtlkit does not have, or from the vocabulary files of older libraries."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

from mtlkit.config.tokenizer_settings import TokenizerSettings
from mtlkit.data.tokenization.files import bare
from mtlkit.data.tokenization.pretrained import FILE, VOCABULARIES, check_complete, lowercase_first
from mtlkit.errors import IntegrityError, UsageError, listed
from mtlkit.model.auto.hf_classes import INSTALL, one_line
from mtlkit.model.interop.settings.text_length import SENTENCE_PIECE, length_settings
from mtlkit.model.interop.silence import silence

CONVERTERS = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}  # by module: packages that transformers needs
CONVERTED = ("vocab.txt", "vocab.json", *SENTENCE_PIECE)


def needs_library(settings: TokenizerSettings) -> bool:
    """Whether a folder has no tokenizer.json and no vocabulary that mtlkit reads, but one that transformers can convert."""
    names = VOCABULARIES.get(settings.kind, ())
    found = [name for name in vocabularies(settings.folder) if name not in names]  # with a part of `names`, the rest is missing
    readable = names and all(os.path.lexists(settings.folder / name) for name in names)
    convertible = not readable and FILE not in found and found
    return bool(convertible) and find_spec("transformers") is not None


def vocabularies(folder: Path) -> list[str]:
    """The files of a folder that a tokenizer can be built from; without any, transformers would invent an empty one."""
    return [name for name in (FILE, *CONVERTED) if os.path.lexists(folder / name)]


def library_tokenizer(folder: Path, *, has_modules: bool) -> Tokenizer:
    """The tokenizer that AutoTokenizer builds of a folder, never with code from it. `has_modules`: the folder belongs to
    sentence-transformers, whose files may ask for lower case.

    Raises IntegrityError if it cannot be built, or exists in Python only, and UsageError if a package for it is not installed.
    """
    found = vocabularies(folder)
    if not found:
        raise IntegrityError(f"{folder}: no tokenizer found ({FILE}, or one of {listed(CONVERTED)}); save it with the model")
    if found == ["vocab.json"]:
        check_complete(folder, VOCABULARIES["gpt2"])
    if FILE not in found:
        _need_converters(folder, [name for name in found if name in SENTENCE_PIECE])
    try:
        with silence():
            from transformers import AutoTokenizer

            whole = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever its class, there is no tokenizer
        raise IntegrityError(f"{folder}: transformers cannot build its tokenizer ({one_line(error)})") from None
    backend = getattr(whole, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise IntegrityError(
            f"{folder}: its tokenizer, {type(whole).__name__}, has no fast form, which mtlkit needs; save one as {FILE}"
        )
    tokenizer = Tokenizer.from_str(backend.to_str())
    if has_modules and length_settings(folder)[1].get("do_lower_case") is True:
        lowercase_first(tokenizer)
    return bare(tokenizer)


def _need_converters(folder: Path, pieces: Sequence[str]) -> None:
    """Raises UsageError if transformers lacks what it needs to convert these files; its own message would name other packages."""
    missing = [package for module, package in CONVERTERS.items() if not _importable(module)] if pieces else []
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"{folder}: converting {pieces[0]} needs {' and '.join(missing)}, which {verb} not installed; install with: {INSTALL}"
        )


def _importable(module: str) -> bool:
    with suppress(ModuleNotFoundError):  # of the package that it is in
        return find_spec(module) is not None
    return False
