"""How well scores of text pairs are learned: Spearman's correlation times 100, of mtlkit and of sentence-transformers' trainer.

Both train on the same pairs with CoSENT, from the weights of one folder, with the same learning rate, epochs and batch size. The
peer has its own defaults otherwise: no weight decay, a linear schedule, and the dropout of the folder. It warms up over a tenth
of the steps, as mtlkit does.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from compare import describe, positive
from scipy.stats import spearmanr, t

import mtlkit
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pairs import PairTable, read_test_pairs, read_train_and_validation_pairs
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.model.interop.silence import silence

Scores = dict[str, float]


def options() -> Namespace:
    made = ArgumentParser(description=__doc__)
    made.add_argument("--data", required=True, metavar="SOURCE", help="scored pairs with a validation split")
    made.add_argument("--model", default="mini", help="what both start from: mini, or a sentence-transformers folder")
    made.add_argument("--seeds", type=positive, default=5, help="seeds, from 0 on (default: %(default)s)")
    made.add_argument("--epochs", type=positive, default=1, help="(default: %(default)s)")
    made.add_argument("--learning-rate", type=float, default=3e-4, help="of both sides (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=16, help="pairs per batch, of both sides (default: %(default)s)")
    return made.parse_args()


def correlation(table: PairTable, vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> float:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = unit[: len(table)], unit[len(table) :]
    return 100 * float(spearmanr((first * second).sum(1), table.scores).statistic)


def ours(asked: Namespace, seed: int, splits: dict[str, PairTable]) -> Scores:
    with tempfile.TemporaryDirectory() as folder:
        run = mtlkit.train_sentence(
            objective="similarity", task=f"pairs={asked.data}", init=asked.model, seed=seed, epochs=asked.epochs,
            learning_rate=asked.learning_rate, batch_size=asked.batch, out=Path(folder, "run"),
        ).run  # fmt: skip
        model = mtlkit.load(run)
        return {name: correlation(table, model.embed([*table.firsts, *table.seconds])) for name, table in splits.items()}


def theirs(asked: Namespace, folder: str, seed: int, train: PairTable, splits: dict[str, PairTable]) -> Scores:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import CoSENTLoss

    model = SentenceTransformer(folder, device="cpu")
    rows = Dataset.from_dict({"sentence1": train.firsts, "sentence2": train.seconds, "score": train.scores})
    with tempfile.TemporaryDirectory() as out:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=out, seed=seed, num_train_epochs=asked.epochs, learning_rate=asked.learning_rate, use_cpu=True,
            per_device_train_batch_size=asked.batch, warmup_steps=round(0.1 * asked.epochs * len(rows) / asked.batch),
            disable_tqdm=True, report_to="none", logging_strategy="no", save_strategy="no",
        )  # fmt: skip
        SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=CoSENTLoss(model)).train()
    return {name: correlation(table, model.encode([*table.firsts, *table.seconds])) for name, table in splits.items()}


def main() -> None:
    asked = options()
    describe(["torch", "sentence-transformers"], 1)
    reading = ReadOptions("utf-8", "error", SkippedRows())
    train, validation = read_train_and_validation_pairs(asked.data, reading, scored=True)
    test = read_test_pairs(asked.data, reading, scored=True)
    splits = {"validation": validation, **({"test": test} if test else {})}
    differences: dict[str, list[float]] = {name: [] for name in splits}
    with tempfile.TemporaryDirectory() as exported:
        folder = str(mtlkit.export(model="mini", out=Path(exported, "mini")).out) if asked.model == "mini" else asked.model
        for seed in range(asked.seeds):
            with silence():
                mine, peers = ours(asked, seed, splits), theirs(asked, folder, seed, train, splits)
            for name in splits:
                print(f"seed {seed}, {name}: mtlkit {mine[name]:.2f}, sentence-transformers {peers[name]:.2f}", flush=True)
                differences[name].append(mine[name] - peers[name])
    for name, values in differences.items():
        half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        print(f"{name}: difference {mean(values):+.2f} (95 %: {mean(values) - half:+.2f} to {mean(values) + half:+.2f})")


if __name__ == "__main__":
    main()
