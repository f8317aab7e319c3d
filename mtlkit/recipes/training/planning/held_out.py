"""Checks the options that need held-out rows: before data is read, and once it is known which sources have a validation split."""

from __future__ import annotations

from collections.abc import Collection

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.held_out import HOLDOUT, holdout_of
from mtlkit.errors import MtlkitError, UsageError, listed
from mtlkit.inference.find_model import ModelRef
from mtlkit.runs.record import RECORD, read_record
from mtlkit.training.plan import TrainPlan


def check_held_out(plan: TrainPlan, unsplit: Collection[str]) -> None:
    """Raises UsageError if options need validation rows, and none are held out of the tasks whose sources are `unsplit`."""
    options, sources = plan.options, plan.sources
    trained = [name for name in sources if not plan.freezing.keeps(f"head:{name}")]
    if options.refit and not any(name in unsplit for name in trained):
        raise UsageError(f"--refit: nothing is held out of {listed(trained)}, as there are validation splits; remove it")
    without = [name for name in trained if name in unsplit] if not options.holdout else []
    if not without:
        return
    mtl = options if isinstance(options, TrainMtlOptions) else TrainMtlOptions()
    for given, needs in (
        (options.patience and without == trained and "--patience", "stops by validation scores"),
        (options.eval_every and without == trained and "--eval-every", "evaluates on validation rows"),
        (mtl.task_patience and "--task-patience", "stops by validation scores"),
        (mtl.keep_best_per_task and "--keep-best-per-task", "compares epochs by validation scores"),
        (mtl.baselines and "--baselines", "compares validation scores"),
        (mtl.select in without and f"--select {mtl.select}", "chooses the epoch by validation scores"),
    ):
        if given:
            raise UsageError(f"{given} {needs}, and --holdout 0 leaves {listed(without)} none; remove one of them")


def check_refit(plan: TrainPlan) -> None:
    """Raises UsageError if `--refit` does not fit the other options."""
    options = plan.options
    mtl = options if isinstance(options, TrainMtlOptions) else TrainMtlOptions()
    for given, why in (
        (not options.holdout, "--holdout 0 holds out none"),
        (mtl.few_shot, "--few-shot trains on few held-out rows anyway (--holdout 0: on all)"),
        (options.cap != "none", f"--cap {options.cap} leaves rows out"),
        (options.keep_state, "--keep-state is for training on with --extend"),
        (mtl.keep_best_per_task, "--keep-best-per-task keeps weights that were trained without them"),
        (mtl.baselines, "--baselines compares scores on them"),
        (mtl.max_forgetting is not None, "--max-forgetting stops where it was measured"),
    ):
        if given and options.refit:
            raise UsageError(f"--refit trains on the held-out rows in the end, and {why}; remove one of them")


def recorded_holdout(start: ModelRef | None) -> float:
    """The share that a run held out of its data, according to its record."""
    if start is None or not (start.path / RECORD).is_file():
        return HOLDOUT
    try:
        return holdout_of(read_record(start.path).options)
    except MtlkitError:  # loading the model gives a better error
        return HOLDOUT
