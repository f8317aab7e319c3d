"""`mtlkit curves`: reads the curves of a run from its log and optionally plots them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.errors import IntegrityError, UsageError, listed, suggest
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.picture_files import check_matplotlib, picture_format
from mtlkit.report.log_reader import Curves, Kept, read_curves, solved_without_steps
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file
from mtlkit.runs.overlap import Input
from mtlkit.runs.record import CHECKPOINTS, LOG, RECORD, newest_run, read_record

FORMATS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class ShownCurves:
    """Curves, the log they were read from, and why that log was chosen."""

    curves: Curves
    log: Path
    reason: str


def curves(options: CurvesOptions) -> ShownCurves:
    """Reads the log and writes the picture, if any. Raises UsageError, and IntegrityError for a damaged log."""
    inputs = inputs_of(options)
    if options.output is not None:
        check_picture(options.output)
        check_output_file(options.output, inputs, overwrite=options.overwrite)
    log, reason = find_log(options.run, options.runs)
    inputs.append(Input(log, "the log"))
    curves_read = with_recorded(read_curves(log), log.parent)
    if not curves_read.tasks and not curves_read.solved:
        raise UsageError(f"{log}: no steps logged yet")
    if options.output is not None:
        if curves_read.solved:
            raise UsageError(f"--output {options.output}: {solved_without_steps(curves_read)}; remove it")
        with locked(options.output, command_line("curves", options), option="--output"):
            check_output_file(options.output, inputs, overwrite=options.overwrite)
            write_picture(curves_read, options.output, log.resolve().parent.name, options.smooth)
    return ShownCurves(curves_read, log, reason)


def with_recorded(curves: Curves, folder: Path) -> Curves:
    """The curves of a finished run with the evaluation that its record says was kept."""
    if not (folder / RECORD).is_file():
        return curves
    try:
        metrics = read_record(folder).metrics
    except IntegrityError:  # the log can still be drawn
        return curves
    epoch, step = metrics.get("best_epoch"), metrics.get("best_step")
    return replace(curves, kept=Kept(step, epoch)) if isinstance(step, int) and isinstance(epoch, int) and step else curves


def find_log(run: Path | None, runs: Path) -> tuple[Path, str]:
    """The log of the given run (finished or training) or file, or of the newest run, and why it was chosen. Raises UsageError."""
    if run is None:
        if path := newest_run(runs, ("mtl", "sentence", "base")):
            return path / LOG, f"the newest run in {runs}/"
        if running := sorted(runs.glob(f"*/{CHECKPOINTS}/{LOG}"), key=lambda log: log.stat().st_mtime):
            return running[-1], f"the log written to last (no finished run in {runs}/)"
        raise UsageError(f"no run in {runs}/; give the folder of a run, or train one with: mtlkit train-mtl")
    for log, reason in ((run, "as specified"), (run / LOG, "as specified"), (run / CHECKPOINTS / LOG, "unfinished training")):
        if log.is_file():
            return log, reason
    folders = [str(path.parent) for path in sorted(runs.glob(f"*/{LOG}"))]
    known = f"; runs: {listed(folders)}" if folders else ""
    what = f"no {LOG} in it" if run.is_dir() else "no such folder"
    raise UsageError(f"run {run}: {what}{known}{suggest(str(run), folders)}")


def check_picture(path: Path) -> None:
    """Raises UsageError for an unknown suffix, or if matplotlib is missing."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--output {path}: suffix {path.suffix!r} is not one of {listed(FORMATS)}")
    check_matplotlib(f"--output {path} needs matplotlib")


def write_picture(data: Curves, path: Path, title: str, span: int | None) -> None:
    """Writes the picture. Raises SavingError."""
    from mtlkit.report.plots import Format, curve_picture

    picture = curve_picture(data, cast("Format", picture_format(path)), title, span)
    with saving(path), atomic_file(path.resolve()) as file:
        file.write(picture)
