"""Assigns files to splits by words in their names or the names of their folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mtlkit.data.formats.files import DataFile, split_suffix, stem_of
from mtlkit.errors import DataError, listed

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF_WORD = {word: split for split, words in SPLITS.items() for word in words}
SHARD = re.compile(r"-\d+-of-\d+$")
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class SplitFiles:
    """The files of each split.

    `others` are groups of files, by name, that belong to none of the known splits. With `named`, splits were found by words in
    names, so that `others` are used only if the user names one.
    """

    splits: dict[str, list[DataFile]] = field(default_factory=dict)
    others: dict[str, list[DataFile]] = field(default_factory=dict)
    named: bool = True

    def all(self) -> dict[str, list[DataFile]]:
        return {**self.others, **self.splits}


def splits_named(name: str) -> list[str]:
    """The splits that a name mentions: `news_Train2` -> ["train"]."""
    words = [word.lower() for word in WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]
    splits = (SPLIT_OF_WORD.get(word) or SPLIT_OF_WORD.get(word.removesuffix("set").removesuffix("data")) for word in words)
    return list(dict.fromkeys(split for split in splits if split))


def group(files: Sequence[tuple[tuple[str, ...], DataFile]], source: str) -> SplitFiles:
    """Groups files, each given as (folders below the source, file), by split.

    If no name mentions a split, all files together are `train`, as for a folder of raw text. Raises DataError if a name mentions
    two splits, or the same rows seem to exist in two formats.
    """
    grouped = SplitFiles()
    for folders, file in files:
        stem = stem_of(file.file_name)
        split = _split_of((*folders, stem), file)
        members = grouped.splits.setdefault(split, []) if split else grouped.others.setdefault(SHARD.sub("", stem), [])
        members.append(file)
    if not grouped.splits:
        return SplitFiles({"train": [file for _, file in files]}, grouped.others, named=False)
    for split, members in grouped.splits.items():
        check_formats(members, f"{source}: split '{split}'")
    return grouped


def _split_of(names: tuple[str, ...], file: DataFile) -> str | None:
    """The split that the file's own name mentions, else the nearest folder that mentions one."""
    for name in reversed(names):
        splits = splits_named(name)
        if len(splits) > 1:
            raise DataError(f"{file}: the name mentions several splits ({listed(splits)}); rename it, or give each split's file")
        if splits:
            return splits[0]
    return None


def check_formats(files: Sequence[DataFile], location: str) -> None:
    """Raises DataError for files with the same stem in two formats, which are probably the same rows."""
    suffixes: dict[str, set[str]] = {}
    for file in files:
        suffixes.setdefault(str(file)[: -len(file.file_name)] + stem_of(file.file_name), set()).add(
            split_suffix(file.file_name)[0]
        )
    for stem, formats in suffixes.items():
        if len(formats) > 1:
            names = [file.file_name for file in files if str(file).startswith(stem)]
            raise DataError(f"{location}: {listed(names)} seem to be the same data; keep one of them")
