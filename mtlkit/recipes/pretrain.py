"""`mtlkit pretrain`: trains a tokenizer and a base on raw text, or a given model further."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit.config.commands.pretrain import SCRATCH, PretrainOptions
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
from mtlkit.errors import DataError, UsageError, counted, listed
from mtlkit.inference.compute import Compute, choose_compute, slow_precision
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.prediction_head import write_prediction_head
from mtlkit.recipes.evaluation.masked import masked_perplexity
from mtlkit.recipes.evaluation.perplexity import HeldOutTexts, perplexity, read_held_out
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.base_start import BaseStart, continued_start, find_origin, fresh_start
from mtlkit.recipes.training.open_session import open_session
from mtlkit.recipes.training.save import Provenance, TrainedModel, save_run
from mtlkit.recipes.training.session import RunSession
from mtlkit.runs.record import TOKENIZER
from mtlkit.runs.staging import staged
from mtlkit.training.checkpointing import FolderSaver
from mtlkit.training.distributed.agreement import check_equal
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.events import BEFORE_FINISH, Event, Finished, Note, result
from mtlkit.training.loop import DivergedStep
from mtlkit.training.objectives.language import LanguageObjective, MaskedTokens, NextToken
from mtlkit.training.pretraining import Pretraining

NEXT = "mtlkit train-sentence"


def pretrain(options: PretrainOptions) -> Finished:
    """Trains a base on texts and writes the run. Raises DataError, UsageError, IntegrityError, DivergedError."""
    return result(stream(options))


def stream(options: PretrainOptions) -> Iterator[Event]:
    """Like `pretrain`, but yields events."""
    started = time.monotonic()
    with open_session(options, "pretrain", "pretrain") as session:
        yield from session.take_notes()
        options, out, ranks = session.options, session.out, session.ranks
        shares = options.shares
        if session.finished:
            yield Finished(out, session.finished.metrics, 0.0, next_command(NEXT, out, "pretrain", options))
            return
        compute = choose_compute(options.device, options.precision)
        if slow := slow_precision(compute):
            yield Note(slow, warning=True)
        origin = find_origin(options)
        session.check_start(origin)
        if session.point.added and options.tokens is not None:
            raise UsageError("--extend adds epochs, and --tokens sets the length of the training; train again with more")
        if session.point.added and options.finish is not None:
            raise UsageError(f"--extend adds epochs, and --finish has ended the training; train it further with --init {out}")
        if origin:
            yield Note(f"starting from {origin}, {origin.reason}")
        corpus, start = yield from _read(options, shares, origin, compute)
        data = {**corpus.data, TOKENIZER: fingerprint([start.encoder.tokenizer.to_str()])}
        session.check_inputs(start.model, data)
        saver = session.saver(compute, data, options.init or SCRATCH, start.parent)
        yield from session.take_notes()
        if start.finish:
            start.finish.measure = lambda: measured(start.backbone, start.objective, corpus, compute, ranks)
        training = Pretraining(start.objective, corpus.sampler, options, compute, ranks, start.finish)
        yield Note(_describe(start, corpus, training))
        if session.state:
            training.resume(session.state)
        with session.trackers:
            with session.log(saver, lambda error: _texts_of(error, start)) as log:
                yield from session.trackers.along(training.events(log, saver))
                metrics = measured(start.backbone, start.last_objective, corpus, compute, ranks)
                metrics |= {"tokens": training.state.seen, "tokens_per_second": training.state.speed}
                training.evaluated(metrics)
                if start.finish and start.finish.metrics:
                    metrics[BEFORE_FINISH] = start.finish.metrics
            saver.ended(training.state.step, training.state_dict)
            if options.keep_state:
                saver.save(training.state.step, training.state_dict(complete=True))
            check_equal(ranks, "at the end", dict(start.model.named_parameters()))
            if ranks.is_main:
                _save(session, saver, start, corpus, metrics)
            yield Note(result_line(metrics))
            yield from session.end_tracking(metrics)
        yield Finished(out, metrics, time.monotonic() - started, next_command(NEXT, out, "pretrain", options))


def _save(
    session: RunSession[PretrainOptions], saver: FolderSaver, start: BaseStart, corpus: PretrainData, metrics: dict[str, Any]
) -> None:
    """Writes the run."""
    encoder, base = start.encoder, MultiTaskModel(start.backbone)
    trained = TrainedModel(base, encoder.tokenizer, "base", encoder.encoding, corpus.records, start.vectors)
    with session.saving(saver), staged(session.out) as folder:
        session.hand_over(folder)
        if start.last_head is not None:
            write_prediction_head(folder, start.last_head)
        provenance = Provenance("pretrain", session.options, corpus.data, start.parent, session.started)
        save_run(folder, session.out, trained, provenance, metrics)
    session.end()


@dataclass(frozen=True)
class PretrainData:
    """Batches of training tokens, held-out texts, fingerprints, and how each source was read."""

    sampler: TokenSampler
    held_out: HeldOutTexts
    data: dict[str, Any]
    records: dict[str, SourceRecord]


def measured(
    backbone: Encoder, objective: LanguageObjective, corpus: PretrainData, compute: Compute, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """The figures of the trained base on held-out texts."""
    if isinstance(objective, MaskedTokens):
        return masked_perplexity(objective.model, corpus.held_out, objective.masking, corpus.sampler.length, compute, ranks)
    head = objective.head if isinstance(objective, NextToken) else None
    return perplexity(backbone, corpus.held_out, compute, ranks, head)


def result_line(metrics: Mapping[str, Any]) -> str:
    """The figures in a sentence."""
    if "masked_accuracy" in metrics:
        return (
            f"held-out perplexity of masked tokens {metrics['perplexity']:.2f}, {metrics['masked_accuracy']:.1%} predicted right"
        )
    return f"held-out perplexity {metrics['perplexity']:.2f}, {metrics['bits_per_byte']:.3f} bits per byte"


def _describe(start: BaseStart, corpus: PretrainData, training: Pretraining) -> str:
    model, shape = start.backbone, start.backbone.architecture
    parameters, objective = sum(parameter.numel() for parameter in model.parameters()), start.objective.name
    if start.finish:
        objective += f", then {start.last_objective.name} in the last {counted(training.steps - training.turn, 'step')}"
    return (
        f"{shape.layers} layers of {shape.dim}, {parameters:,} parameters, {shape.vocab_size:,} tokens in the vocabulary; "
        f"{len(corpus.sampler.ids):,} tokens of text, {training.steps:,} steps of {training.step_tokens:,} on "
        f"{training.compute.device}; objective: {objective}; "
        f"{'Muon' if training.options.muon else 'AdamW'} with learning rate {training.options.peak_rate:.2g}"
    )


def _texts_of(error: DivergedStep, start: BaseStart) -> dict[str, Any]:
    """The pieces of texts in the step that diverged."""
    pieces = [ids.tolist() for piece in error.pieces for ids in np.split(piece.ids, np.cumsum(piece.lengths)[:-1])]
    return {"windows": [start.encoder.tokenizer.decode(ids) for ids in pieces]}


def _read(
    options: PretrainOptions, shares: Sequence[float] | None, origin: ModelRef | None, compute: Compute
) -> Generator[Event, None, tuple[PretrainData, BaseStart]]:
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
    return PretrainData(sampler, unseen, data, split.records), start


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
    count = removed.equal + removed.near
    if removed.is_large:
        limit = f"more than {LETTERS_COMPARED / 1e6:,.0f} million characters; not compared for near duplicates"
        return f"{limit}, {counted(removed.equal, 'equal text')} left out" if removed.equal else limit
    if not count:
        return ""
    return (
        f"left out {counted(count, 'text')} that repeat others ({removed.equal:,} equal, {removed.near:,} nearly), "
        f"{removed.letters:,} characters; --dedup none keeps them"
    )


def mix_line(sampler: TokenSampler, names: Sequence[str]) -> str:
    """The share and the number of passes of each source in an epoch, in a sentence."""
    parts = [
        f"{name} {source.share:.0%} ({source.passes:.2g} {'pass' if source.passes == 1 else 'passes'})"
        for name, source in zip(names, sampler.shares_of_epoch, strict=True)
    ]
    return f"an epoch: {', '.join(parts)}"
