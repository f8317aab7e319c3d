"""Where texts come from: `sample:NAME`, a file, a folder, a Hugging Face id, each with `?key=value&...`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from mtlkit.data.grammar import Query
from mtlkit.data.hub import hub_answers, is_network_fault, quiet
from mtlkit.data.parquet import class_names
from mtlkit.data.readers import READERS, BadRow, Row, read
from mtlkit.errors import DataError, NetworkError, listed, suggest

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
SHARD = re.compile(r"-\d+-of-\d+$")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
SHORT_NAMES = {"ag_news": "fancyzhx/ag_news", "imdb": "stanfordnlp/imdb"}


class Source:
    """Named splits of rows. `name` is what errors and reports call it."""

    name: str

    def splits(self) -> list[str]:
        raise NotImplementedError

    def rows(self, split: str, encoding: str) -> Iterator[Row | BadRow]:
        raise NotImplementedError


@dataclass(frozen=True)
class FileSource(Source):
    """One file; the whole of it is one split, called `train`."""

    path: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        return str(self.path)

    def splits(self) -> list[str]:
        return ["train"]

    def rows(self, split: str, encoding: str) -> Iterator[Row | BadRow]:
        return read(self.path, encoding)


@dataclass(frozen=True)
class FolderSource(Source):
    """A folder with a file a split: train.csv, validation.csv (or valid, val, dev), test.csv, in any known format.

    A split may be in shards, as the hub names them (train-00000-of-00004.parquet). Where no file is called by a split's
    usual name, all files together are `train`, as for a folder of raw text.
    """

    path: Path
    name: str

    def _files(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for path in sorted(self.path.iterdir()):
            if path.suffix.lower() in READERS:
                files.setdefault(SHARD.sub("", path.stem), []).append(path)
        if not files:
            raise DataError(f"{self.name}: no {listed(READERS)} file in this folder")
        usual = {name for names in SPLITS.values() for name in names}
        return files if usual & set(files) else {**files, "train": [path for paths in files.values() for path in paths]}

    def splits(self) -> list[str]:
        return sorted(self._files())

    def rows(self, split: str, encoding: str) -> Iterator[Row | BadRow]:
        files = self._files()[split]
        if split in SPLITS and len({path.stem for path in files}) < len(files):
            raise DataError(f"{self.name}: {listed(path.name for path in files)} claim one split; keep one of them")
        return chain.from_iterable(read(path, encoding) for path in files)


@dataclass(frozen=True)
class HubSource(Source):
    """A data set of the Hugging Face hub, or of its local cache, through `datasets`."""

    name: str
    config: str | None

    def _load(self, call: str, *args: Any, **options: Any) -> Any:
        if not hub_answers():
            os.environ["HF_HUB_OFFLINE"] = "1"  # its cache at once, instead of a minute of retries
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        datasets.disable_progress_bars()
        quiet()
        try:
            return getattr(datasets, call)(self.name, self.config, *args, **options)
        except Exception as error:  # its libraries share no class for what the network does
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            if is_network_fault(error) or (isinstance(error, FileNotFoundError) and not hub_answers()):
                raise NetworkError(f"{self.name}: the hub cannot be reached ({reason}); give a local file") from None
            if isinstance(error, DatasetNotFoundError):
                raise DataError(f"{self.name}: no such file, folder or Hugging Face data set") from None
            if isinstance(error, (ValueError, FileNotFoundError)):
                raise DataError(f"{self.name}: {reason}") from None
            raise

    def splits(self) -> list[str]:
        return list(self._load("get_dataset_split_names"))

    def rows(self, split: str, encoding: str) -> Iterator[Row | BadRow]:
        data = self._load("load_dataset", split=split)
        kinds = {name: getattr(kind, "feature", kind) for name, kind in data.features.items()}
        names = {name: kind.names for name, kind in kinds.items() if hasattr(kind, "names")}
        for number, row in enumerate(data, 1):
            try:
                yield row | {column: class_names(row[column], labels) for column, labels in names.items()}
            except ValueError as error:
                yield BadRow(f"{self.name}: row {number}: {error}")


def open_source(address: str, query: Query) -> Source:
    """The source at an address. Raises DataError when there is nothing there."""
    if address.startswith("sample:"):
        return sample_source(address)
    path = Path(address).expanduser()
    try:
        if path.is_dir():
            return FolderSource(path, address)
        if path.exists():
            return FileSource(path)
    except OSError as error:
        raise DataError(f"{address}: {error.strerror}") from None
    if path.suffix.lower() in READERS or not HUB_ID.fullmatch(address):
        near = suggest(path.name, [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"{address}: no such file{near}")
    return HubSource(SHORT_NAMES.get(address, address), query.config)


def sample_source(address: str) -> FolderSource:
    """One of the corpora inside the package."""
    folder = Path(str(resources.files("mtlkit.data"))) / "sample"
    known = sorted(path.name for path in folder.iterdir() if path.is_dir())
    name = address.removeprefix("sample:")
    if name not in known:
        names = [f"sample:{one}" for one in known]
        raise DataError(f"{address}: no such sample; there are {listed(names)}{suggest(address, names)}")
    return FolderSource(folder / name, address)


def find_split(source: Source, wanted: str) -> str | None:
    """The source's own name of a split (`dev` for `validation`), or None where it has none."""
    names = source.splits()
    for name in (wanted, *SPLITS.get(wanted, ())):
        if name in names:
            return name
    return None


def existing_split(source: Source, wanted: str, way: str = "") -> str:
    """The source's own name of a split; `way` ends the error. Raises DataError where it has none."""
    found = find_split(source, wanted)
    if found is None:
        raise DataError(f"{source.name}: no split '{wanted}'; splits: {listed(source.splits())}{way}")
    return found
