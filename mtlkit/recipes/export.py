"""`mtlkit export`: writes a model for other tools, or as a smaller run. The formats are in `exporting/formats/`."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.registries.adapters import SHARED
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.find_model import ModelRef, find_model
from mtlkit.inference.load_weights import LoadedWeights, load_weights, read_description
from mtlkit.inference.scope.file import read_scopes, write_scopes
from mtlkit.model.description import ModelDescription, is_adapter, is_foreign
from mtlkit.model.interop.auto.models import check_supported
from mtlkit.recipes.exporting.card import card_text, export_card, test_figures
from mtlkit.recipes.exporting.fold import fold_temperatures
from mtlkit.recipes.exporting.formats.base import ExportFormat, format_of
from mtlkit.recipes.exporting.job import Exported, ExportJob
from mtlkit.recipes.exporting.verify import check_texts, largest_difference
from mtlkit.recipes.exporting.verify_library import difference_from_source
from mtlkit.recipes.inputs.card_facts import with_terms
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.model_record import model_record
from mtlkit.recipes.publishing.files import is_made, published, published_weights
from mtlkit.recipes.publishing.push import check_token, plan_push, push
from mtlkit.report.cards.figures import TEST
from mtlkit.runs import atomic as disk
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_folder
from mtlkit.runs.record import CARD, TOKENIZER, RunRecord
from mtlkit.runs.staging import finish, remove_staged, staged


def choose_export(options: ExportOptions) -> ExportJob:
    """Resolves and checks the options, before any work. Raises UsageError."""
    exporter = format_of(options.format)
    for package in exporter.needs:
        if find_spec(package) is None:
            raise UsageError(f"--format {options.format} needs {package}; install it with: {installation(options.format)}")
    model_ref = find_model(options.model, options.runs, exporter.stages)
    description = read_description(model_ref.path)
    check_task(options, str(model_ref), description, exporter)
    check_share(options, str(model_ref), description)
    if reason := exporter.unfit(description if options.task is None else description.only(options.task)):
        raise UsageError(f"--format {options.format} cannot hold {model_ref}, {reason}")
    if options.out is None and (is_foreign(model_ref.path) or model_ref.name):
        raise UsageError(
            f"{model_ref} is not one of your runs, so nothing is written into it; name a folder for the export as DIR"
        )
    card = card_text(options.card)
    out = options.out or model_ref.path / default_name(options)
    if options.yes:
        check_token(options)
    if options.push is not None and not options.overwrite and is_made(options, model_ref, out):
        return ExportJob(model_ref, out, card, made=True)
    if options.push is not None and not options.overwrite and (out / exporter.record).is_file():
        raise UsageError(
            f"{out} holds an export with other options, or of a model that changed; replace it with --overwrite, or choose "
            "another folder with DIR"
        )
    choice = ExportJob(model_ref, out, card)
    check_export(options, choice)
    return choice


def check_export(options: ExportOptions, choice: ExportJob) -> None:
    """Checks that the export may be written to its folder. Raises UsageError."""
    model_ref, out = choice.model, choice.out
    inside = model_ref.path if out.name == default_name(options) else None  # where exports go when no DIR is given
    what, marks = "export of this format", format_of(options.format).marks
    check_output_folder(
        out, inputs_of(options, model_ref), overwrite=options.overwrite, option="DIR", what=what, marks=marks, inside=inside
    )


def default_name(options: ExportOptions) -> str:
    """The name of an export within its run."""
    return options.format if options.task is None else f"{options.format}-{options.task}"


def check_task(options: ExportOptions, model: str, description: ModelDescription, exporter: ExportFormat) -> None:
    """Raises UsageError if there is no such head, or if heads with adapters of their own do not fit into one export."""
    heads = [task.name for task in description.tasks]
    if options.task is not None and options.task not in heads:
        have = f"it has {listed(heads) or 'none'}{suggest(options.task, heads)}"
        raise UsageError(f"--task {options.task}: {model} has no such head; {have}")
    own = [task for task in description.adapters if task != SHARED]
    if own and options.task is None and not exporter.keeps_adapters:
        raise UsageError(
            f"--format {options.format} holds one encoder, and {listed(own)} of {model} "
            f"{'has an adapter' if len(own) == 1 else 'have adapters'} of their own; export one task with --task {own[0]}"
        )


def check_share(options: ExportOptions, model: str, description: ModelDescription) -> None:
    """Raises UsageError if the model's pooling cannot change."""
    if options.embedding_share is None:
        return
    check_supported(description.architecture, f"--embedding-share {options.embedding_share}", "remove it")
    if description.tasks or description.stage == "base":
        has = "pools nothing" if description.stage == "base" else "has heads, which were trained on its vectors as they are"
        raise UsageError(f"--embedding-share: {model} {has}; train a sentence encoder with train-sentence --embedding-share")


