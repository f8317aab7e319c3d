"""The texts that `pretrain` trains on, as batches of tokens, and those that it measures with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.mix import names_of
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.datasets.corpus import Removed, read_corpus
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.documents import DocumentSampler
from mtlkit.data.encoded import Encoded
from mtlkit.data.quality.duplicates import LETTERS_COMPARED
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import train_tokenizer
from mtlkit.data.windows import MixedWindows, TokenSampler, WindowSampler
from mtlkit.errors import DataError, counted, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.evaluation.perplexity import HeldOutTexts, read_held_out
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.base_start import BaseStart, continued_start, fresh_start
from mtlkit.training.events import Event, Note


@dataclass(frozen=True)
class BaseData:
    """Batches of training tokens, held-out texts, fingerprints, and how each source was read."""

    sampler: TokenSampler
    held_out: HeldOutTexts
    data: dict[str, Any]
    records: dict[str, SourceRecord]


def read_base_data(
    options: PretrainOptions, shares: Sequence[float] | None, origin: ModelRef | None, compute: Compute
) -> Generator[Event, None, tuple[BaseData, BaseStart]]:
    """Reads the texts, and loads the model, or trains a tokenizer for a fresh one."""
    start = continued_start(options, origin, compute) if origin else None
    split = read_corpus(
        options.sources, ReadOptions(options.encoding, options.on_bad_row, SkippedRows()), options.seed, options.dedup
    )
    texts, held_out, tally = split.train, split.held_out, split.tally
    for name, record in split.records.items():
        yield from source_notes(record, name)
    yield Note(f"{len(texts):,} texts to train on, {len(held_out):,} held out{split.origin}, from {listed(options.sources)}")
    if line := removed_line(split.removed):
        yield Note(line)
    if tally.skipped:
        yield Note(f"{tally.skipped:,} rows skipped, such as {tally.reasons[0]}", warning=True)
    if start is None:
        start = fresh_start(options, train_tokenizer(texts, options.vocab_size, options.lowercase), compute)
    yield from map(Note, start.notes)
    context = min(options.context, start.backbone.architecture.max_length)
    sampler = _sampler(options, shares, encode_cached(texts, start.encoder, whole=True), split.ends, context)
    if shares is not None:
        yield Note(mix_line(sampler, names_of(options.sources)))
    unseen = read_held_out(held_out, start.encoder, options.packing)
    data = {"texts": fingerprint(texts), "held_out": fingerprint(held_out), "sources": options.sources}
    return BaseData(sampler, unseen, data, split.records), start


def _sampler(
    options: PretrainOptions,
    shares: Sequence[float] | None,
    encoded: Encoded,
    ends: Sequence[int],
    context: int,
) -> TokenSampler:
    """The batches of the texts, of which each source has those up to its end. Raises DataError if there are too few tokens."""
    sampler: TokenSampler
    if options.packing == "documents":
        sampler = DocumentSampler(encoded.ids, context, encoded.offsets, tuple(ends), tuple(shares or ()))
    elif shares is None:
        sampler = WindowSampler(encoded.ids, context)
    else:
        sampler = MixedWindows(encoded.ids, context, tuple(encoded.offsets[list(ends)].tolist()), tuple(shares))
    counts = sampler.counts
    if shares is not None and (
        short := [name for name, count in zip(options.sources, counts.tolist(), strict=True) if not count]
    ):
        raise DataError(f"--mix: {listed(short)}: too few tokens for one window of --context {context}; omit it, or add text")
    if not counts.sum():
        raise DataError(f"{len(encoded.ids):,} tokens do not fill one window of --context {context}; add text")
    return sampler


def removed_line(removed: Removed) -> str:
    """What was left out of the texts as it repeats others, in a sentence; empty if nothing was."""
    if removed.is_large:
        limit = f"more than {LETTERS_COMPARED / 1e6:,.0f} million characters; not compared for near duplicates"
        return f"{limit}, {counted(removed.equal, 'equal text')} left out" if removed.equal else limit
    if not removed.texts:
        return ""
    return (
        f"left out {counted(removed.texts, 'text')} that repeat others ({removed.equal:,} equal, {removed.near:,} nearly), "
        f"{removed.letters:,} characters; --dedup none keeps them"
    )


def mix_line(sampler: TokenSampler, names: Sequence[str]) -> str:
    """The share and the number of passes of each source in an epoch, in a sentence."""
    parts = [
        f"{name} {source.share:.0%} ({source.passes:.2g} {'pass' if source.passes == 1 else 'passes'})"
        for name, source in zip(names, sampler.shares_of_epoch, strict=True)
    ]
    return f"an epoch: {', '.join(parts)}"
