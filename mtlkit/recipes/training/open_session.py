"""Opens the session of a training command: finds and locks its folder, and joins the processes that train together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtlkit.config.paths import expand
from mtlkit.config.save_every import parse_save_every
from mtlkit.errors import LostRankError, UsageError, counted
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.training.resuming.options import Options, load_options, resolved
from mtlkit.recipes.training.resuming.point import ResumePoint, find_resume_point
from mtlkit.recipes.training.session import RunSession, resume_command
from mtlkit.recipes.training.tracked import check_tracking
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.outputs import check_output_folder, kept_line
from mtlkit.runs.record import CHECKPOINTS
from mtlkit.runs.staging import remove_staged
from mtlkit.training.distributed.join import join_ranks
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.events import Note


@contextmanager
def open_session(options: Options, command: str, folder: str) -> Iterator[RunSession[Options]]:
    """Finds the folder of a training, locks it, and finds the checkpoint to resume from. The first of several processes does so
    for all.

    `folder` is its default name under `--runs`. Raises UsageError, IntegrityError, LostRankError.
    """
    parse_save_every(options.save_every)
    if options.extend and options.resume is None:
        raise UsageError("--extend continues a finished run; name it with --resume RUN")
    out = expand(options.resume) if options.resume else options.out or options.runs / folder
    if options.resume and options.out not in (None, out):
        raise UsageError(f"--resume {out} continues in that folder, and --out names {options.out}; remove one of them")
    with joined(options, resume_command(command, out)) as ranks, _opened(options, command, out, ranks) as session:
        check_batches(session, ranks.size)
        session.interrupts.patient = ranks.size > 1
        if session.point.checkpoint:
            way = f"the checkpoint of step {session.point.checkpoint.step} is kept; resume with: {session.resume_command}"
            session.interrupts.message = f"stopped before the first step; {way}"
        with nullcontext() if session.finished else session.interrupts:
            yield session


@contextmanager
def joined(options: Options, way_on: str) -> Iterator[Ranks]:
    """The processes of this training. Raises LostRankError, with how to resume, when one of them is gone."""
    ranks = join_ranks(options.device)
    try:
        yield ranks
    except LostRankError as error:
        ranks.abandon()
        raise LostRankError(f"{error}; resume from the last checkpoint, if there is one, with: {way_on}") from None
    except BaseException:
        ranks.abandon()
        raise
    ranks.leave()


@contextmanager
def _opened(options: Options, command: str, out: Path, ranks: Ranks) -> Iterator[RunSession[Options]]:
    with _located(options, command, out, ranks.size) if ranks.is_main else nullcontext() as located:
        point = ranks.from_main(located)
        assert point is not None
        yield RunSession(command, out, CheckpointManager(out), point, notes=list(point.notes), ranks=ranks)


@contextmanager
def _located(options: Options, command: str, out: Path, processes: int) -> Iterator[ResumePoint[Options]]:
    """The point at which the training resumes, or starts. Its folder is locked meanwhile."""
    if options.resume:
        options = load_options(options, command, out)
    check_tracking(options, out)
    resumes = options.resume is not None
    check_output_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
    checkpoints, begun = CheckpointManager(out), (out / CHECKPOINTS).is_dir()
    with checkpoints.lock(command_line(command, options)):
        # again, as another training may have finished in the meantime
        check_output_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
        remove_staged(out)
        point = ResumePoint(options)
        if resumes:
            point = find_resume_point(options, command, checkpoints, replaces=options.overwrite and begun)
        if not point.finished and (kept := kept_line(out)):
            point = replace(point, notes=(*point.notes, Note(kept)))
        yield replace(point, options=resolved(point.options, processes))


def check_batches(session: RunSession[Any], processes: int) -> None:
    """Raises UsageError if a step has fewer batches than there are processes; only a note if a resumed training says so."""
    batches = session.options.batches_per_step
    if processes == 1 or session.finished:
        return
    if batches < processes:
        text = f"--accumulate {batches} makes a step of fewer batches than there are processes ({processes})"
        if session.point.checkpoint is None:
            raise UsageError(f"{text}; use a multiple of {processes}, or omit it")
        session.notes.append(Note(f"{text}: some have nothing to do", warning=True))
    else:
        each = f"{counted(batches, 'batch', 'batches')} per step in {processes} processes"
        session.notes.append(Note(f"{each}; the same as --accumulate {batches} in one"))
