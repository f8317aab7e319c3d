"""`mtlkit pretrain`: trains a tokenizer and a base on raw text, or a given model further."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtlkit.config.commands.pretrain import SCRATCH, PretrainOptions
from mtlkit.data.cache import fingerprint
from mtlkit.errors import UsageError, counted
from mtlkit.inference.compute import Compute, choose_compute, slow_precision
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.prediction_head import write_prediction_head
from mtlkit.recipes.evaluation.masked import masked_perplexity
from mtlkit.recipes.evaluation.perplexity import perplexity
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.training.base_data import BaseData, read_base_data
from mtlkit.recipes.training.base_start import BaseStart, find_origin
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
        corpus, start = yield from read_base_data(options, shares, origin, compute)
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
    session: RunSession[PretrainOptions], saver: FolderSaver, start: BaseStart, corpus: BaseData, metrics: dict[str, Any]
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


def measured(
    backbone: Encoder, objective: LanguageObjective, corpus: BaseData, compute: Compute, ranks: Ranks = ALONE
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


def _describe(start: BaseStart, corpus: BaseData, training: Pretraining) -> str:
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
