"""How well `mtlkit pretrain` learns with other options: held-out bits per byte (lower is better) after the same tokens.

Each `--change` is a set of options that is added to those which all runs share, an empty one is the command without any; a row of
the table is a change, with the mean and the ends over the seeds, and its tokens per CPU second of the whole process.

    python benchmarks/recipe.py wikipedia --size s --tokens 800000 --change "" --change "--optimizer adamw"

Every run is a process. `--results FILE` collects the runs, and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable
from pathlib import Path

from compare import parsed_pretraining, pretraining_command, pretraining_runs
from runs import Result, cpu_of, finished_runs


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pretraining_runs(made, size="xs", tokens=800_000, seeds="trainings with each change")
    made.add_argument("--change", action="append", metavar="OPTIONS", help="options of mtlkit pretrain in one word; repeatable")
    options = parsed_pretraining(made)
    shared = {key: getattr(options, key) for key in ("source", "size", "tokens")}
    changes = options.change or [""]
    wanted = [{"change": change, "seed": seed, **shared} for seed in range(options.seeds) for change in changes]
    results = list(finished_runs(wanted, ("change", "seed", *shared), options.results, _run))
    for change in changes:
        print(_row(change, [result for result in results if result["change"] == change]))


def _run(wanted: Result, folder: Path) -> Result:
    cpu = cpu_of(pretraining_command(wanted, folder / "run", wanted["change"]))
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
