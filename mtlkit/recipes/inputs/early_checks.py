"""Checks of data arguments that need neither torch nor a model, so that a wrong one is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Literal

from mtlkit.config.inference import TextOptions
from mtlkit.config.shell import quoted
from mtlkit.config.task_training import LABELLED, ObjectiveName
from mtlkit.data.datasets.column_rows import rows_of
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pair_rows import PairRows
from mtlkit.data.formats.conll import looks_tagged
from mtlkit.data.sources import Source, existing_split, open_source
from mtlkit.data.sources.columns import LOOK_AHEAD, column_list, text_columns, with_columns
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.data.sources.input_tables import input_tables
from mtlkit.data.sources.pair_columns import check_negatives, pair_objective
from mtlkit.data.sources.rows import BadRow, Row, SkippedRows
from mtlkit.data.sources.text_files import open_input
from mtlkit.errors import DataError
from mtlkit.recipes.inputs.texts import check_one_place, reads_standard_input

CheckedCommand = Literal["check-data", "train-sentence", "train-mtl"]
FOR_PAIRS: dict[CheckedCommand, str] = {
    "check-data": "add --objective {}",
    "train-sentence": "add --objective {}",
    "train-mtl": "use mtlkit train-sentence --objective {}",
}
FOR_TEXTS: dict[CheckedCommand, str] = {
    "check-data": "give them with --text {}",
    "train-sentence": "use mtlkit pretrain {}",
    "train-mtl": "use mtlkit pretrain {}",
}


def check_objective(objective: ObjectiveName, tasks: Iterable[str], encoding: str, command: CheckedCommand) -> None:
    """Opens the source of every task and finds the columns that an objective reads. Raises UsageError, DataError."""
    if objective in LABELLED:
        check_tasks(tasks, encoding, command)
    elif objective == "distill":
        check_texts(named_sources(list(tasks)).values(), encoding)
    else:
        check_pairs(named_sources(list(tasks)).values(), encoding, objective)


def check_tasks(tasks: Iterable[str], encoding: str, command: CheckedCommand) -> None:
    """Opens the source of every task and finds the columns of its text and its label. Raises UsageError, DataError, which says
    what to do with text pairs, and with texts that have no labels."""

    def find_columns(source: Source, query: Query, split: str) -> None:
        try:
            next(rows_of(source, query, split, ReadOptions(encoding, "skip", SkippedRows())).rows(), None)
        except DataError:
            if query.text is None and query.label is None:
                columns, rows = with_columns(source.rows(split, query.encoding or encoding))
                _check_tagged(columns, rows, source.name)
                _check_labelled(columns, source.name, command)
            raise

    for address in named_sources(list(tasks)).values():
        _check(address, find_columns)


def _check_tagged(columns: Sequence[str], rows: Iterable[Row | BadRow], name: str) -> None:
    """Raises DataError for a text file with a word and its tag per line."""
    lines = [str(row.get(columns[0])) for row in islice(rows, LOOK_AHEAD) if not isinstance(row, BadRow)] if columns else []
    if len(columns) == 1 and looks_tagged(lines):
        raise DataError(f"{name}: each line looks like a word and its tag; specify ?format=conll to read sentences")


def _check_labelled(columns: Sequence[str], name: str, command: CheckedCommand) -> None:
    """Raises DataError for columns of text pairs, and for a single column, which has no labels."""
    if objective := pair_objective(columns):
        names = column_list(columns)
        way = FOR_PAIRS[command].format(objective)
        raise DataError(f"{name}: these look like text pairs, columns: {names}; {way}, or specify ?text=NAME&label=NAME")
    if len(columns) == 1:
        raise DataError(f"{name}: texts without labels, columns: {columns[0]}; {FOR_TEXTS[command].format(quoted(name))}")


def check_texts(sources: Iterable[str], encoding: str) -> None:
    """Opens every source of texts and finds the column of its text. Raises UsageError, DataError."""

    def find_column(source: Source, query: Query, split: str) -> None:
        names, _ = with_columns(source.rows(split, query.encoding or encoding))
        if names:
            text_columns(names, query.text, source.name)

    for address in sources:
        _check(address, find_column)


def check_pairs(sources: Iterable[str], encoding: str, objective: ObjectiveName) -> None:
    """Opens every source of pairs and finds the columns of its texts, negatives and scores. Raises UsageError, DataError."""

    def find_columns(source: Source, query: Query, split: str) -> None:
        reading = ReadOptions(encoding, "skip", SkippedRows())
        pairs = PairRows(source, query, split, reading, scored=objective == "similarity")
        next(pairs.rows(), None)
        if objective == "triplets" and pairs.record.first:
            check_negatives(pairs.record)

    for address in sources:
        _check(address, find_columns)


def check_sources(sources: Iterable[str]) -> None:
    """Opens sources without looking for columns. Raises UsageError, DataError."""
    for address in sources:
        _check(address, None)


def check_input(options: TextOptions) -> None:
    """Finds the tables of `--input` and opens the first. Raises UsageError, DataError."""
    check_one_place(options)
    if options.input and not reads_standard_input(options):
        open_input(input_tables(options.input)[0].address, options.column)


def _check(address: str, find: Callable[[Source, Query, str], None] | None) -> None:
    """Checks a local source; a remote one is checked when it is read, and standard input can be read only once."""
    location, query = parse_source(address)
    source = open_source(location, query)
    if not source.previewed:
        return
    if find is None:
        source.splits()
    else:
        find(source, query, existing_split(source, query.split))
