"""Reads queries, documents and relevance judgements in the layout of BEIR.

Judgements have the columns `query-id`, `corpus-id` and `score`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.datasets.identified_texts import IdentifiedTexts, id_value
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources import Source, existing_split, open_source
from mtlkit.data.sources.columns import column_list, numbered
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.rows import BadRow, Row, good_rows, place_of
from mtlkit.errors import DataError, suggest

JUDGEMENT_NAMES = ("query-id", "corpus-id", "score")


@dataclass(frozen=True)
class RetrievalData:
    """Q queries with the grade of each of their relevant documents, by id, and the documents. `name` is the source of the
    judgements.

    `unjudged` counts queries without a relevant document, which are left out. `missing_queries` and `missing_documents` are ids
    in the judgements that no query or document has.
    """

    name: str
    queries: tuple[str, ...]
    relevant: tuple[Mapping[str, float], ...]
    corpus: IdentifiedTexts
    ids: tuple[str, ...]
    unjudged: int
    missing_queries: tuple[str, ...]
    missing_documents: tuple[str, ...]

    @cached_property
    def order(self) -> list[int]:
        """The documents in alphabetical order of their ids. A document's number is its place in it, which ranks equal scores."""
        return sorted(range(len(self.ids)), key=self.ids.__getitem__)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each document, (documents,)."""
        numbers = np.empty(len(self.ids), np.int64)
        numbers[self.order] = np.arange(len(self.ids))
        return numbers

    def grades(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """The grades of documents, (Q, K), by their numbers; 0 for those that are not relevant, and for -1."""
        rows = [
            [0.0 if number < 0 else relevant.get(self.ids[self.order[number]], 0.0) for number in found]
            for relevant, found in zip(self.relevant, numbers.tolist(), strict=True)
        ]
        return np.array(rows, np.float64).reshape(numbers.shape)


def read_retrieval(sources: tuple[str, str, str], reading: ReadOptions) -> RetrievalData:
    """Reads queries, judgements and the ids of all documents. Raises UsageError, DataError."""
    queries_source, corpus_source, judgements_source = sources
    judgements = read_judgements(judgements_source, reading)
    queries = {row["id"]: row["text"] for row in IdentifiedTexts(queries_source, reading).distinct_rows()}
    corpus = IdentifiedTexts(corpus_source, reading)
    ids = {row["id"]: None for row in corpus.distinct_rows()}
    relevant = {query: judgements[query] for query in queries if judgements.get(query)}
    if not relevant:
        raise DataError(f"{judgements_source}: no query of {queries_source} has a relevant document; compare the ids")
    wanted = {document: None for own in relevant.values() for document in own}
    missing = tuple(document for document in wanted if document not in ids)
    if len(missing) == len(wanted):
        raise DataError(f"{judgements_source}: no relevant document is in {corpus_source}; compare the ids")
    return RetrievalData(
        judgements_source,
        tuple(queries[query] for query in relevant),
        tuple(relevant.values()),
        corpus,
        tuple(ids),
        len(queries) - len(relevant),
        tuple(query for query in judgements if query not in queries),
        missing,
    )


def read_judgements(address: str, reading: ReadOptions) -> dict[str, dict[str, float]]:
    """The relevant documents of each query with their grades, by id. Documents with a score of 0 or less are not relevant. Raises
    DataError, also for two scores of one document."""
    path, query = parse_source(address)
    source = open_source(path, query)
    split = existing_split(source, query.split)
    judged: dict[tuple[str, str], float] = {}
    relevant: dict[str, dict[str, float]] = {}
    for row in good_rows(_judgements(source, split, query, reading), reading.on_bad_row, reading.tally):
        pair = row["query"], row["document"]
        if judged.setdefault(pair, row["score"]) != row["score"]:
            raise DataError(f"{row['place']}: query '{pair[0]}' and document '{pair[1]}' have two scores; remove one row")
        own = relevant.setdefault(row["query"], {})
        if row["score"] > 0:
            own[row["document"]] = row["score"]
    if not relevant:
        raise DataError(f"{source.name}: no rows; give a file with the columns {', '.join(JUDGEMENT_NAMES)}")
    return relevant


def _judgements(source: Source, split: str, query: Query, reading: ReadOptions) -> Iterator[Row | BadRow]:
    name = source.name
    named: dict[str, str] = {}

    def choose(columns: list[str]) -> None:
        named.update({column.lower().replace("_", "-"): column for column in columns})
        for wanted in JUDGEMENT_NAMES:
            if wanted not in named:
                near = suggest(wanted, columns)
                raise DataError(f"column '{wanted}' not found in {name}; columns: {column_list(columns)}{near}")

    for number, row in numbered(source.rows(split, query.encoding or reading.encoding), choose):
        if isinstance(row, BadRow):
            yield row
            continue
        place = place_of(row, name, number)
        keys = [id_value(row, named[wanted]) for wanted in JUDGEMENT_NAMES[:2]]
        shown = id_value(row, named["score"])
        try:
            score = float(shown or "")
        except ValueError:
            score = np.nan
        if None in keys:
            yield BadRow(f"{place}: no id in column '{JUDGEMENT_NAMES[keys.index(None)]}'")
        elif not np.isfinite(score):
            yield BadRow(f"{place}: column 'score' is not a finite number: {shown!r}")
        else:
            yield {"query": keys[0], "document": keys[1], "score": score, "place": place}
