"""The objectives of `train-sentence` on pairs of texts: their data and the starting model."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pair_data import PairTexts, check_pairs, check_scored_pairs, prepare_pairs
from mtlkit.data.datasets.pairs import PairTable, read_train_and_validation_pairs
from mtlkit.data.sources.pair_columns import check_negatives
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.initial_model import InitialModel
from mtlkit.recipes.training.objective_setup import ObjectiveSetup, start_model, texts_record
from mtlkit.training.events import Event, Note
from mtlkit.training.objectives.contrastive import SimilarityObjective
from mtlkit.training.objectives.pairs import PairsObjective, TripletsObjective


def load_pairs(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    """Matching pairs, perhaps with negatives. Raises DataError."""
    pairs = yield from _read_pairs(options, origin, source, reading, scored=False)
    check_pairs(pairs.train, pairs.table.columns, source)
    widths = options.widths(pairs.start.model.vector_dim)
    objective = PairsObjective(pairs.train, pairs.validation, options.temperature, widths)
    return ObjectiveSetup(pairs.start, objective, pairs.data, pairs.table.record)


def load_triplets(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    """Pairs with at least one negative each. Raises DataError."""
    pairs = yield from _read_pairs(options, origin, source, reading, scored=False)
    for table in pairs.tables:
        check_negatives(table.record)
    widths = options.widths(pairs.start.model.vector_dim)
    objective = TripletsObjective(pairs.train, pairs.validation, options.margin, options.distance, widths)
    return ObjectiveSetup(pairs.start, objective, pairs.data, pairs.table.record)


def load_similarity(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    """Pairs with scores. Raises DataError."""
    pairs = yield from _read_pairs(options, origin, source, reading, scored=True)
    check_scored_pairs(pairs.train, pairs.table.columns, source)
    objective = SimilarityObjective(pairs.train, pairs.validation, options.widths(pairs.start.model.vector_dim))
    return ObjectiveSetup(pairs.start, objective, pairs.data, pairs.table.record)


@dataclass(frozen=True)
class PreparedPairs:
    """A model to train, tokenized pairs, the fingerprint of the data, and the tables of training and validation pairs."""

    start: InitialModel
    train: PairTexts
    validation: PairTexts
    data: dict[str, Any]
    tables: tuple[PairTable, PairTable]

    @property
    def table(self) -> PairTable:
        """The table of training pairs."""
        return self.tables[0]


def _read_pairs(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions, scored: bool
) -> Generator[Event, None, PreparedPairs]:
    tables = read_train_and_validation_pairs(source, reading, scored)
    yield from source_notes(tables[0].record, source)
    yield Note(f"{len(tables[0]):,} pairs to train on, {len(tables[1]):,} to validate")
    start = start_model(options, origin, tables[0].texts())
    train, validation = (
        prepare_pairs(table.firsts, table.seconds, table.scores, start.encoder, table.negatives) for table in tables
    )
    train_values, validation_values = (table.all_values() for table in tables)
    data = {"source": source, "train": texts_record(train_values), "validation": texts_record(validation_values)}
    return PreparedPairs(start, train, validation, data, tables)
