"""Checks `--few-shot` before data is read."""

from __future__ import annotations

from mtlkit.errors import UsageError
from mtlkit.model.weight_names import parts_of
from mtlkit.training.few_shot import heads_plan
from mtlkit.training.plan import TrainPlan
from mtlkit.training.solver.choice import needs_steps


def check_few_shot(plan: TrainPlan) -> None:
    """Raises UsageError if an option does not fit `--few-shot`."""
    options, freezing = plan.options, plan.freezing
    frozen = [part for part in parts_of(sorted(freezing.always)) if part.startswith("head:")]
    for given, why in (
        (options.unfreeze, f"--unfreeze {options.unfreeze} begins with the heads, and --few-shot trains the backbone first"),
        (plan.own_adapters, "--adapter-per task trains adapters with their heads, and --few-shot by contrast"),
        (
            plan.adapter is None and any(freezing.wholly("backbone", state) for state in freezing.states),
            "--freeze backbone leaves nothing to the contrast of --few-shot",
        ),
        (frozen, f"--freeze {frozen[0] if frozen else ''} keeps a head whose vectors --few-shot changes"),
        (plan.watched, f"--watch {next(iter(plan.watched), '')} compares heads, and --few-shot changes vectors before them"),
        (options.head != "linear", f"--head {options.head} has hidden layers, and --few-shot solves linear heads"),
        (options.solver == "sgd", "--solver sgd trains heads by steps, and --few-shot solves them"),
    ):
        if given:
            raise UsageError(f"{why}; remove one of them")
    if reason := next(needs_steps(heads_plan(plan)), None):
        raise UsageError(f"--few-shot solves the heads on a frozen backbone, and {reason}; remove one of them")
