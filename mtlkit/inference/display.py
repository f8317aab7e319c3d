"""A model as a notebook shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.errors import listed
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.evaluation.run_scores import scores_of
from mtlkit.notebook import summary_html

if TYPE_CHECKING:
    from mtlkit.inference.loaded_model import LoadedModel

SHOWN_LABELS = 6  # of a task


def model_html(model: LoadedModel) -> str:
    """What a model is, its tasks and their scores."""
    shape = model.checkpoint.architecture
    facts = {
        "stage": model.checkpoint.stage,
        "vectors": f"{model.dim:,}",
        "layers": f"{shape.layers} of {shape.dim:,}",
        "tokens per text": f"at most {model.checkpoint.encoding.max_length:,}",
    }
    scores = {score.task: score for score in scores_of(model.record.metrics if model.record else {})}
    rows = []
    for name, spec in model.specs.items():
        score = scores.get(name)
        title = "-" if score is None else all_metrics()[score.metric].title
        figure = "-" if score is None else score.written(score.test or score.validation)
        rows.append([name, spec.kind, listed(spec.labels, SHOWN_LABELS) or "-", title, figure])
    of = "test" if any(score.test for score in scores.values()) else "validation"
    return summary_html(model.name, facts, ["task", "kind", "labels", "metric", f"{of} (95 %)"], rows)
