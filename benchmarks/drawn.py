"""What the sides of `words.py`, `pairs.py` and `classification.py` share: drawn rows, and the arguments of the Trainer."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainingArguments

Rows = list[dict[str, Any]]


def drawn_splits(source: str, folder: str, columns: list[str], rows: int, test_rows: int) -> dict[str, Rows]:
    """Shuffled rows of train.parquet and test.parquet, so many at most (0: all); also written into `folder` as jsonl."""
    import pyarrow.parquet as pq

    splits: dict[str, Rows] = {}
    for name, limit in (("train", rows), ("test", test_rows)):
        drawn = pq.read_table(Path(source) / f"{name}.parquet", columns=columns).to_pylist()
        splits[name] = written_rows(drawn, folder, name, limit)
    return splits


def written_rows(rows: Rows, folder: str, split: str, limit: int) -> Rows:
    """The rows shuffled, so many at most (0: all), which are also written into `folder` as jsonl."""
    random.Random(0).shuffle(rows)
    drawn = rows[: limit or None]
    (Path(folder) / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in drawn))
    return drawn


def drawn_rows(folder: str, split: str) -> Rows:
    """The rows that `drawn_splits` wrote."""
    return [json.loads(line) for line in (Path(folder) / f"{split}.jsonl").read_text().splitlines()]


def mean_tokens(model: str, texts: Sequence[str] | Sequence[tuple[str, str]] | Sequence[list[str]]) -> float:
    """The mean number of tokens of texts, of pairs, or of lists of words."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch(texts, is_pretokenized=isinstance(texts[0], list))
    return sum(len(encoding.ids) for encoding in encodings) / len(encodings)


def trainer_arguments(folder: str, settings: dict[str, Any]) -> TrainingArguments:
    """For the Trainer, with a warm-up over a tenth of the steps."""
    import transformers as hf

    return hf.TrainingArguments(
        output_dir=f"{folder}/checkpoints", num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch"], learning_rate=settings["learning_rate"], warmup_steps=0.1,
        seed=settings["seed"], use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
