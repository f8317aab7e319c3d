"""How well linear heads on frozen vectors are solved: mtlkit's solver against scikit-learn's LogisticRegressionCV, same vectors.

For each set, model, number of rows per class (0: all rows) and seed: accuracy on test rows (higher is better), CPU seconds of
choosing the strength and fitting (lower is better), the expected calibration error of mtlkit's head without and with its
temperature, and the accuracy of TF-IDF with a logistic regression on the same rows. `--results FILE` collects the runs, and those
in it are not repeated.
"""

from __future__ import annotations

import time
import warnings
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple, TypeVar

import numpy as np
from compare import describe, names, positive
from numpy.typing import NDArray
from runs import Result, finished_runs
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

import mtlkit
from mtlkit.evaluation.calibration_fit import fit_temperature
from mtlkit.tasks.convex import SoftmaxLoss
from mtlkit.training.solver.head import fit_chosen
from mtlkit.training.solver.linear import Features
from mtlkit.training.solver.strength import choose_strength

Floats = NDArray[np.float64]
CELL = ("set", "model", "rows")
FIGURES = ("mtlkit", "scikit-learn", "cpu", "peer_cpu", "calibration_error", "with_temperature", "bag_of_words")
T = TypeVar("T")
STRENGTHS = [0.01, 0.1, 1, 10, 100]
BINS = 15


class Split(NamedTuple):
    texts: list[str]
    labels: NDArray[np.int64]
    vectors: dict[str, Floats]


def options() -> Namespace:
    made = ArgumentParser(description=__doc__)
    made.add_argument("sets", nargs="+", metavar="SET", help="folder with a train and a test split, columns text and label")
    made.add_argument("--models", type=names, default=["mini"], help="models, separated by commas (default: mini)")
    made.add_argument("--rows", type=names, default=["8", "16", "64", "0"], help="training rows per class (default: 8,16,64,0)")
    made.add_argument("--seeds", type=positive, default=5, help="draws of rows (default: %(default)s); one with all rows")
    made.add_argument("--most", type=positive, default=20_000, help="rows of a split at most (default: %(default)s)")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    return made.parse_args()


def read(folder: Path, models: dict[str, Any], most: int) -> tuple[Split, Split]:
    """Both splits with the vectors of each model."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(folder / f"{split}.parquet", columns=["text", "label"]).to_pydict() for split in ("train", "test")]
    classes = sorted({str(label) for label in tables[0]["label"]})
    splits = []
    for table in tables:
        rows = np.sort(np.random.default_rng(0).permutation(len(table["text"]))[:most])
        texts = [table["text"][row] for row in rows]
        labels = np.array([classes.index(str(table["label"][row])) for row in rows])
        splits.append(Split(texts, labels, {name: model.embed(texts).astype(float) for name, model in models.items()}))
    return splits[0], splits[1]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def calibration_error(outputs: Floats, labels: NDArray[np.int64]) -> float:
    shares = np.exp(outputs - outputs.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    gaps = (shares.argmax(1) == labels) - shares.max(1)
    bins = np.minimum((shares.max(1) * BINS).astype(int), BINS - 1)
    return 100 * sum(abs(float(gaps[bins == number].sum())) for number in range(BINS)) / len(labels)


def compare_heads(train: Floats, labels: NDArray[np.int64], test: Floats, truth: NDArray[np.int64], seed: int) -> Result:
    """Figures of both heads on `train`, (N, D)."""
    classes = int(labels.max()) + 1

    def ours() -> tuple[Floats, float]:
        features, axes = Features(train).rotated()
        loss = SoftmaxLoss(labels, classes, np.ones(len(labels)))
        choice = choose_strength(features, loss, labels, "head", seed)
        temperature = fit_temperature(choice.outputs, labels[choice.rows])
        return axes.restore(fit_chosen(features, loss, choice)).outputs(test), temperature

    (outputs, temperature), own = timed(ours)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    peer, theirs = timed(lambda: LogisticRegressionCV(Cs=STRENGTHS, cv=folds, max_iter=1000).fit(train, labels))
    return {
        "mtlkit": 100 * float((outputs.argmax(1) == truth).mean()),
        "scikit-learn": 100 * float((peer.predict(test) == truth).mean()),
        "cpu": own,
        "peer_cpu": theirs,
        "calibration_error": calibration_error(outputs, truth),
        "with_temperature": calibration_error(outputs / temperature, truth),
    }


def bag_of_words(train: list[str], labels: NDArray[np.int64], test: Split) -> float:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=300).fit(words.fit_transform(train), labels)
    return 100 * float((model.predict(words.transform(test.texts)) == test.labels).mean())


def draw(labels: NDArray[np.int64], rows: int, seed: int) -> NDArray[np.int64]:
    """The rows of a draw: so many per class, or all."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return order if not rows else np.concatenate([order[labels[order] == label][:rows] for label in np.unique(labels)])


def measured(asked: Namespace) -> Iterator[Result]:
    """The results of all runs, those in `--results` included."""
    models = {name: mtlkit.load(name) for name in asked.models}
    for folder in map(Path, asked.sets):
        train, test = read(folder, models, asked.most)
        words: dict[tuple[int, int], float] = {}

        def run(wanted: Result, _: Path, train: Split = train, test: Split = test, words: Any = words) -> Result:
            name, rows, seed = wanted["model"], wanted["rows"], wanted["seed"]
            drawn = draw(train.labels, rows, seed)
            labels = train.labels[drawn]
            if (rows, seed) not in words:
                words[rows, seed] = bag_of_words([train.texts[row] for row in drawn], labels, test)
            found = compare_heads(train.vectors[name][drawn], labels, test.vectors[name], test.labels, seed)
            return {**found, "bag_of_words": words[rows, seed]}

        wanted = [
            {"set": folder.name, "model": name, "rows": rows, "seed": seed}
            for rows in map(int, asked.rows)
            for seed in range(asked.seeds if rows else 1)
            for name in models
        ]
        yield from finished_runs(wanted, (*CELL, "seed"), asked.results, run)


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore", FutureWarning)  # of scikit-learn, about its next defaults
    describe(["scikit-learn"], 1)
    cells: dict[tuple[Any, ...], list[Result]] = defaultdict(list)
    for result in measured(asked):
        cells[tuple(result[key] for key in CELL)].append(result)
    print("set, model, rows per class: accuracy ours, scikit-learn's, difference, bag of words; CPU seconds; calibration error")
    for (folder, model, rows), results in cells.items():
        gains = [result["mtlkit"] - result["scikit-learn"] for result in results]
        half = student.ppf(0.975, len(gains) - 1) * stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        shown = {key: mean(result[key] for result in results) for key in FIGURES}
        accuracy = (
            f"{shown['mtlkit']:.1f} {shown['scikit-learn']:.1f} {mean(gains):+.2f} +-{half:.2f} {shown['bag_of_words']:.1f}"
        )
        seconds = f"{shown['cpu']:.2f} {shown['peer_cpu']:.2f}"
        errors = f"{shown['calibration_error']:.1f} {shown['with_temperature']:.1f}"
        print(f"{folder}, {Path(model).name}, {rows or 'all'}: {accuracy}; {seconds}; {errors}")


if __name__ == "__main__":
    main()
