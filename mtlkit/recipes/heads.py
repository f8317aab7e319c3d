"""`mtlkit heads`: a new run with other heads on the same backbone. Nothing is trained, and no old file is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mtlkit.config.commands.heads import HeadsOptions, parse_rename, parse_take
from mtlkit.config.paths import expand
from mtlkit.config.source_record import SourceRecord
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.find_model import MINI, ModelRef, find_model, folder_not_found
from mtlkit.inference.load_weights import LoadedWeights, load_weights
from mtlkit.inference.scope.file import read_scopes, write_scopes
from mtlkit.inference.scope.scope import Scope
from mtlkit.model.checkpoint import save_model
from mtlkit.model.heads.base import Head
from mtlkit.model.heads.router import Router
from mtlkit.model.layers.low_rank import Adapter
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.inputs.card_facts import with_terms, write_card
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.model_record import model_record
from mtlkit.runs import atomic as disk
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_folder, kept_line
from mtlkit.runs.overlap import Input
from mtlkit.runs.record import TOKENIZER, RunRecord
from mtlkit.runs.staging import finish, remove_staged, staged
from mtlkit.training.freezing.apply import digest

FOLDER = "heads"  # of the new run in --runs, by default


@dataclass(frozen=True)
class HeadParts:
    """A head with all that belongs to it: its adapter, how its data was read, its scope, and what run.json says of its data and
    metrics."""

    head: Head
    adapter: Adapter | None
    source: SourceRecord | None
    scope: Scope | None
    data: dict[str, Any]
    metrics: dict[str, Any] | None


@dataclass(frozen=True)
class ChangedHeads:
    """A new run: its tasks, whether all of them are of pairs, and whether the router lost or has no room for one."""

    out: Path
    tasks: tuple[str, ...]
    model: ModelRef
    notes: tuple[str, ...] = field(default=())
    pairs: bool = False


def heads(options: HeadsOptions) -> ChangedHeads:
    """Writes the new run. Raises UsageError, IntegrityError, SavingError."""
    if not options.drop and not options.rename and not options.take:
        raise UsageError("heads changes nothing; give --drop TASK, --rename OLD=NEW or --take RUN:TASK")
    model_ref = find_run(options.run, options.runs)
    out = options.out or options.runs / FOLDER
    taken = [(find_run(run, options.runs), task) for run, task in map(parse_take, options.take)]
    _check_output(out, options, model_ref, [ref for ref, _ in taken])
    weights = open_run(model_ref)
    parts = parts_of(weights, model_ref)
    names = new_names(options, list(parts), str(model_ref))
    chosen = {new: parts[old] for old, new in names.items()}
    for ref, task in taken:
        if task in chosen:
            raise UsageError(f"--take {ref}:{task}: {model_ref} has a head '{task}', too; drop or rename that one")
        chosen[task] = taken_head(ref, task, weights, str(model_ref))
    if not chosen:
        raise UsageError(f"--drop leaves {model_ref} no head; embed needs none, so use {model_ref} itself")
    with locked(out, command_line("heads", options)), disk.saving(out):
        _check_output(out, options, model_ref, [ref for ref, _ in taken])  # again, as another command may have written it
        remove_staged(out)
        kept = kept_line(out)
        with staged(out) as folder:
            notes = _write(folder, out, options, model_ref, weights, chosen, names)
    pairs = not any(parts.head.spec.reads(pairs=False) for parts in chosen.values())
    return ChangedHeads(out, tuple(chosen), model_ref, (*notes, kept) if kept else notes, pairs)


def _check_output(out: Path, options: HeadsOptions, model_ref: ModelRef, taken: Sequence[ModelRef]) -> None:
    inputs = [*inputs_of(options, model_ref), *(Input(ref.path, "--take") for ref in taken)]
    check_output_folder(out, inputs, overwrite=options.overwrite)


def find_run(name: str | None, runs: Path) -> ModelRef:
    """A run by its folder; None for the newest. Raises UsageError; never contacts the hub."""
    if name is not None and name != MINI and not expand(name).exists():
        raise folder_not_found(name, runs, "run")
    return find_model(name, runs, ("mtl", "sentence"))


def open_run(ref: ModelRef) -> LoadedWeights:
    """A run with every file checked. Raises UsageError for a model that is none."""
    weights = load_weights(ref.path)
    if weights.record is None:
        raise UsageError(f"{ref} is not a run of mtlkit; give a run, such as one of mtlkit train-mtl")
    return weights


def parts_of(weights: LoadedWeights, ref: ModelRef) -> dict[str, HeadParts]:
    """The heads of a run, by task."""
    assert weights.record is not None
    scopes, sources, record = read_scopes(ref.path), weights.checkpoint.sources, weights.record
    scores = record.metrics.get("validation")
    metrics = scores if isinstance(scores, dict) else {}
    return {
        name: HeadParts(
            head=weights.model.head(name),
            adapter=weights.model.adapter(name),
            source=sources.get(name),
            scope=scopes.get(name),
            data=record.data.get(name, {}),
            metrics=metrics.get(name),
        )
        for name in weights.model.tasks
    }


def new_names(options: HeadsOptions, heads: Sequence[str], run: str) -> dict[str, str]:
    """The new name of each head that stays, by its old one. Raises UsageError."""
    renames = dict(map(parse_rename, options.rename))
    for option, names in (("--drop", options.drop), ("--rename", list(renames))):
        for name in names:
            if name not in heads:
                raise UsageError(
                    f"{option} {name}: {run} has no such head; it has {listed(heads) or 'none'}{suggest(name, heads, option)}"
                )
    if both := [name for name in renames if name in options.drop]:
        raise UsageError(f"--rename {both[0]}: --drop leaves it out; remove one of them")
    kept = {name: renames.get(name, name) for name in heads if name not in options.drop}
    for old, new in renames.items():
        if other := next((name for name in kept if name != old and kept[name] == new), None):
            raise UsageError(f"--rename {old}={new}: head '{other}' would have the same name; rename or drop that one, too")
    return kept


def taken_head(ref: ModelRef, task: str, weights: LoadedWeights, run: str) -> HeadParts:
    """The head of another run. Raises UsageError if its backbone gives texts other vectors."""
    other = open_run(ref)
    parts = parts_of(other, ref)
    if task not in parts:
        raise UsageError(f"--take {ref}:{task}: {ref} has no such head; it has {listed(parts) or 'none'}{suggest(task, parts)}")
    if reason := other_vectors(weights, other):
        raise UsageError(
            f"--take {ref}:{task}: {ref} and {run} have different {reason}, so the head would read other vectors; take heads of "
            "runs that were trained from the same model with --freeze backbone"
        )
    found = parts[task]
    return replace(found, data={**found.data, "taken": model_record(ref)})


def other_vectors(ours: LoadedWeights, theirs: LoadedWeights) -> str:
    """What makes the vectors of two runs differ; empty if nothing does."""
    backbones = [digest(dict(weights.model.backbone.named_parameters())) for weights in (ours, theirs)]
    shapes = [replace(weights.checkpoint.architecture, dropout=0.0) for weights in (ours, theirs)]
    if backbones[0] != backbones[1] or shapes[0] != shapes[1]:
        return f"backbones (SHA-256 {backbones[1][:12]} and {backbones[0][:12]})"
    if ours.encoder.tokenizer.to_str() != theirs.encoder.tokenizer.to_str():
        return "tokenizers"
    if ours.checkpoint.encoding != theirs.checkpoint.encoding:
        return "limits on the length of texts"
    return "prompts" if ours.checkpoint.vectors != theirs.checkpoint.vectors else ""


def _write(
    folder: Path,
    out: Path,
    options: HeadsOptions,
    model_ref: ModelRef,
    weights: LoadedWeights,
    chosen: Mapping[str, HeadParts],
    names: Mapping[str, str],
) -> tuple[str, ...]:
    """Writes the run into a staged folder and moves it into place. Returns notes for the user."""
    record, checkpoint = weights.record, weights.checkpoint
    assert record is not None
    model = MultiTaskModel(weights.model.backbone)
    for name, parts in chosen.items():
        parts.head.spec = replace(parts.head.spec, name=name)
        model.heads[name] = parts.head
        if parts.adapter is not None:
            model.adapters[name] = parts.adapter
    model.router, notes = routed(weights.model.router, names)
    sources = {name: parts.source for name, parts in chosen.items() if parts.source is not None}
    save_model(model.eval(), folder, checkpoint.stage, checkpoint.encoding, sources=sources, vectors=checkpoint.vectors)
    write_scopes(folder, {name: parts.scope for name, parts in chosen.items() if parts.scope is not None})
    disk.write(folder / TOKENIZER, weights.encoder.tokenizer.to_str(pretty=True).encode())
    data = {name: value for name, value in record.data.items() if name not in weights.model.tasks}
    data |= {name: parts.data for name, parts in chosen.items() if parts.data}
    scores = {name: parts.metrics for name, parts in chosen.items() if parts.metrics is not None}
    metrics = {"validation": scores} if scores else {}
    parent = model_record(model_ref)
    new = RunRecord(record.stage, command_line("heads", options), plain(options), record.seed, data, metrics, parent)
    new = with_terms(new, record)
    write_card(folder, out, new, model, verb="put together")
    finish(folder, out, new)
    return notes


def routed(router: Router | None, names: Mapping[str, str]) -> tuple[Router | None, tuple[str, ...]]:
    """The router with the tasks that are left, under their new names: it compares them as before. None if it has no choice."""
    if router is None:
        return None, ()
    rows = [index for index, task in enumerate(router.tasks) if task in names]
    if len(rows) < 2:
        return None, ("the router is left out, as it has no two tasks to tell apart",)
    kept = Router(router.weight.shape[1], [names[router.tasks[row]] for row in rows])
    kept.load_state_dict(
        {"center": router.center, "spread": router.spread, "weight": router.weight[rows], "bias": router.bias[rows]}
    )
    return kept, ()
