"""The sides of `train.py`, each in its own process."""

from __future__ import annotations

import math
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any

import torch
from compare import Measure, Stopwatch
from torch import Tensor, nn
from train_ours import CLIP, LEARNING_RATE, WARM_UP_SHARE, WEIGHT_DECAY, Train, ours, read_tables
from workers import serve

WARM_UP = 3  # steps that are not counted


def common(options: Namespace, folder: str, texts: int, steps: int | None) -> dict[str, Any]:
    """What both trainers are told."""
    total = math.ceil(texts / options.batch) * options.epochs
    return {
        "output_dir": folder, "use_cpu": True, "num_train_epochs": options.epochs, "max_steps": steps or -1,
        "per_device_train_batch_size": options.batch, "learning_rate": LEARNING_RATE, "lr_scheduler_type": "cosine",
        "warmup_steps": round(WARM_UP_SHARE * total), "optim": "adamw_torch_fused", "weight_decay": WEIGHT_DECAY,
        "max_grad_norm": CLIP, "dataloader_pin_memory": False, "disable_tqdm": True, "report_to": "none",
        "logging_strategy": "no", "save_strategy": "no",
    }  # fmt: skip


def timed(trainer: Any, texts: int) -> Measure:
    import transformers as hf

    trainer.remove_callback(hf.PrinterCallback)
    watch = Stopwatch()
    loss = trainer.train().training_loss
    return watch.rate(texts, loss=loss)


def trainer(options: Namespace) -> Train:
    """transformers' Trainer, which pads each batch to its longest text. Its one head has the classes of all tasks."""
    import transformers as hf

    class InTurn(hf.Trainer):
        """Takes the rows as they stand: a batch of one task, a batch of the next."""

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    tokenizer = hf.AutoTokenizer.from_pretrained(options.model)
    tasks: list[list[dict[str, Any]]] = []
    classes = 0
    for table in read_tables(options):
        ids = tokenizer(table.texts, truncation=True, max_length=options.max_length)["input_ids"]
        tasks.append([{"input_ids": one, "labels": classes + label} for one, label in zip(ids, table.labels, strict=True)])
        classes += len(set(table.labels))
    starts = range(0, len(tasks[0]), options.batch)
    rows = [row for start in starts for task in tasks for row in task[start : start + options.batch]]

    def train(steps: int | None) -> Measure:
        torch.manual_seed(0)
        model = hf.AutoModelForSequenceClassification.from_pretrained(
            options.model, num_labels=classes, hidden_dropout_prob=options.dropout,
            attention_probs_dropout_prob=options.attention_dropout,
        )  # fmt: skip
        model.base_model.requires_grad_(options.freeze != "backbone")
        with tempfile.TemporaryDirectory() as folder:
            made = hf.Trainer if len(tasks) == 1 else InTurn
            arguments = hf.TrainingArguments(**common(options, folder, len(rows), steps))
            collator = hf.DataCollatorWithPadding(tokenizer)
            return timed(made(model, arguments, train_dataset=rows, data_collator=collator), len(rows) * options.epochs)

    return train


class Head(nn.Module):
    """A linear classifier on the vectors of a SentenceTransformer, and its loss; sentence-transformers has none for one text."""

    def __init__(self, model: nn.Module, dim: int, classes: int, dropout: float):
        super().__init__()
        self.model = model
        self.classify = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, classes))

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        (features,) = sentence_features
        return nn.functional.cross_entropy(self.classify(self.model(features)["sentence_embedding"]), labels)


def st_trainer(options: Namespace) -> Train:
    """sentence-transformers' trainer, which tokenises as it goes. The head sees the mean, not brought to length 1."""
    import sentence_transformers as st
    from datasets import Dataset

    tables = {f"task{place}": table for place, table in enumerate(read_tables(options), 1)}
    data = {name: Dataset.from_dict({"text": table.texts, "label": table.labels}) for name, table in tables.items()}
    texts = sum(map(len, tables.values()))
    dropouts = {"hidden_dropout_prob": options.dropout, "attention_probs_dropout_prob": options.attention_dropout}

    def train(steps: int | None) -> Measure:
        torch.manual_seed(0)
        whole = st.SentenceTransformer(options.model, device="cpu", config_kwargs=dropouts, local_files_only=True)
        model = st.SentenceTransformer(modules=[whole[0], whole[1]], device="cpu")
        model.max_seq_length = options.max_length
        model.requires_grad_(options.freeze != "backbone")
        dim = whole.encode("").shape[0]
        losses = {name: Head(model, dim, len(set(table.labels)), options.dropout) for name, table in tables.items()}
        with tempfile.TemporaryDirectory() as folder:
            arguments = st.SentenceTransformerTrainingArguments(
                multi_dataset_batch_sampler="round_robin", **common(options, folder, texts, steps)
            )
            several = len(data) > 1
            return timed(
                st.SentenceTransformerTrainer(
                    model, arguments, data if several else data["task1"], loss=losses if several else losses["task1"]
                ),
                texts * options.epochs,
            )

    return train


def prepared(start: Callable[[Namespace], Train]) -> Callable[[Namespace], Callable[[], Measure]]:
    """Warms a side up and returns what measures it."""

    def prepare(options: Namespace) -> Callable[[], Measure]:
        torch.set_num_threads(options.threads)
        train = start(options)
        train(WARM_UP)
        return lambda: train(None)

    return prepare


def our_side(**changed: Any) -> Callable[[Namespace], Callable[[], Measure]]:
    """A side of ours with some options of its own."""
    return prepared(lambda options: ours(Namespace(**{**vars(options), **changed})))


if __name__ == "__main__":
    serve(
        {
            "mtlkit": our_side(),
            "mtlkit-whole": our_side(freeze="none"),
            "mtlkit-bf16": our_side(precision="bf16"),
            "mtlkit-recompute": our_side(recompute=True),
            "mtlkit-recompute-bf16": our_side(precision="bf16", recompute=True),
            "mtlkit-kept": our_side(keep=True),
            "trainer": prepared(trainer),
            "st-trainer": prepared(st_trainer),
        }
    )
