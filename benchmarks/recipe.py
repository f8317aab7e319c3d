"""How well `mtlkit pretrain` learns with other options: held-out bits per byte (lower is better) after the same tokens.

Each `--change` is a set of options that is added to those which all runs share, an empty one is the command without any; a row of
the table is a change, with the mean and the ends over the seeds, and its tokens per CPU second of the whole process.

    python benchmarks/recipe.py wikipedia --size s --tokens 800000 --change "" --change "--optimizer adamw"

Every run is a process. `--results FILE` collects the runs, and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from compare import describe, positive
from runs import Result, cpu_of, finished_runs


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("source", nargs="+", metavar="SOURCE", help="texts, as for mtlkit pretrain")
    made.add_argument("--size", default="xs", help="of the model (default: %(default)s)")
    made.add_argument("--tokens", type=positive, default=800_000, help="of a training (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=3, help="trainings with each change (default: %(default)s)")
    made.add_argument("--change", action="append", metavar="OPTIONS", help="options of mtlkit pretrain in one word; repeatable")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    made.add_argument("--threads", type=positive, default=1, help="threads of each run (default: %(default)s)")
    options = made.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
    describe(["torch"], options.threads)
    shared = {key: getattr(options, key) for key in ("source", "size", "tokens")}
    changes = options.change or [""]
    wanted = [{"change": change, "seed": seed, **shared} for seed in range(options.seeds) for change in changes]
    results = list(finished_runs(wanted, ("change", "seed", *shared), options.results, _run))
    for change in changes:
        print(_row(change, [result for result in results if result["change"] == change]))


def _run(wanted: Result, folder: Path) -> Result:
    words = ["pretrain", *wanted["source"], "--size", wanted["size"], "--tokens", str(wanted["tokens"])]
    words += ["--seed", str(wanted["seed"]), "--device", "cpu", "--out", str(folder / "run"), *shlex.split(wanted["change"])]
    cpu = cpu_of([sys.executable, "-m", "mtlkit", *words])
    metrics = json.loads((folder / "run" / "run.json").read_text())["metrics"]
    return {"cpu": cpu, "tokens_seen": metrics["tokens"], **{name: metrics[name] for name in ("bits_per_byte", "perplexity")}}


def _row(change: str, results: Iterable[Result]) -> str:
    bits, perplexities, speeds = zip(
        *((one["bits_per_byte"], one["perplexity"], one["tokens_seen"] / one["cpu"]) for one in results), strict=True
    )
    span = f"{min(bits):.3f} to {max(bits):.3f}"
    figures = f"{statistics.mean(bits):.3f} ({span})  perplexity {statistics.mean(perplexities):7.1f}"
    return f"  {change or '(defaults)':44} {figures}  {statistics.mean(speeds):8,.0f} tokens/s of CPU"


if __name__ == "__main__":
    main()
