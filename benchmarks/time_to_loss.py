"""In how much of nanoGPT's time `mtlkit pretrain` reaches the loss that nanoGPT ends with, by CPU time of the training steps.

    python benchmarks/time_to_loss.py wikipedia --nanogpt nanoGPT --budget 1200 --shares 0.35,0.55 --results time_to_loss.jsonl

nanoGPT trains for the budget with what it has for small models on a CPU: AdamW, learning rate 1e-3 to 1e-4 after 100 steps,
betas 0.9 and 0.99, weight decay 0.1, 12 windows a step, no dropout. mtlkit trains with its own defaults for each share of the
budget, and its schedule ends there. Both have the layers and widths of --size, context 256, the same tokenizer, training texts
and held-out texts, and each run is a process. The number of steps follows from the speed of the first ones, so that the CPU
seconds, which the lines show, come near the budget.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from compare import names, parsed_pretraining, positive, pretraining_runs
from runs import Result, finished_runs

SCRIPT = Path(__file__).with_name("time_to_loss_sides.py")
PEER = "nanogpt"


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pretraining_runs(made, size="s", tokens=None, seeds="trainings of each side")
    made.add_argument("--nanogpt", type=Path, required=True, metavar="DIR", help="folder with the model.py of nanoGPT")
    made.add_argument("--budget", type=positive, default=1200, help="CPU seconds of nanoGPT (default: %(default)s)")
    made.add_argument("--shares", type=names, default=["0.35", "0.55"], help="of it that mtlkit gets (default: 0.35,0.55)")
    made.add_argument(
        "--options", default="", help="of mtlkit pretrain, such as 'optimizer=muon learning_rate=4e-3' (default: none)"
    )
    options = parsed_pretraining(made)
    shared = {"source": options.source, "size": options.size, "budget": options.budget}
    machine = {"nanogpt": str(options.nanogpt), "threads": options.threads}
    sides = [(PEER, 1.0, ""), *(("mtlkit", float(share), options.options) for share in options.shares)]
    wanted = [
        {"side": side, "share": share, "options": extra, "seed": seed, **machine, **shared}
        for seed in range(options.seeds)
        for side, share, extra in sides
    ]
    keys = ("side", "share", "options", "seed", *shared)
    results = list(finished_runs(wanted, keys, options.results, _run))
    for side, share, _ in sides:
        own = [result for result in results if (result["side"], result["share"]) == (side, share)]
        losses, seconds = [one["loss"] for one in own], statistics.mean(one["cpu"] for one in own)
        print(
            f"  {side:8} {seconds:7.0f} CPU seconds  loss {statistics.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})"
        )
    for seed in range(options.seeds):
        print(_ratio([result for result in results if result["seed"] == seed], seed))


def _run(wanted: Result, _: Path) -> Result:
    words = [sys.executable, str(SCRIPT), json.dumps(wanted)]
    result: Result = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    return result


def _ratio(results: list[Result], seed: int) -> str:
    """After which share of nanoGPT's seconds mtlkit has its loss; between two runs, losses fall with the logarithm of seconds."""
    (peer,) = (result for result in results if result["side"] == PEER)
    ours = sorted((result["cpu"], result["loss"]) for result in results if result["side"] != PEER)
    if ours[0][1] <= peer["loss"]:
        return f"seed {seed}: less than {ours[0][0] / peer['cpu']:.2f} of nanoGPT's time"
    for (early, high), (late, low) in pairwise(ours):
        if low <= peer["loss"]:
            place = (high - peer["loss"]) / (high - low)
            return f"seed {seed}: {early * math.exp(place * math.log(late / early)) / peer['cpu']:.2f} of nanoGPT's time"
    return f"seed {seed}: more than {ours[-1][0] / peer['cpu']:.2f} of nanoGPT's time"


if __name__ == "__main__":
    main()
