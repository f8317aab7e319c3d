"""`mtlkit report`: a page about a run, or about several, from records, logs and an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.commands.report import ReportOptions
from mtlkit.config.commands.run_commands import InfoOptions
from mtlkit.errors import UsageError, listed
from mtlkit.recipes.info import info
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.picture_files import check_matplotlib
from mtlkit.recipes.reporting.evaluated import evaluated
from mtlkit.recipes.reporting.logs import log_facts
from mtlkit.recipes.reporting.pictures import check_folder, write_pictures
from mtlkit.recipes.reporting.runs import page_of_runs
from mtlkit.recipes.run_list.rows import unfinished
from mtlkit.report.page.content import Page, make_page
from mtlkit.report.page.render import FORMATS, rendered
from mtlkit.report.run_facts import RunFacts
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file
from mtlkit.runs.overlap import Input


@dataclass(frozen=True)
class Reported:
    """The content of a page, the runs that it is about, and the pictures that were written; `facts` are those of a single run,
    `cached` the tasks whose predictions came from the cache."""

    page: Page
    runs: tuple[Path, ...]
    facts: RunFacts | None
    output: Path
    bytes: int
    cached: tuple[str, ...] = ()
    pictures: tuple[Path, ...] = ()


def check(options: ReportOptions) -> None:
    """Raises UsageError if the page must not or cannot be written. Call it before any work."""
    form_of(options)
    check_matplotlib("report needs matplotlib for its charts")
    check_output_file(options.page, inputs_of(options), overwrite=options.overwrite)
    check_folder(options)


def form_of(options: ReportOptions) -> str:
    """The form of the page, as a suffix. Raises UsageError."""
    suffix = options.page.suffix.lower()
    if options.format is not None:
        if suffix in FORMATS and suffix != f".{options.format}":
            raise UsageError(f"--output {options.page} has another form than --format {options.format}; remove one of them")
        return f".{options.format}"
    if suffix not in FORMATS:
        raise UsageError(f"--output {options.page}: suffix {suffix!r} is not one of {listed(FORMATS)}; rename it or add --format")
    return suffix


def report(options: ReportOptions) -> Reported:
    """Writes the page. Raises UsageError, IntegrityError, SavingError; what cannot be evaluated is left out, with a note."""
    check(options)
    facts: RunFacts | None = None
    if options.others:
        page, compared = page_of_runs(options)
        runs, cached = [run.path for run in compared.runs], tuple(compared.cached)
    else:
        facts = info(InfoOptions(run=None if options.run is None else Path(options.run), runs=options.runs))
        found = evaluated(options, facts)
        state = unfinished(facts.path) if facts.record is None else None
        page = make_page(facts, log_facts(facts.path), found.sections, found.notes, found.changed, state)
        runs, cached = [facts.path], found.cached
    pictures = [] if options.pictures is None else write_pictures(options, page.pictures)
    content = rendered(page, form_of(options)).encode("utf-8", "backslashreplace")
    inputs = [*inputs_of(options), *(Input(run, "the run") for run in runs)]
    with locked(options.page, command_line("report", options), option="--output"):
        check_output_file(options.page, inputs, overwrite=options.overwrite)
        with saving(options.page), atomic_file(options.page.resolve()) as file:
            file.write(content)
    return Reported(page, tuple(runs), facts, options.page, len(content), cached, tuple(pictures))
