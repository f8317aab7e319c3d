"""The curves of a run, from its log; as a picture where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mtlkit.config.inference import CurvesOptions
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.report.log_reader import Curves, read_curves
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import Input, check_file
from mtlkit.runs.record import LOG, STATE, newest

FORMATS = (".svg", ".png")


@dataclass(frozen=True)
class ShownCurves:
    """Curves, the log that they are from, and why that was taken."""

    curves: Curves
    log: Path
    reason: str


def curves(options: CurvesOptions) -> ShownCurves:
    """Reads the log and writes the picture, if any. Raises UsageError, before any work where it can; IntegrityError for a log
    that is damaged."""
    inputs = inputs_of(options)
    if options.output is not None:
        check_picture(options.output)
        check_file(options.output, inputs, overwrite=options.overwrite)
    log, reason = find_log(options.run, options.runs)
    inputs.append(Input(log, "the log"))
    found = read_curves(log)
    if not found.tasks:
        raise UsageError(f"{log} holds no step yet; there is nothing to show")
    if options.output is not None:
        with locked(options.output, command_line("curves", options), option="--output"):
            check_file(options.output, inputs, overwrite=options.overwrite)
            write_picture(found, options.output, log.resolve().parent.name, options.smooth)
    return ShownCurves(found, log, reason)


def find_log(asked: Path | None, runs: Path) -> tuple[Path, str]:
    """The log of a run, finished or still training; the file itself; or that of the newest run; and why. Raises UsageError."""
    if asked is None:
        if path := newest(runs, ("mtl", "sentence", "base")):
            return path / LOG, f"the newest run under {runs}/"
        if running := sorted(runs.glob(f"*/{STATE}/{LOG}"), key=lambda log: log.stat().st_mtime):
            return running[-1], f"no run under {runs}/ is finished; this one was written to last"
        raise UsageError(f"no run under {runs}/; name the folder of one, or train one with: mtlkit train-mtl")
    for log, reason in ((asked, "as asked"), (asked / LOG, "as asked"), (asked / STATE / LOG, "a training that is not finished")):
        if log.is_file():
            return log, reason
    there = [str(one.parent) for one in sorted(runs.glob(f"*/{LOG}"))]
    known = f"; runs: {listed(there)}" if there else ""
    what = f"no {LOG} in it, so there are no curves" if asked.is_dir() else "no such folder"
    raise UsageError(f"run {asked}: {what}{known}{suggest(str(asked), there)}")


def check_picture(path: Path) -> None:
    """Raises UsageError where no picture can be made."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--output {path}: suffix {path.suffix!r} is not one of {listed(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise UsageError(f"--output {path} needs matplotlib; install it with: pip install 'mtlkit[pictures]'")


def write_picture(found: Curves, path: Path, title: str, span: int | None) -> None:
    """Writes the picture. Raises SavingError."""
    from mtlkit.report.plots import curve_picture

    picture = curve_picture(found, "svg" if path.suffix.lower() == ".svg" else "png", title, span)
    with saving(path), atomic_file(path.resolve()) as file:
        file.write(picture)
