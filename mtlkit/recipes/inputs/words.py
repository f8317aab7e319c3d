"""The texts for `predict` whose words are known, as a stream: from a file with columns of words, or in CoNLL format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.tagged_rows import TaggedRows, is_tagged
from mtlkit.data.sources import existing_split
from mtlkit.data.sources.columns import with_columns
from mtlkit.data.sources.input_tables import input_tables
from mtlkit.data.sources.rows import SkippedRows, good_rows
from mtlkit.data.sources.text_files import open_input
from mtlkit.inference.words import TextWithWords
from mtlkit.recipes.inputs.texts import check_one_place, of_all_tables, reads_standard_input


def reads_words(options: PredictOptions, recorded: Sequence[SourceRecord] = ()) -> bool:
    """Whether `--input` has words rather than texts: if its keys or its format say so, or it has a column of words that a task of
    the model reads, and none of texts that one reads."""
    if not options.input or options.column is not None or reads_standard_input(options):
        return False
    source, query = open_input(input_tables(options.input)[0].address, None, recorded)
    if query.spans is not None or query.text is not None:
        return False
    if is_tagged(source, query, None):
        return True
    words = {record.tokens for record in recorded if record.tokens}
    if not words or not source.previewed:
        return False
    columns = set(with_columns(source.rows(existing_split(source, query.split), query.encoding or options.encoding))[0])
    texts = any(record.text and columns.issuperset(record.text) for record in recorded)
    return bool(words & columns) and not texts


def words_record(recorded: Sequence[SourceRecord]) -> SourceRecord | None:
    """How the first task of a model that labels words reads them."""
    return next((record for record in recorded if record.tokens), None)


def stream_words(options: PredictOptions, recorded: Sequence[SourceRecord] = ()) -> Iterator[TextWithWords]:
    """Yields all texts with their words, in row order. Raises UsageError if there are texts, too, and DataError."""
    check_one_place(options)
    return of_all_tables(options, lambda table: _texts_with_words(table, options, recorded))


def _texts_with_words(table: str, options: PredictOptions, recorded: Sequence[SourceRecord]) -> Iterator[TextWithWords]:
    source, query = open_input(table, None, recorded)
    reading = ReadOptions(options.encoding, "error", SkippedRows(), recorded=words_record(recorded))  # every row has an output
    tagged = TaggedRows(source, query, existing_split(source, query.split), reading, labelled=False)
    for row in good_rows(tagged.rows(), reading.on_bad_row, reading.tally):
        yield TextWithWords(row["text"], row["words"])
