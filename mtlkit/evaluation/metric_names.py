"""Metrics of evaluations: their names, and how tables and messages show them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from mtlkit.config.registries.task_kinds import KINDS


@dataclass(frozen=True)
class Metric:
    """A metric by its `name` in JSON. `unit` is the unit of a change times 100; `share` tells whether the metric is shown times
    100, as proportions are; `in_epochs` whether tables of epochs have a column for it. `hub` is its id in `evaluate`, where that
    differs from the name.
    """

    name: str
    title: str
    unit: str = "points"
    share: bool = True
    in_epochs: bool = False
    hub: str = ""

    @property
    def hub_id(self) -> str:
        """What model cards of the Hugging Face hub call it."""
        return self.hub or self.name


ACCURACY = Metric("accuracy", "accuracy", in_epochs=True)
BALANCED_ACCURACY = Metric("balanced_accuracy", "balanced accuracy", "points of balanced accuracy")
MACRO_F1 = Metric("macro_f1", "macro-F1", "points of macro-F1", in_epochs=True, hub="f1")
MICRO_F1 = Metric("micro_f1", "micro-F1", "points of micro-F1", hub="f1")
SPEARMAN = Metric("spearman", "Spearman", "points of Spearman correlation x 100", share=False, in_epochs=True, hub="spearmanr")
PEARSON = Metric("pearson", "Pearson", "points of Pearson correlation x 100", share=False, in_epochs=True, hub="pearsonr")
MSE = Metric("mse", "MSE", "", share=False)
QUADRATIC_KAPPA = Metric("quadratic_kappa", "quadratic kappa", "points of kappa x 100", share=False, in_epochs=True)
MAE = Metric("mae", "MAE", "", share=False, in_epochs=True)
SPAN_F1 = Metric("span_f1", "span F1", "points of span F1", in_epochs=True, hub="f1")
SPAN_PRECISION = Metric("span_precision", "span precision", "points of span precision", hub="precision")
SPAN_RECALL = Metric("span_recall", "span recall", "points of span recall", hub="recall")
MACRO_SPAN_F1 = Metric("macro_span_f1", "macro span F1", "points of macro span F1", hub="f1")
SPAN_METRICS = (SPAN_F1, SPAN_PRECISION, SPAN_RECALL, MACRO_SPAN_F1)
AVERAGE_PRECISION = Metric("average_precision", "average precision", "points of average precision")
AUROC = Metric("auroc", "AUROC", "points of AUROC", hub="roc_auc")
NDCG = Metric("ndcg@10", "nDCG@10", "points of nDCG@10")
GRADED_NDCG = Metric("graded_ndcg@10", "graded nDCG@10", "points of graded nDCG@10")
MRR = Metric("mrr@10", "MRR@10", "points of MRR@10")
RECALLS = {k: Metric(f"recall@{k}", f"recall@{k}", f"points of recall@{k}") for k in (1, 10, 100)}
RETRIEVAL = (NDCG, GRADED_NDCG, MRR, *RECALLS.values())
RANKING = (AVERAGE_PRECISION.name, AUROC.name)  # names of metrics of how well scores rank rows
STANDARD = (
    *SPAN_METRICS,
    *(QUADRATIC_KAPPA, MAE, BALANCED_ACCURACY, ACCURACY, MACRO_F1, MICRO_F1),
    *(AVERAGE_PRECISION, AUROC, SPEARMAN, PEARSON, MSE, *RETRIEVAL),
)


def written(value: float | None, name: str) -> str:
    """The value of a metric: a share in percent with one decimal, other metrics with three; a dash if it is undefined."""
    if value is None or not isfinite(value):
        return "-"
    return f"{100 * value:.1f}" if all_metrics()[name].share else f"{value:.3f}"


def all_metrics() -> dict[str, Metric]:
    """All metrics by name, in display order: the standard ones, then those specific to a kind of task."""
    own = (metric for kind in KINDS.values() for metric in kind.metrics)
    return {metric.name: metric for metric in (*STANDARD, *own)}
