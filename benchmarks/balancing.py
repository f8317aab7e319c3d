"""What a step costs with each way to balance tasks: steps/s of `--balance sum` against the others, ours all.

Higher is better; the ratio sum / other is how many steps of `sum` one of the other costs. All take the same steps with the same
texts, of two tasks or more in each (`--schedule joint`), from the weights of one folder. NAME+parameters is NAME with
`--balance-on parameters`. The sides run in turn in one process.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from compare import (
    Measure,
    Side,
    Stopwatch,
    compare,
    describe,
    model_folder,
    names,
    parser,
    positive,
    training_options,
)
from train_ours import CLIP, LEARNING_RATE, WEIGHT_DECAY, described, read_tables

from mtlkit.config.architecture import Encoding
from mtlkit.config.registries.balancing import BALANCING, full_name, parse_balance
from mtlkit.config.registries.methods import ordered
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import BalanceOn
from mtlkit.data.datasets.task_data import TaskData, prepare
from mtlkit.data.labels.codec import infer_spec
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import choose_compute
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.training.initial_model import set_dropout
from mtlkit.training.balancing.methods.base import BalanceContext
from mtlkit.training.balancing.registry import make_balance, missing_module
from mtlkit.training.freezing.features import WholeBackbone
from mtlkit.training.loop import train
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate, ScheduledOptimizer
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import ModelUpdater

ON_PARAMETERS = "+parameters"
PEERS = [*(one.name for one in ordered(BALANCING) if one.name not in ("sum", "weights")), f"torchjd:pcgrad{ON_PARAMETERS}"]


def read_tasks(options: Namespace) -> dict[str, TaskData]:
    encoder = TextEncoder(described(options)[0], Encoding(options.max_length, "head"))
    tasks = {}
    for place, table in enumerate(read_tables(options), 1):
        spec = infer_spec(f"task{place}", table.labels, "linear", "classification")
        texts = prepare(spec, table, encoder)
        tasks[spec.name] = TaskData(spec, texts, texts, {}, SourceRecord(spec.name))
    return tasks


def side(name: str, tasks: dict[str, TaskData], options: Namespace) -> Callable[[], Measure]:
    """Takes a step that is not timed, then those that are."""
    lengths = {task: data.train.encoded.lengths for task, data in tasks.items()}
    plans = make_samplers(lengths, round(options.batch * max(each.mean() for each in lengths.values())), 0)
    choice = parse_balance(name.removesuffix(ON_PARAMETERS), tasks)
    compute = choose_compute("cpu", "fp32")

    def run() -> Measure:
        torch.manual_seed(0)
        model = load_weights(Path(options.model)).model
        set_dropout(model, options.dropout)
        for data in tasks.values():
            model.add_task(data.spec)
        objectives = head_objectives(model.train(), tasks)
        count = options.steps + 1
        losses_of = TaskLosses(objectives, WholeBackbone(model, objectives, compute.device))
        weights, rate = dict(model.named_parameters()), LearningRate(LEARNING_RATE, count)
        updater = ModelUpdater(
            model, ScheduledOptimizer(weights, rate, weight_decay=WEIGHT_DECAY, clip=CLIP), compute
        )  # fmt: skip
        on: BalanceOn = "parameters" if name.endswith(ON_PARAMETERS) else "vectors"
        batches = ((piece,) for piece in islice(TaskMixture(plans, "joint").work(count), count))
        steps = train(batches, losses_of, updater, make_balance(choice, BalanceContext(model, list(tasks), on=on)))
        next(steps)
        watch = Stopwatch()
        losses = [sum(step.losses.values()) for step in steps]
        return watch.rate(len(losses), loss=sum(losses) / len(losses))

    return run


def main() -> None:
    made = parser(__doc__)
    training_options(made, "both samples", limit=500, batch=16, length=64)
    made.add_argument("--steps", type=positive, default=8, help="steps of a run (default: %(default)s)")
    made.add_argument("--peers", type=names, default=PEERS, help="which (default: all)")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    options.data, options.layers = options.data or ["sample:topic", "sample:sentiment"], None
    options.model = str(model_folder(options.model))
    describe(["torch", "torchjd"], options.threads)
    for name in options.peers.copy():
        if module := missing_module(full_name(name.removesuffix(ON_PARAMETERS))):
            print(f"{name} is left out: {module} is not installed")
            options.peers.remove(name)
    tasks = read_tasks(options)
    print(f"tasks: {len(tasks)}, texts of a task in a step: {options.batch}, {options.max_length} tokens of a text at most")
    sides = [Side(name, side(name, tasks, options)) for name in ["sum", *options.peers]]
    compare(sides[0], sides[1:], options.rounds, "steps/s")


if __name__ == "__main__":
    main()
