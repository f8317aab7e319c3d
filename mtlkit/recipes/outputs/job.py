"""What a command that writes a row for each text has to say: how rows are read, computed and laid out."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.outputs.columns import Column, Layout, OutputRows, check_names
from mtlkit.data.outputs.writers import check_vector_type
from mtlkit.data.sources.input_tables import InputTable, input_tables
from mtlkit.data.sources.kept_columns import KeptRow, kept_columns
from mtlkit.errors import NoRowsError, UsageError
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.words import TextWithWords
from mtlkit.recipes.inputs.texts import count_texts, of_all_tables, reads_standard_input

RowOptions = EmbedOptions | PredictOptions


@dataclass(frozen=True)
class OutputProgress:
    """Progress in a stage: the number of rows done, of `total` (None: unknown); `reused` are from an earlier run. The stage
    `finished` means that an earlier run had finished the output, so nothing was written. `missing` are the rows of a folder that
    other processes have to write.
    """

    stage: Literal["computed", "written", "finished"]
    texts: int
    total: int | None
    reused: int
    missing: tuple[str, ...] = ()


class Job(ABC):
    """A command with its options and its model. Examples are texts, pairs of texts, or texts with words; rows are examples, or
    examples with the values of kept columns.

    Raises UsageError for options that contradict each other, DataError for a kept column that is missing.
    """

    command: str
    activity: str  # for progress

    def __init__(self, options: RowOptions, loaded: LoadedModel, standard_input: TextIO, suffix: str) -> None:
        self.loaded, self.standard_input, self.all_options = loaded, standard_input, options
        self.nested = suffix == ".jsonl"  # whether the format has nested values
        self.keep = self._kept(options) if options.kept else ()
        self.layout = self.make_layout()
        check_names(self.layout)
        if self.layout.vector is not None:
            check_vector_type(suffix, self.layout.vector)

    @abstractmethod
    def make_layout(self) -> Layout:
        """The columns of the output."""

    @abstractmethod
    def prepare(self, rows: list[Any]) -> Any:
        """What can be done in another thread before `compute`, such as tokenizing."""

    @abstractmethod
    def compute(self, rows: list[Any], prepared: Any) -> OutputRows:
        """What is written for rows."""

    @abstractmethod
    def examples(self, options: RowOptions) -> Iterator[Any]:
        """The examples of these options, without kept columns."""

    @abstractmethod
    def kept_rows(self, table: str, options: RowOptions) -> Iterator[KeptRow]:
        """The examples of a table with the values of kept columns."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What rows depend on besides model and input."""

    @property
    def recorded(self) -> list[SourceRecord]:
        return self.loaded.recorded()

    def rows(self, table: InputTable | None = None) -> Iterator[Any]:
        """The examples of a table, or of all, with the values of kept columns if there are any."""
        options = self.all_options if table is None else replace(self.all_options, input=[table.address])
        if not self.keep:
            return self.examples(options)
        read: Callable[[str], Iterator[KeptRow]] = lambda address: self.kept_rows(address, options)  # noqa: E731
        return of_all_tables(options, read)

    def made_by(self) -> dict[str, str]:
        """Everything but the texts that rows depend on."""
        keep = {"keep": ",".join(column.name for column in self.keep)} if self.keep else {}
        return {**self.settings(), **keep}

    def total(self) -> int | None:
        """The number of rows; None if it is not known in advance."""
        return count_texts(self.all_options)

    @property
    def threaded(self) -> bool:
        """Whether rows are read in a thread. Standard input is not, as a thread that waits for a line cannot be stopped."""
        return bool(self.all_options.input) and not reads_standard_input(self.all_options)

    def _kept(self, options: RowOptions) -> tuple[Column, ...]:
        if not options.input or reads_standard_input(options):
            raise UsageError("--keep carries along columns of a file; give one with --input")
        *others, last = [table.address for table in input_tables(options.input)]
        for address in others:
            with suppress(NoRowsError):  # the first one with rows says what they hold
                return tuple(kept_columns(address, options.kept, options.encoding, self.recorded))
        return tuple(kept_columns(last, options.kept, options.encoding, self.recorded))


def examples_and_kept(rows: list[Any]) -> tuple[list[Any], list[tuple[Any, ...]] | None]:
    """Examples, and the values of kept columns if there are any."""
    if rows and isinstance(rows[0], KeptRow):
        return [row.example for row in rows], [row.values for row in rows]
    return rows, None


def identities(rows: Sequence[Any]) -> list[str]:
    """Texts that are equal if and only if rows are: what an interrupted run is compared by."""
    if not rows or isinstance(rows[0], str):
        return list(rows)
    return [json.dumps(_parts(row), ensure_ascii=False, default=str) for row in rows]


def _parts(row: Any) -> Any:
    if isinstance(row, KeptRow):
        return [row.example, *row.values]
    return [row.text, row.words.tolist()] if isinstance(row, TextWithWords) else row


def settings_of_texts(loaded: LoadedModel) -> dict[str, str]:
    """How the model reads texts, where that is not the usual way."""
    return {
        **({"prompt": repr(loaded.encoder.prompt)} if loaded.encoder.prompt else {}),
        **({} if loaded.encoder.encoding.literal_special_tokens else {"special tokens": "read"}),
    }
