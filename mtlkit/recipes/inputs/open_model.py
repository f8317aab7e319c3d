"""Opens the model that a command uses: the given one, or the newest compatible run."""

from __future__ import annotations

from dataclasses import replace

from mtlkit.config.architecture import Stage
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.inference import Backend, ModelOptions, TextOptions
from mtlkit.config.shell import command_text
from mtlkit.errors import UsageError
from mtlkit.inference.backends import has_torch
from mtlkit.inference.cached_model import load_cached
from mtlkit.inference.find_model import MINI, ModelRef, find_model
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.runs.record import is_export, newest_run


def open_model(options: ModelOptions) -> tuple[LoadedModel, ModelRef]:
    """Opens the given model, else the newest finished run with task heads, else the newest sentence encoder, else mini.

    Only `eval` also considers a base, to measure its perplexity.

    An exported graph answers a few texts soonest; torch takes longer to import but is faster for many.
    """
    measures_base = isinstance(options, EvalOptions) and not options.of_vectors
    stages: tuple[Stage, ...] = ("mtl", "sentence", "base") if measures_base else ("mtl", "sentence")
    name = options.model
    if isinstance(options, EvalOptions) and options.run is not None:
        if name is not None:
            raise UsageError(f"two models: {options.run} and --model {name}; remove one, or compare with: --against {name}")
        name = options.run
    model_ref = find_model(name, options.runs, stages)
    few = isinstance(options, TextOptions) and bool(options.texts) and options.texts != ["-"]
    prefers_torch = options.backend == "auto" and not few and not is_export(model_ref.path) and has_torch()
    backend = "torch" if prefers_torch else options.backend
    loaded = _load(model_ref, options, backend)
    if measures_base:
        return loaded, model_ref
    if loaded.record is not None and loaded.record.stage == "base":
        command = command_text(["mtlkit", "train-sentence", "--init", str(model_ref)])
        hint = f"a base, not a sentence encoder; train one with: {command}"
        return loaded, replace(model_ref, reason=f"{model_ref.reason}: {hint}")
    if name is None and model_ref.name == MINI and newest_run(options.runs, ("base",)):
        hint = "there is only a base; train a sentence encoder with: mtlkit train-sentence"
        return loaded, replace(model_ref, reason=f"{model_ref.reason} ({hint})")
    return loaded, model_ref


def open_against(options: EvalOptions) -> LoadedModel | None:
    """Opens the model of `--against`, as `open_model` does; None without that option."""
    if options.against is None:
        return None
    model_ref = find_model(options.against, options.runs, ("mtl", "sentence"))
    backend = "torch" if options.backend == "auto" and not is_export(model_ref.path) else options.backend
    return _load(model_ref, options, backend)


def _load(model_ref: ModelRef, options: ModelOptions, backend: Backend) -> LoadedModel:
    cached = isinstance(options, EvalOptions) and not options.no_cache and not options.of_vectors
    return (load_cached if cached else load)(
        model_ref.path,
        device=options.device,
        precision=options.precision,
        backend=backend,
        prompt=options.prompt,
        literal_special_tokens=options.literal_special_tokens,
    )
