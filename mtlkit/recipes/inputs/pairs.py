"""The pairs of texts for `predict`, as a stream: from arguments, standard input or a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.pair_files import read_pairs
from mtlkit.data.sources.text_files import address_of
from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.texts import check_one_place, check_typed, of_all_tables, stream_texts


def predicts_pairs(options: PredictOptions, specs: Mapping[str, TaskSpec]) -> bool:
    """Whether examples are pairs of texts: if --pair or the keys of --input say so, or all heads that predict read pairs and
    texts come from a file."""
    if options.pair is not None or not options.input:
        return options.pair is not None
    named = parse_source(address_of(options.input[0]))[1]
    asked = [spec for name, spec in specs.items() if options.tasks is None or name in options.tasks]
    return any((named.pair, named.first, named.second)) or bool(asked and all(spec.pair is not None for spec in asked))


def stream_pairs(
    options: PredictOptions, standard_input: TextIO, recorded: Sequence[SourceRecord] = ()
) -> Iterator[tuple[str, str]]:
    """Yields all pairs. The first text of `--pair` is paired with each of the texts; with `--input`, `--pair` names two columns,
    by default those of the data that the model was trained on, `recorded`.

    Raises UsageError if a text is missing, DataError.
    """
    if options.input:
        check_one_place(options)
        if options.column is not None:
            raise UsageError(f"--column {options.column} names one column, and pairs of texts have two; use --pair FIRST,SECOND")
        return of_all_tables(options, lambda table: read_pairs(table, options.pair, options.encoding, recorded))
    assert options.pair is not None
    check_typed(options.pair)
    if not options.texts:
        raise UsageError("--pair has one text; give the second after it: --pair FIRST SECOND")
    return ((options.pair or "", text) for text in stream_texts(options, standard_input))
