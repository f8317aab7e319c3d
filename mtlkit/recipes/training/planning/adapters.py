"""Checks `--adapter` before data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtlkit.config.registries.adapters import SHARED, AdapterSpec, parse_adapter
from mtlkit.errors import UsageError, listed
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.description import ModelDescription
from mtlkit.training.freezing.rules import FreezeRules, prefix_of
from mtlkit.training.plan import Options

BACKBONE = "backbone"


def plan_adapter(options: Options, repeats: Sequence[int]) -> AdapterSpec | None:
    """The adapter of `--adapter` for a model with such blocks (`AdapterChoice.of`). Raises UsageError if options forbid it."""
    if options.adapter is None:
        if options.adapter_per != "all":
            raise UsageError(f"--adapter-per {options.adapter_per} needs an adapter; add --adapter lora:8, or remove it")
        return None
    for given, why in (
        (options.init == "scratch", "--init scratch has random weights, which --adapter would keep"),
        (options.unfreeze, f"--unfreeze {options.unfreeze} thaws the backbone, and --adapter trains in place of it"),
        (options.layer_lr_decay != 1, "--layer-lr-decay sets the rates of blocks, and --adapter trains in place of them"),
    ):
        if given:
            raise UsageError(f"{why}; remove one of them")
    return parse_adapter(options.adapter).of(repeats)


def frozen_items(options: Options) -> list[str]:
    """The items of `--freeze`; with an adapter, the backbone is always among them."""
    if options.adapter is None:
        return options.freeze
    return [BACKBONE, *(item for item in options.freeze if item.strip() != "none")]


def check_frozen(options: Options, freezing: FreezeRules) -> None:
    """Raises UsageError if `--freeze` names parts of the backbone besides an adapter."""
    if options.adapter is None:
        return
    backbone = [name for name in freezing.weights if name.startswith(prefix_of(BACKBONE))]
    for rule in freezing.rules:
        if rule.item != BACKBONE and any(map(rule.pattern.match, backbone)):
            does = "ends the freeze of" if rule.until else "names" if rule.frozen else "thaws"
            raise UsageError(
                f"--freeze {rule.item} {does} a part of the backbone, and --adapter {options.adapter} keeps all of it frozen; "
                "remove one of them, or choose the layers of the adapter with @layers:A-B"
            )


def adapters_of(
    options: Options, adapter: AdapterSpec | None, start: ModelRef | None, described: ModelDescription | None, trained: list[str]
) -> Mapping[str, AdapterSpec]:
    """The adapters that a model has while it trains, by task. Raises UsageError if new and existing ones do not fit together."""
    known = described.adapters if described else {}
    own = {task: spec for task, spec in known.items() if task != SHARED}  # that of all tasks is merged when a model is loaded
    if adapter is None:
        if task := next((task for task in trained if task in own), None):
            raise UsageError(
                f"task '{task}' of {start} has an adapter; give --adapter {own[task]} --adapter-per task to train it on, keep "
                f"its head with --freeze head:{task}, or use another task name"
            )
        return own
    if options.adapter_per == "all":
        if own:
            raise UsageError(
                f"--adapter for all tasks would change what the adapters of {listed(own)} in {start} were trained on; give "
                "--adapter-per task"
            )
        return {SHARED: adapter}
    if task := next((task for task in trained if own.get(task, adapter) != adapter), None):
        raise UsageError(
            f"--adapter {options.adapter}: task '{task}' of {start} has the adapter {own[task]}; give --adapter {own[task]} "
            "to train it on, or use another task name"
        )
    return own | dict.fromkeys(trained, adapter)
