"""Measures what exchanging gradients costs in a training of several processes. Run it with torchrun:

    torchrun --nproc-per-node 2 benchmarks/ranks.py

Rank 0 prints a line for the model in the package with two tasks: the time of a step, and the part of it in which a process talks
to the others or waits for them, by the clock and by its own processor time. Another line compares adding up all gradients with
adding up only the rows of the token embedding that the step has used.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mtlkit
from mtlkit.config.launch import launched
from mtlkit.training.distributed.gradients import sum_buckets
from mtlkit.training.distributed.process_group import ProcessGroup
from mtlkit.training.loop import TrainLoop

TALKS = ("agreed", "from_main", "sum_gradients", "sum", "rows_of_all")


class Clocks:
    """Seconds by the clock and of this process's processor time, in calls of functions. A call within another counts once."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, float]] = []
        self.depth = 0

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter(), time.process_time()
            self.depth += 1
            try:
                return function(*arguments, **named)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.calls.append((time.perf_counter() - began[0], time.process_time() - began[1]))

        return timed

    def take(self) -> tuple[float, float]:
        """The sums since the last time."""
        calls, self.calls = self.calls, []
        return sum(call[0] for call in calls), sum(call[1] for call in calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", default="mini", help="model to train")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--cap", default="2000", help="rows of each task")
    options = parser.parse_args()
    talks, steps, figures = Clocks(), Clocks(), list[tuple[float, ...]]()
    for name in TALKS:
        setattr(ProcessGroup, name, talks.timing(getattr(ProcessGroup, name)))
    train_step = steps.timing(TrainLoop.train_step)
    compared: list[tuple[float, float, float]] = []

    def step(loop: Any, index: int, pieces: Any) -> Any:
        talks.take()
        result = train_step(loop, index, pieces)
        figures.append((*steps.take(), *talks.take()))
        return result

    TrainLoop.train_step = step  # type: ignore[method-assign, assignment]
    real = ProcessGroup.sum_gradients

    def measured(group: Any, weights: Any) -> None:
        real(group, weights)
        if len(figures) % 5 == 4:  # such a step is not counted
            gradient = next(weight.grad for name, weight in weights.items() if name.endswith("tokens.weight"))
            compared.append(compare(group, gradient))

    ProcessGroup.sum_gradients = measured  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        mtlkit.train_mtl(
            init=options.init,
            batch_tokens=options.batch_tokens,
            cap=options.cap,
            epochs=1,
            out=Path(folder) / "run",
            track_every=0,
        )
    counted = [step for number, step in enumerate(figures) if number > 1 and number % 5 != 4]
    clock, cpu, talk_clock, talk_cpu = np.median(np.array(counted), axis=0) * 1000
    dense, sparse, share = np.median(np.array(compared), axis=0)
    if launched().is_main:
        print(
            f"{len(counted)} steps: {clock:.1f} ms a step, {talk_clock / clock:.1%} of it in communication; processor time "
            f"{cpu:.1f} ms, {talk_cpu / cpu:.1%} of it in communication"
        )
        print(
            f"token embedding: {dense * 1000:.1f} ms of processor time to add up the whole gradient, {sparse * 1000:.1f} ms for "
            f"the {share:.0%} of its rows that a step uses"
        )


def compare(group: ProcessGroup, gradient: torch.Tensor) -> tuple[float, float, float]:
    """Seconds of processor time to add up a gradient as a whole and by the rows that any rank uses, and the share of these."""
    whole = gradient.clone()
    group.agreed(None)
    began = time.process_time()
    sum_buckets([whole])
    middle = time.process_time()
    used = np.unique(np.concatenate(group.agreed(gradient.abs().sum(1).nonzero().flatten().numpy())))
    rows = torch.from_numpy(used)
    part = gradient[rows]
    sum_buckets([part])
    gradient.clone()[rows] = part
    return middle - began, time.process_time() - middle, len(used) / len(gradient)


if __name__ == "__main__":
    main()
