"""The texts for `predict` whose words are known, as a stream: from a file with columns of words, or in CoNLL format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.tagged_rows import TaggedRows, is_tagged
from mtlkit.data.sources import existing_split
from mtlkit.data.sources.rows import SkippedRows, good_rows
from mtlkit.data.sources.text_files import open_input
from mtlkit.errors import UsageError
from mtlkit.inference.words import TextWithWords


def reads_words(options: PredictOptions, recorded: Sequence[SourceRecord] = ()) -> bool:
    """Whether `--input` has words rather than texts: if its keys or its format say so."""
    if options.input is None or options.column is not None or str(options.input) == "-":
        return False
    source, query = open_input(options.input, None, recorded)
    return query.spans is None and is_tagged(source, query, None)


def stream_words(options: PredictOptions, recorded: Sequence[SourceRecord] = ()) -> Iterator[TextWithWords]:
    """Yields all texts with their words, in row order. Raises UsageError if there are texts, too, and DataError."""
    assert options.input is not None
    if options.texts:
        raise UsageError("texts and --input are given; use one of them")
    source, query = open_input(options.input, None, recorded)
    reading = ReadOptions(options.encoding, "error", SkippedRows())  # no row is skipped, so that outputs correspond to rows
    tagged = TaggedRows(source, query, existing_split(source, query.split), reading, labelled=False)
    for row in good_rows(tagged.rows(), reading.on_bad_row, reading.tally):
        yield TextWithWords(row["text"], row["words"])