def installation(format: str) -> str:
    """The command that installs what a format needs."""
    return f"pip install 'mtlkit[{format}]'"


def export(options: ExportOptions, choice: ExportJob | None = None) -> Exported:
    """Writes an export, compares it with the model on a few texts, and moves it into place only if they agree. With `push`, also
    plans to send it to the hub, and with `yes` sends it.

    Raises UsageError, IntegrityError if they differ, and NetworkError.
    """
    choice = choice or choose_export(options)
    done = _made(options, choice) if choice.made else _export(options, choice)
    if options.push is None:
        return done
    plan = plan_push(options, done.out)
    return replace(done, push=push(options, plan) if options.yes else plan)


def _made(options: ExportOptions, choice: ExportJob) -> Exported:
    """The export that is there."""
    description = read_description(choice.model.path)
    description = description if options.task is None else description.only(options.task)
    dim = description.vectors.truncate_dim or description.architecture.vector_dim
    return Exported(choice.out, dim, tuple(task.name for task in description.tasks), None)


def _export(options: ExportOptions, choice: ExportJob) -> Exported:
    model_ref, out = choice.model, choice.out
    exporter = format_of(options.format)
    weights = load_weights(model_ref.path, merge=exporter.merges_adapters, head=exporter.keeps_head(model_ref.path))
    if options.task is not None:
        weights = weights.only(options.task, merge=exporter.merges_adapters)
    if options.embedding_share is not None:
        weights = weights.mixed(options.embedding_share)
    model = weights.model
    left_out = ("router",) if model.router is not None and not exporter.keeps_router else ()
    if left_out:
        model.router = None
    checks_source = weights.record is None and not is_adapter(model_ref.path) and find_spec("sentence_transformers") is not None
    from_source = difference_from_source(model_ref.path, weights) if checks_source else None
    tested = test_figures(options, model_ref) if options.test else {}
    with locked(out, command_line("export", options), option="DIR"), disk.saving(out):
        check_export(options, choice)  # again, under the lock: another export may have finished in the meantime
        remove_staged(out)
        with staged(out) as folder:
            difference = _write(folder, options, choice, weights, left_out, tested)
    dim = weights.checkpoint.vectors.truncate_dim or model.vector_dim
    return Exported(out, min(dim, model.vector_dim), tuple(model.tasks), difference, left_out, from_source, weights.note)


def _write(
    folder: Path,
    options: ExportOptions,
    choice: ExportJob,
    weights: LoadedWeights,
    left_out: tuple[str, ...],
    tested: dict[str, dict[str, Any]],
) -> float | None:
    """Writes an export into a staged folder and moves it into place. Returns its largest difference from the model, None if it
    was not checked."""
    model, exporter = weights.model, format_of(options.format)
    written = fold_temperatures(weights) if exporter.folds_temperatures else weights
    exporter.write(folder, written if options.push is None else published_weights(written))
    if exporter.keeps_scope:
        scopes = read_scopes(choice.model.path)
        write_scopes(folder, {task: scope for task, scope in scopes.items() if task in model.tasks})
    disk.write(folder / TOKENIZER, exporter.tokenizer(weights).to_str().encode())
    difference = None
    if find_spec(exporter.checked_by) is not None:
        texts = check_texts(weights.encoder, cut=exporter.cuts(weights))
        outputs = exporter.outputs(folder, written, texts)
        difference = largest_difference(exporter.expected(weights, texts), outputs, exporter.tolerance)
    record = _record(options, choice.model, weights, tested)
    card = export_card(options, record, weights, choice.card, choice.out, left_out, difference)
    disk.write(folder / CARD, card.encode(errors="backslashreplace"))
    finish(folder, choice.out, record, exporter.record)
    return difference


def _record(options: ExportOptions, model_ref: ModelRef, weights: LoadedWeights, tested: dict[str, dict[str, Any]]) -> RunRecord:
    """The record of the model, with the command of this export and the model as its parent."""
    source = weights.record
    metrics = source.metrics if source else {}
    record = RunRecord(
        weights.checkpoint.stage,
        command_line("export", options),
        plain(options),
        source.seed if source else 0,
        source.data if source else {},
        {**metrics, TEST: {**metrics.get(TEST, {}), **tested}} if tested else metrics,
        model_record(model_ref),
    )
    record = with_terms(record, source)
    return record if options.push is None else published(record)
