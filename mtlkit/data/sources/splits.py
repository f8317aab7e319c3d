"""Which file makes which split: by words of its name, or of the folders that it lies in."""

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
    """The files of each split; the groups that are no split that is known, by their names; and whether splits were told apart by
    words, so that nobody uses the files of those groups unless by name."""

    splits: dict[str, list[DataFile]] = field(default_factory=dict)
    others: dict[str, list[DataFile]] = field(default_factory=dict)
    told: bool = True

    def all(self) -> dict[str, list[DataFile]]:
        return {**self.others, **self.splits}


def splits_named(name: str) -> list[str]:
    """The splits that words of a name stand for: `news_Train2` -> ["train"]."""
    words = [word.lower() for word in WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]
    whole = (SPLIT_OF_WORD.get(word) or SPLIT_OF_WORD.get(word.removesuffix("set").removesuffix("data")) for word in words)
    return list(dict.fromkeys(split for split in whole if split))


def group(files: Sequence[tuple[tuple[str, ...], DataFile]], source: str) -> SplitFiles:
    """Groups files, each given with the folders that it lies in below the source. The files of one split are joined.

    Without any split word all files together are `train`, as for a folder of raw text. Raises DataError where a name stands for
    two splits, or where the same rows seem to be there in two formats.
    """
    found = SplitFiles()
    for folders, file in files:
        stem = stem_of(file.file_name)
        split = _split_of((*folders, stem), file)
        place = found.splits.setdefault(split, []) if split else found.others.setdefault(SHARD.sub("", stem), [])
        place.append(file)
    if not found.splits:
        return SplitFiles({"train": [file for _, file in files]}, found.others, told=False)
    for split, joined in found.splits.items():
        check_formats(joined, f"{source}: split '{split}'")
    return found


def _split_of(names: tuple[str, ...], file: DataFile) -> str | None:
    """By its own name, or else by that of the nearest folder that tells."""
    for name in reversed(names):
        splits = splits_named(name)
        if len(splits) > 1:
            raise DataError(f"{file}: its name stands for {listed(splits)}; rename it, or give the file of each split alone")
        if splits:
            return splits[0]
    return None


def check_formats(files: Sequence[DataFile], place: str) -> None:
    """Raises DataError for files of one name in two formats, which are most likely the same rows."""
    suffixes: dict[str, set[str]] = {}
    for file in files:
        suffixes.setdefault(str(file)[: -len(file.file_name)] + stem_of(file.file_name), set()).add(
            split_suffix(file.file_name)[0]
        )
    for stem, several in suffixes.items():
        if len(several) > 1:
            names = [file.file_name for file in files if str(file).startswith(stem)]
            raise DataError(f"{place}: {listed(names)} claim one split; keep one of them")
