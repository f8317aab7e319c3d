"""A least number of steps: on small data, an epoch has several passes over the rows."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from mtlkit.config.registries.schedules import EpochLength
from mtlkit.config.task_training import EPOCHS, LEAST_STEPS
from mtlkit.training.plan import Options, TrainPlan
from mtlkit.training.sampling.mixture import TaskMixture
from mtlkit.training.validation.small_data import EpochsLengthened


def least_steps(options: Options) -> int:
    """The value of `--min-steps`. By default, a training of which the user has chosen the length is as long as that."""
    if options.min_steps is not None:
        return options.min_steps
    chosen = options.epochs != EPOCHS or options.epoch_by != "longest" or options.objective != "classify"
    return 0 if chosen else LEAST_STEPS


def lengthened(mix: TaskMixture, plan: TrainPlan) -> TaskMixture:
    """The mixture with as many passes per epoch as `--min-steps` needs, or with epochs as long as before resuming."""
    options, pieces = plan.options, mix.steps
    steps = plan.epoch_steps
    if steps is None:
        repeats = passes(pieces, options) if plan.stop is None else plan.stop.passes
        steps = ceil(pieces * repeats / options.batches_per_step)
    if steps == ceil(pieces / options.batches_per_step):
        return mix
    return replace(mix, epoch_by=EpochLength("steps", steps, options.batches_per_step))


def passes(pieces: int, options: Options) -> int:
    """How many times an epoch of so many micro-batches is repeated within an epoch."""
    if ceil(pieces / options.batches_per_step) * options.epochs >= least_steps(options):
        return 1
    return ceil(least_steps(options) * options.batches_per_step / (options.epochs * pieces))


def lengthening(mix: TaskMixture, longer: TaskMixture, options: Options) -> EpochsLengthened | None:
    """The event about longer epochs; None if they are as usual."""
    if longer is mix:
        return None
    planned, steps = (options.epochs * ceil(one.steps / options.batches_per_step) for one in (mix, longer))
    return EpochsLengthened(options.epochs, planned, passes(mix.steps, options), steps)
