"""What `pairs.py` runs as processes: drawing rows, and the trainers of sentence-transformers.

draw SET FOLDER MODEL ROWS TEST_ROWS   writes train.jsonl and test.jsonl into FOLDER; prints the kind, the range of the scores,
                                       and the mean number of tokens of a pair as JSON
cosine FOLDER MODEL SETTINGS           trains and tests a SentenceTransformer; prints its CPU seconds and figure as JSON
cross FOLDER MODEL SETTINGS            the same for a CrossEncoder
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from drawn import Rows, drawn_rows, mean_tokens, written_rows

TEXTS = ("sentence1", "sentence2")


def draw(source: str, folder: str, model: str, rows: str, test_rows: str) -> None:
    """Rows with two sentences and a label, the same for every seed and side."""
    import pyarrow.parquet as pq

    splits = {}
    for name, limit in (("train", int(rows)), ("test", int(test_rows))):
        table = pq.read_table(Path(source) / f"{name}.parquet")
        label = "label" if "label" in table.column_names else "score"
        drawn = [{**{text: row[text] for text in TEXTS}, "label": row[label]} for row in table.to_pylist()]
        splits[name] = written_rows(drawn, folder, name, limit)
    tokens = mean_tokens(model, [(row[TEXTS[0]], row[TEXTS[1]]) for row in splits["train"]])
    labels = [row["label"] for row in splits["train"]]
    number = any(isinstance(label, float) for label in labels)
    bounds = [min(labels), max(labels)] if number else [0, 1]
    print(json.dumps({"kind": "regression" if number else "classification", "bounds": bounds, "tokens": tokens}))


def cosine(folder: str, model: str, settings: str) -> None:
    import torch
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer import losses

    told, rows, test = _read(folder, settings)
    encoder = SentenceTransformer(model, device="cpu")
    classes = told["kind"] == "classification"
    if classes:
        loss: Any = losses.SoftmaxLoss(encoder, encoder.get_embedding_dimension(), num_labels=len(_labels(rows)))
    else:
        loss = losses.CosineSimilarityLoss(encoder)
    arguments = SentenceTransformerTrainingArguments(**_arguments(folder, told))
    SentenceTransformerTrainer(model=encoder, args=arguments, train_dataset=_dataset(rows, told), loss=loss).train()
    cpu = time.process_time()  # since the process began
    first, second = (encoder.encode([row[text] for row in test], convert_to_tensor=True) for text in TEXTS)
    if classes:
        with torch.no_grad():
            outputs = loss.classifier(torch.cat([first, second, (first - second).abs()], -1)).argmax(-1).tolist()
    else:
        outputs = torch.cosine_similarity(first, second).tolist()
    _report(cpu, outputs, test, told)


def cross(folder: str, model: str, settings: str) -> None:
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
        losses,
    )

    told, rows, test = _read(folder, settings)
    classes = told["kind"] == "classification"
    encoder = CrossEncoder(model, num_labels=len(_labels(rows)) if classes else 1, device="cpu")
    loss: Any = losses.CrossEntropyLoss(encoder) if classes else losses.BinaryCrossEntropyLoss(encoder)
    arguments = CrossEncoderTrainingArguments(**_arguments(folder, told))
    CrossEncoderTrainer(model=encoder, args=arguments, train_dataset=_dataset(rows, told), loss=loss).train()
    cpu = time.process_time()
    scores = encoder.predict([tuple(row[text] for text in TEXTS) for row in test], show_progress_bar=False)
    _report(cpu, (scores.argmax(-1) if classes else scores).tolist(), test, told)


def _read(folder: str, settings: str) -> tuple[dict[str, Any], Rows, Rows]:
    return json.loads(settings), drawn_rows(folder, "train"), drawn_rows(folder, "test")


def _labels(rows: Rows) -> list[Any]:
    return sorted({row["label"] for row in rows})


def _dataset(rows: Rows, told: dict[str, Any]) -> Any:
    """The rows for a trainer: classes by number, or scores from 0 to 1."""
    from datasets import Dataset

    labels, (low, high) = _labels(rows), told["bounds"]
    classes = told["kind"] == "classification"
    return Dataset.from_list(
        [{**row, "label": labels.index(row["label"]) if classes else (row["label"] - low) / (high - low)} for row in rows]
    )


def _arguments(folder: str, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_dir": f"{folder}/checkpoints",
        "num_train_epochs": told["epochs"],
        "per_device_train_batch_size": told["batch"],
        "learning_rate": told["learning_rate"],
        "warmup_steps": 0.1,  # a share of the steps, as in mtlkit
        "seed": told["seed"],
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _report(cpu: float, outputs: list[Any], test: Rows, told: dict[str, Any]) -> None:
    from scipy.stats import spearmanr

    labels = [row["label"] for row in test]
    if told["kind"] == "classification":
        names = sorted(set(labels))
        figure = sum(names[output] == label for output, label in zip(outputs, labels, strict=True)) / len(labels)
    else:
        figure = float(spearmanr(outputs, labels).statistic)
    print(json.dumps({"cpu": round(cpu, 2), "figure": 100 * figure}))


if __name__ == "__main__":
    {"draw": draw, "cosine": cosine, "cross": cross}[sys.argv[1]](*sys.argv[2:])
