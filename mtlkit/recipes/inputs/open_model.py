"""Opening the model that a command uses: the one asked for, or the newest run that fits."""

from __future__ import annotations

import shlex
from dataclasses import replace

from mtlkit.config.architecture import Stage
from mtlkit.config.inference import EvalOptions, ModelOptions, TextOptions
from mtlkit.inference.find_model import MINI, ModelRef, find_model
from mtlkit.inference.loaded_model import LoadedModel, load
from mtlkit.runs.record import is_export, newest


def open_model(options: ModelOptions) -> tuple[LoadedModel, ModelRef]:
    """The model asked for, or the newest finished run with task heads, else sentence encoder, else mini. A base is taken only
    for `eval`, which measures its perplexity; its vectors say little about the meaning of a text.

    A few texts are answered soonest by an exported graph, many by torch, which takes longer to import.
    """
    measures_base = isinstance(options, EvalOptions) and not options.sts and not options.probe
    stages: tuple[Stage, ...] = ("mtl", "sentence", "base") if measures_base else ("mtl", "sentence")
    found = find_model(options.model, options.runs, stages)
    few = isinstance(options, TextOptions) and bool(options.texts) and options.texts != ["-"]
    backend = "torch" if options.backend == "auto" and not few and not is_export(found.path) else options.backend
    loaded = load(
        found.path,
        device=options.device,
        precision=options.precision,
        backend=backend,
        prompt=options.prompt,
        literal_special_tokens=options.literal_special_tokens,
    )
    if measures_base:
        return loaded, found
    if loaded.record is not None and loaded.record.stage == "base":
        hint = f"a base, not a sentence encoder; train one with: {shlex.join(['mtlkit', 'train-sentence', '--init', str(found)])}"
        return loaded, replace(found, reason=f"{found.reason}: {hint}")
    if options.model is None and found.name == MINI and newest(options.runs, ("base",)):
        hint = "there is only a base; train a sentence encoder with: mtlkit train-sentence"
        return loaded, replace(found, reason=f"{found.reason} ({hint})")
    return loaded, found
