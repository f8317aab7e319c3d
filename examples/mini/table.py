"""What the model inside the package reaches, as a table: similarity, probes, heads on the samples, speed.

    python examples/mini/table.py DATA [--compared MINILM]

DATA is a folder with the data sets as folders of parquet files (stsb, ag_news, imdb, trec, emotion, sst2_sentences, banking77);
MINILM one with all-MiniLM-L6-v2, measured in the same way (in int8, for time). Needs scikit-learn, and for the speed
sentence-transformers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import mtlkit
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.labelled import read_train_and_test, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.evaluation.probe import probe
from mtlkit.recipes.evaluation.sts import measure_sts
from mtlkit.recipes.train_mtl import train_mtl

ROWS = 5000  # that a probe is trained on
PROBES = ("ag_news", "imdb", "trec", "emotion", "sst2_sentences", "banking77")
WIDTHS = (None, 128, 64)
SPEED_TEXTS, ROUNDS, BATCH = 512, 5, 32
READING = ReadOptions("utf-8", "error", SkippedRows())


def tfidf(train: LabelledTable, test: LabelledTable) -> float:
    """Accuracy of TF-IDF of words and pairs of them with logistic regression, C by cross-validation on the same rows."""
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"logisticregression__C": [1, 10, 100]}, cv=5)
    return float(search.fit(train.texts, train.labels).score(test.texts, test.labels))


def row(*cells: object) -> None:
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def similarity(models: list[LoadedModel], data: Path) -> None:
    for width in WIDTHS:
        found = []
        for model in models:
            done = measure_sts(str(data / "stsb"), EvalOptions(dim=width), model, READING)
            low, high = done.spearman_interval.low, done.spearman_interval.high
            found.append(f"{percent(done.spearman)} ({percent(low)}-{percent(high)})")
        row(f"STS-B test, Spearman{f', --dim {width}' if width else ''}", "1,379 pairs", *found, "-")


def probes(models: list[LoadedModel], data: Path) -> None:
    for name in PROBES:
        source = f"{data / name}?limit={ROWS}"
        found = [probe(name, source, EvalOptions(), model, READING) for model in models]
        low, high = found[0].metrics["accuracy_interval"]
        shown = [f"{percent(found[0].metrics['accuracy'])} ({percent(low)}-{percent(high)})"]
        shown += [percent(one.metrics["accuracy"]) for one in found[1:]]
        row(
            f"{name} test, probe",
            f"{found[0].train:,} + {found[0].metrics['n']:,}",
            *shown,
            percent(tfidf(*read_train_and_test(source, "test", READING))),
        )


def heads(columns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "heads"
        train_mtl(TrainMtlOptions(init="mini", freeze=["backbone"], out=out))
        for name, task in evaluate(EvalOptions(), mtlkit.load(out)).tasks.items():
            train, _ = read_train_and_validation(f"sample:{name}", READING)
            test = read_train_and_test(f"sample:{name}", "test", READING)[1]
            rows = f"{len(train):,} + {len(test):,}"
            found = percent(task.metrics["accuracy"])
            row(
                f"sample:{name} test, train-mtl --freeze backbone",
                rows,
                found,
                *["-"] * (columns - 1),
                percent(tfidf(train, test)),
            )


def speed(mini: LoadedModel, compared: Path, data: Path) -> None:
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(str(compared), device="cpu", local_files_only=True)
    texts = read_train_and_test(str(data / "ag_news"), "test", READING)[1].texts[:SPEED_TEXTS]
    sides: list[Callable[[], object]] = [
        lambda: mini.embed(texts),
        lambda: other.encode(texts, batch_size=BATCH, show_progress_bar=False),
    ]
    ratios = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for side in sides:
            begun = time.perf_counter()
            side()
            seconds.append(time.perf_counter() - begun)
        ratios.append(seconds[1] / seconds[0])
    kept = ratios[1:]  # the first round is a warm-up
    shown = f"{median(kept):.1f} times as many ({min(kept):.1f}-{max(kept):.1f})"
    row("texts/s against MiniLM in sentence-transformers", f"{SPEED_TEXTS} texts", shown, "1", "-")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path)
    made.add_argument("--compared", type=Path)
    options = made.parse_args()
    warnings.simplefilter("ignore")
    models = [mtlkit.load("mini"), *([mtlkit.load(options.compared, precision="int8")] if options.compared else [])]
    titles = ["mini", *(["all-MiniLM-L6-v2"] if options.compared else [])]
    row("test", "train + test", *titles, "TF-IDF + logistic regression")
    row(*["---"] * (3 + len(titles)))
    similarity(models, options.data)
    heads(len(titles))
    probes(models, options.data)
    if options.compared:
        speed(models[0], options.compared, options.data)


if __name__ == "__main__":
    main()
