"""`mtlkit mine`: finds hard negatives for pairs of texts, similar to the first text and no match for it.

Candidates are encoded and compared in blocks by matrix products, so the search is exact. In memory are the pairs, the vectors of
their first texts and of one block, the nearest candidates so far, and a digest of each candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.mine import MineOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import PairTable, read_pairs
from mtlkit.data.row_files import Record, check_suffix, write_rows
from mtlkit.data.sources import existing_split, open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.pair_columns import NO_NEGATIVES
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.sources.text_files import read_column
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.mining.candidates import DistinctTexts
from mtlkit.recipes.mining.search import PairIndex, Search
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file


@dataclass(frozen=True)
class Mined:
    """What `mine` wrote: `written` of the `pairs`, each with `negatives` hard negatives out of `candidates` different texts. The
    others have too few candidates within the limits that the text `limits` names. `positive` and `negative` are mean
    similarities of what was written, `record` says how the pairs were read."""

    output: Path
    pairs: int
    written: int
    negatives: int
    candidates: int
    positive: float
    negative: float
    limits: str
    record: SourceRecord
    tally: SkippedRows = field(default_factory=SkippedRows)

    def to_json(self) -> dict[str, Any]:
        names = ("pairs", "written", "negatives", "candidates", "positive", "negative")
        return {"output": str(self.output), **{name: getattr(self, name) for name in names}}


def check_output(options: MineOptions) -> None:
    """Raises UsageError if options are missing or contradict each other, or the file must not or cannot be written. Call it
    before any work."""
    if options.source is None:
        raise UsageError("no pairs to mine negatives for; give a SOURCE, such as pairs.csv")
    if options.output is None:
        raise UsageError("no file to write to; add --output FILE.jsonl")
    if options.skip + options.negatives > options.depth:
        raise UsageError(
            f"--depth {options.depth} leaves fewer than {options.negatives} candidates after --skip {options.skip}; use "
            f"--depth {options.skip + options.negatives} or more"
        )
    if options.corpus is not None and parse_source(options.corpus)[0] == "-":
        raise UsageError("--corpus - is read twice, and standard input can be read only once; save it to a file")
    check_suffix(options.output, "--output")
    check_output_file(options.output, inputs_of(options), overwrite=options.overwrite)


def mine(options: MineOptions, loaded: LoadedModel) -> Mined:
    """Mines negatives and writes a table with the columns `anchor`, `positive` and `negative`, or `negative_1` and so on.

    Candidates are ranked by their similarity to the anchor, without the anchor itself and all of its positives (equal texts
    count as one, whatever their case and white space). Of ranks `skip` + 1 to `depth`, the first `negatives` that are within
    `margin` and `cap` are taken. Raises UsageError, DataError, SavingError.
    """
    check_output(options)
    assert options.source is not None
    assert options.output is not None
    tally = SkippedRows()
    table = read_table(options.source, ReadOptions(options.encoding, options.on_bad_row, tally))
    pairs, corpus = PairIndex(table.firsts, table.seconds), corpus_of(options)
    found = Search(pairs, options, loaded).run(corpus)
    chosen, scores = chosen_of(found.candidates, found.scores, found.positives, options)
    rows = np.flatnonzero((chosen >= 0).all(1))
    if not len(rows):
        raise DataError(f"{table.record.source}: no pair has {options.negatives} negatives{limits(options)}")
    texts = (corpus or pairs.seconds).numbered(np.unique(chosen[rows]))
    with locked(options.output, command_line("mine", options), option="--output"):
        check_output(options)  # again, as another command may have written the file in the meantime
        names = negative_names(options.negatives)
        records = records_of(table, rows, [[texts[number] for number in own] for own in chosen[rows].tolist()], names)
        write_rows(options.output, ["anchor", "positive", *names], records)
    means = float(found.positives[rows].mean()), float(scores[rows].mean())
    sizes = len(table), len(rows), options.negatives, found.compared
    return Mined(options.output, *sizes, *means, limits(options), table.record, tally)


def read_table(address: str, reading: ReadOptions) -> PairTable:
    """The pairs of a source's training split, without negatives that it may have. Raises DataError."""
    path, query = parse_source(address)
    source = open_source(path, query)
    return read_pairs(source, replace(query, negatives=NO_NEGATIVES), existing_split(source, query.split), reading, False)


def corpus_of(options: MineOptions) -> DistinctTexts | None:
    """The texts of `--corpus`; None without that option."""
    corpus = options.corpus
    return None if corpus is None else DistinctTexts(lambda: read_column(corpus, None, options.encoding))


def chosen_of(
    candidates: NDArray[np.int64], scores: NDArray[np.float32], positives: NDArray[np.float32], options: MineOptions
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The candidates to use for each of P pairs and their similarities, (P, negatives) each, from the nearest ones, (P, K); -1
    where there are too few. positives: (P,)."""
    allowed = (candidates >= 0) & (scores <= positives[:, None] - options.margin)
    if options.cap is not None:
        allowed &= scores <= options.cap
    allowed[:, : options.skip] = False
    first = np.argsort(~allowed, axis=1, kind="stable")[:, : options.negatives]
    taken = np.take_along_axis(allowed, first, axis=1)
    return np.where(taken, np.take_along_axis(candidates, first, axis=1), -1), np.take_along_axis(scores, first, axis=1)


def limits(options: MineOptions) -> str:
    """The limits of the search and how to widen them, for a message about pairs without enough negatives."""
    cap = "" if options.cap is None else f" and at most {options.cap:g}"
    return (
        f" at ranks {options.skip + 1} to {options.depth} with a similarity at least {options.margin:g} below that of the "
        f"positive{cap}; raise --depth, or lower --margin or --negatives"
    )


def negative_names(count: int) -> list[str]:
    """The columns of negatives."""
    return ["negative"] if count == 1 else [f"negative_{number}" for number in range(1, count + 1)]


def records_of(table: PairTable, rows: NDArray[np.int64], negatives: list[list[str]], names: list[str]) -> list[Record]:
    records: Iterator[Record] = (
        {"anchor": table.firsts[row], "positive": table.seconds[row], **dict(zip(names, own, strict=True))}
        for row, own in zip(rows.tolist(), negatives, strict=True)
    )
    return list(records)
