"""What `few_shot.py` runs as processes: drawing rows, and SetFit with its defaults.

draw SET FOLDER ROWS TEST_ROWS SEED    writes train.jsonl and test.jsonl into FOLDER
load MODEL                             imports SetFit and loads the weights
train MODEL FOLDER SEED                trains and tests SetFit; prints its CPU seconds and accuracy as JSON
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


def draw(source: str, folder: str, rows: str, test_rows: str, seed: str) -> None:
    """So many training rows per class, by seed, and test rows that are the same for every seed."""
    import pyarrow.parquet as pq

    train: list[dict[str, Any]] = pq.read_table(Path(source) / "train.parquet", columns=["text", "label"]).to_pylist()
    test: list[dict[str, Any]] = pq.read_table(Path(source) / "test.parquet", columns=["text", "label"]).to_pylist()
    random.Random(int(seed)).shuffle(train)
    random.Random(0).shuffle(test)
    counts: Counter[Any] = Counter()
    drawn = []
    for row in train:
        counts[row["label"]] += 1
        if counts[row["label"]] <= int(rows):
            drawn.append(row)
    for name, kept in (("train", drawn), ("test", test[: int(test_rows)])):
        text = "".join(json.dumps(row) + "\n" for row in kept)
        (Path(folder) / f"{name}.jsonl").write_text(text)


def load(model: str) -> None:
    from setfit import SetFitModel, Trainer, TrainingArguments  # noqa: F401

    SetFitModel.from_pretrained(model)


def train(model: str, folder: str, seed: str) -> None:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    rows, test = (_read(Path(folder) / f"{name}.jsonl") for name in ("train", "test"))
    classifier = SetFitModel.from_pretrained(model)
    arguments = TrainingArguments(output_dir=f"{folder}/checkpoints", seed=int(seed), show_progress_bar=False, report_to="none")
    Trainer(model=classifier, args=arguments, train_dataset=Dataset.from_list(rows)).train()
    cpu = time.process_time()  # since the process began
    predicted = classifier.predict([row["text"] for row in test])
    hits = sum(guess == row["label"] for guess, row in zip(predicted, test, strict=True))
    print(json.dumps({"cpu": round(cpu, 2), "accuracy": 100 * hits / len(test)}))


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    {"draw": draw, "load": load, "train": train}[sys.argv[1]](*sys.argv[2:])
