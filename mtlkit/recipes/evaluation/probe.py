"""Probes: logistic regression on frozen vectors, for each task, as in SentEval and MTEB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_train_and_test
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import LabelledTexts, prepare
from mtlkit.data.labels.classes import parts_of
from mtlkit.data.labels.codec import codec_of, infer_kind, infer_spec
from mtlkit.errors import DataError, UsageError
from mtlkit.evaluation import bag_of_words
from mtlkit.evaluation.bag_of_words import expected_warnings, has_scikit_learn
from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import with_intervals
from mtlkit.evaluation.intervals import Interval, wilson
from mtlkit.evaluation.metrics import classification, confusion
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import truncate
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.progress import counting
from mtlkit.seeding import generator

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # values of scikit-learn's C, the inverse of the L2 penalty
STEPS = 1000


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe on a task.

    `metrics` are those of `metrics.classification` on the `split`, with 95 % intervals. `cross_validated` is the mean accuracy
    over the folds of the `train` training rows, at the chosen `c`, with Wilson's interval. `unseen` counts rows with a label that
    is not in the training rows, which are left out; `record` says how the source was read.
    """

    source: str
    split: str
    dim: int
    train: int
    metrics: dict[str, Any]
    cross_validated: float
    cross_validated_interval: Interval
    c: float
    unseen: dict[str, int]
    record: SourceRecord

    def to_json(self) -> dict[str, Any]:
        unseen = {"unseen_labels": self.unseen} if self.unseen else {}
        described = {"source": self.source, "split": self.split, "dim": self.dim, "train": self.train}
        interval = self.cross_validated_interval.to_json()
        chosen = {"cross_validated": self.cross_validated, "cross_validated_interval": interval, "c": self.c}
        return {**described, **chosen, **self.metrics, **unseen}


def check_probe() -> None:
    """Raises UsageError if scikit-learn is not installed."""
    if not has_scikit_learn():
        raise UsageError("--probe needs scikit-learn; install it with: pip install 'mtlkit[probe]'")


def probe(name: str, source: str, options: EvalOptions, loaded: LoadedModel, reading: ReadOptions) -> ProbeResult:
    """Trains on the training rows of a source and scores on its `options.split`. A `limit` applies only to the training rows.

    Vectors are standardised. C is chosen by stratified cross-validation on the training rows, so that nothing is selected on the
    rows to score. Raises UsageError, DataError.
    """
    width = loaded.output_dim(options.dim)
    train_table, test_table = read_train_and_test(source, options.split, reading)
    kind = train_table.record.kind or infer_kind(train_table.labels)
    if codec_of(kind).classes != "one":
        raise UsageError(f"--probe needs one class per row, and task '{name}' is {kind}; name others with --task NAME=SOURCE")
    spec = replace(infer_spec(name, train_table.labels, "linear", kind), pair="vectors" if train_table.seconds else None)
    folds = folds_of(name, train_table)
    train, test = (prepare(spec, table, loaded.encoder) for table in (train_table, test_table))
    vectors, scored = (features(loaded, texts, width) for texts in (train, test))
    fitted = fit_probe(vectors, train.labels, folds, options.seed)
    predicted = fitted.predict(scored)
    plain = classification(spec.labels, confusion(len(spec.labels), test.labels, predicted))
    figures = classification_figures(spec.labels, test.labels, predicted)
    metrics = with_intervals({"kind": kind, "n": len(test), **plain}, figures, generator(options.seed, "probe", name))
    return ProbeResult(
        source=source,
        split=options.split,
        dim=width,
        train=len(train),
        metrics=metrics,
        cross_validated=float(fitted.best_score_),
        cross_validated_interval=wilson(round(float(fitted.best_score_) * len(train)), len(train)),
        c=float(fitted.best_params_["logisticregression__C"]),
        unseen=dict(test.unseen),
        record=replace(train_table.record, kind=kind),
    )


def features(loaded: LoadedModel, texts: LabelledTexts, dim: int) -> NDArray[np.float32]:
    with counting("encoding", "encoded", len(texts)):
        vectors = torch.from_numpy(truncate(loaded.vectors(texts.encoded), dim))
        inputs: NDArray[np.float32] = head_inputs(vectors, texts.pairs).numpy()
        return inputs


def folds_of(name: str, table: LabelledTable) -> int:
    """The number of folds of `bag_of_words.folds_of`. Raises DataError if there are fewer than two."""
    folds = bag_of_words.folds_of(np.array([parts_of(label)[0] for label in table.labels]))
    if folds < 2:
        raise DataError(f"task '{name}': too few rows to cross-validate on; give two rows at least of two classes")
    return folds


def fit_probe(vectors: NDArray[np.float32], labels: NDArray[np.int64], folds: int, seed: int) -> Any:
    """A fitted `GridSearchCV` over C, which predicts with the best C, trained on all rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))
    grid = {"logisticregression__C": list(PENALTIES)}
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with expected_warnings():
        return GridSearchCV(pipeline, grid, cv=split, scoring="accuracy", error_score="raise").fit(vectors, labels)
