"""The figures of evaluations: what each is called, and how tables and sentences show it."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.task_kinds import KINDS


@dataclass(frozen=True)
class Metric:
    """A figure by the `name` that it has in JSON. `unit` is what a change of it times 100 is in; `share` if it is shown times
    100, as a share of 1 is; `in_epochs` if tables of epochs have a column for it."""

    name: str
    title: str
    unit: str = "points"
    share: bool = True
    in_epochs: bool = False


ACCURACY = Metric("accuracy", "accuracy", in_epochs=True)
BALANCED_ACCURACY = Metric("balanced_accuracy", "balanced accuracy", "points of balanced accuracy")
MACRO_F1 = Metric("macro_f1", "macro-F1", "points of macro-F1", in_epochs=True)
MICRO_F1 = Metric("micro_f1", "micro-F1", "points of micro-F1")
SPEARMAN = Metric("spearman", "Spearman", "points of Spearman correlation x 100", share=False, in_epochs=True)
PEARSON = Metric("pearson", "Pearson", "points of Pearson correlation x 100", share=False, in_epochs=True)
MSE = Metric("mse", "MSE", "", share=False)
STANDARD = (BALANCED_ACCURACY, ACCURACY, MACRO_F1, MICRO_F1, SPEARMAN, PEARSON, MSE)


def all_metrics() -> dict[str, Metric]:
    """Every figure by its name, in the order in which they are shown: the standard ones, then those of kinds of task alone."""
    own = (metric for kind in KINDS.values() for metric in kind.metrics)
    return {metric.name: metric for metric in (*STANDARD, *own)}
