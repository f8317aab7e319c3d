"""How fast tasks are trained: texts/s of mtlkit's multi-task training against a Hugging Face Trainer.

Higher is better. Both have the same layers, width, heads, vocabulary, length and dropout (none inside attention: mtlkit has
none there), the same tokens of the same texts, fp32, fused AdamW, clipping, learning rates and texts a step. mtlkit has a
head a task; the Trainer's BERT has one head for the classes of all tasks, and pads each batch to its longest text.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import transformers as hf
from compare import Measure, Side, Stopwatch, compare, describe, parser, positive

from mtlkit.config.architecture import SIZES, Architecture, Encoding
from mtlkit.config.training import TrainMtlOptions
from mtlkit.data.labels import infer_spec
from mtlkit.data.readers import Tally
from mtlkit.data.tables import Reading, cap_tables, read_train_and_validation
from mtlkit.data.tasks import TaskData, prepare
from mtlkit.data.tokenizer import PAD, TextEncoder, train_tokenizer
from mtlkit.inference.compute import choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.loop import train
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.schedules import make_plans, spend, work

DEFAULTS = TrainMtlOptions()
WARM_UP = 3  # steps of each side that are not counted


@dataclass(frozen=True)
class Job:
    """What both sides train on, and the shape of what they train."""

    tasks: dict[str, TaskData]
    encoder: TextEncoder
    architecture: Architecture
    batch: int
    grouped: bool

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All texts of all tasks for the Trainer; the classes of one task come after those of the task before."""
        rows, first = [], 0
        for task in self.tasks.values():
            texts = np.split(task.train.encoded.ids, task.train.encoded.offsets[1:-1])
            for ids, label in zip(texts, task.train.labels.tolist(), strict=True):
                rows.append({"input_ids": ids.tolist(), "labels": first + label})
            first += len(task.spec.labels)
        return rows


def read_job(options: argparse.Namespace) -> Job:
    """Reads the tasks. The tokenizer learns from all texts; as many of each task are trained on, the same for both sides."""
    sources = {f"task{place}": source for place, source in enumerate(options.data or ["sample:topic", "sample:sentiment"], 1)}
    reading = Reading("utf-8", "error", Tally())
    tables = {name: read_train_and_validation(source, reading)[0] for name, source in sources.items()}
    tokenizer = train_tokenizer((text for table in tables.values() for text in table.texts), DEFAULTS.vocab_size)
    encoder = TextEncoder(tokenizer, Encoding(options.max_length))
    tasks = {}
    for name, table in cap_tables(tables, min(options.limit, *map(len, tables.values()))).items():
        spec = infer_spec(name, table.labels, "linear")
        if spec.kind != "classification":
            raise SystemExit(f"{sources[name]}: {spec.kind}; this benchmark trains classifiers")
        texts = prepare(spec, table, encoder)
        tasks[name] = TaskData(spec, texts, texts, {})
    shape = Architecture(tokenizer.get_vocab_size(), *SIZES[options.size], options.max_length, "bidirectional", DEFAULTS.dropout)
    return Job(tasks, encoder, shape, options.batch, options.grouped)


def train_ours(job: Job, steps: int | None = None) -> Measure:
    """One epoch, or its first steps, as `mtlkit train-mtl` does it."""
    torch.manual_seed(0)
    model = MultiTaskModel(Encoder(job.architecture), [task.spec for task in job.tasks.values()]).train()
    compute = choose_compute("cpu", "fp32")
    watch = Stopwatch()
    lengths = {name: task.train.encoded.lengths for name, task in job.tasks.items()}
    plans = make_plans(lengths, round(job.batch * max(each.mean() for each in lengths.values())), 0)
    budget = spend(plans, "round-robin")
    pieces = islice(work(plans, "round-robin", budget.rounds), steps)
    rate = LearningRate(DEFAULTS.learning_rate, budget.steps, DEFAULTS.warmup)
    losses = TaskLosses(model, job.tasks, compute.device)
    loop = train(model, pieces, losses, rate, weight_decay=DEFAULTS.weight_decay, clip=DEFAULTS.clip, compute=compute)
    taken = [(len(rows), step.losses[name]) for step in loop for name, rows in step.work.items()]
    texts = sum(count for count, _ in taken)
    return watch.rate(texts, texts_a_step=texts / len(taken), loss=sum(loss for _, loss in taken) / len(taken))


def train_theirs(job: Job, steps: int | None = None) -> Measure:
    """One epoch, or its first steps, by the Trainer."""
    torch.manual_seed(0)
    shape = job.architecture
    config = hf.BertConfig(
        vocab_size=shape.vocab_size, num_hidden_layers=shape.layers, hidden_size=shape.dim, num_attention_heads=shape.heads,
        intermediate_size=4 * shape.dim, max_position_embeddings=shape.max_length, hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=0.0, num_labels=sum(len(task.spec.labels) for task in job.tasks.values()),
    )  # fmt: skip
    rows = job.rows
    total = math.ceil(len(rows) / job.batch)
    order: dict[str, Any] = {"train_sampling_strategy": "group_by_length"} if job.grouped else {}
    collator = hf.DataCollatorWithPadding(hf.PreTrainedTokenizerFast(tokenizer_object=job.encoder.tokenizer, pad_token=PAD))
    with tempfile.TemporaryDirectory() as folder:
        arguments = hf.TrainingArguments(
            folder, use_cpu=True, num_train_epochs=1, max_steps=steps or -1, per_device_train_batch_size=job.batch,
            learning_rate=DEFAULTS.learning_rate, lr_scheduler_type="cosine", warmup_steps=round(DEFAULTS.warmup * total),
            optim="adamw_torch_fused", adam_beta2=0.98, weight_decay=DEFAULTS.weight_decay, max_grad_norm=DEFAULTS.clip,
            dataloader_pin_memory=False, disable_tqdm=True, report_to="none", logging_strategy="no", save_strategy="no", **order,
        )  # fmt: skip
        trainer = hf.Trainer(hf.BertForSequenceClassification(config), arguments, train_dataset=rows, data_collator=collator)
        trainer.remove_callback(hf.PrinterCallback)
        watch = Stopwatch()
        loss = trainer.train().training_loss
        texts = min(len(rows), (steps or total) * job.batch)
        return watch.rate(texts, texts_a_step=texts / (steps or total), loss=loss)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--data", action="append", metavar="SOURCE", help="a task's data; repeatable (default: both samples)")
    made.add_argument("--limit", type=positive, default=600, help="texts of a task in a round (default: %(default)s)")
    made.add_argument("--size", choices=list(SIZES), default="s", help="shape of the models (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=32, help="texts a step (default: %(default)s)")
    made.add_argument("--max-length", type=positive, default=128, help="tokens of a text at most (default: %(default)s)")
    made.add_argument("--grouped", action="store_true", help="let the Trainer batch texts of like length (transformers 5)")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    describe(["torch", "transformers", "accelerate"], options.threads)
    job = read_job(options)
    tokens = [len(row["input_ids"]) for row in job.rows]
    print(f"{len(tokens):,} texts of {sum(tokens) / len(tokens):.0f} tokens on average, {job.architecture}")
    ours, theirs = Side("mtlkit", lambda: train_ours(job)), Side("Trainer", lambda: train_theirs(job))
    train_ours(job, WARM_UP)
    train_theirs(job, WARM_UP)
    compare(ours, theirs, options.rounds, "texts/s")


if __name__ == "__main__":
    main()
