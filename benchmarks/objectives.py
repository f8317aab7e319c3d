"""What a base should be pretrained on for the tasks that follow: next tokens, next tokens with a last phase of masked ones, or
masked tokens from the start. All see as many tokens; heads of tasks are then solved on each frozen base and scored on test rows.

    python benchmarks/objectives.py wikipedia --task topic=ag_news --task mood=imdb --tokens 2000000 --results objectives.jsonl

A base of next tokens is given heads with both kinds of attention: as it was trained, and to the whole text. Every training is a
process. `--results FILE` collects the runs, and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from compare import parsed_pretraining, pretraining_command, pretraining_runs
from runs import Result, cpu_of, finished_runs

WAYS = {"next token": "", "finish": "--finish mlm:0.1", "masked": "--objective mlm"}  # options of pretrain
HEADS = {
    "next token": {"next token": "", "next token, both sides": "--attention bidirectional"}
}  # options of train-mtl for a base


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pretraining_runs(made, size="xs", tokens=2_000_000, seeds="bases of each way")
    made.add_argument("--task", action="append", required=True, metavar="NAME=SOURCE", help="a task with test rows; repeatable")
    made.add_argument("--options", default="", metavar="OPTIONS", help="more options of mtlkit pretrain, for all, in one word")
    options = parsed_pretraining(made)
    shared = {key: getattr(options, key) for key in ("source", "task", "size", "tokens", "options")}
    wanted = [{"way": way, "seed": seed, **shared} for seed in range(options.seeds) for way in WAYS]
    results = list(finished_runs(wanted, ("way", "seed", *shared), options.results, _run))
    for way in WAYS:
        own = [result for result in results if result["way"] == way]
        cpu = statistics.mean(result["cpu"] for result in own)
        for heads in HEADS.get(way, {way: ""}):
            print(
                f"  {heads:22} {_scores([result['accuracy'][heads] for result in own])}  {cpu:9,.0f} CPU seconds of pretraining"
            )


def _run(wanted: Result, folder: Path) -> Result:
    seed, base = ["--seed", str(wanted["seed"]), "--device", "cpu"], folder / "base"
    cpu = cpu_of(pretraining_command(wanted, base, f"{WAYS[wanted['way']]} {wanted['options']}"))
    accuracy = {}
    for number, (heads, more) in enumerate(HEADS.get(wanted["way"], {wanted["way"]: ""}).items()):
        out = folder / f"heads{number}"
        words = ["train-mtl", "--init", str(base), "--freeze", "backbone", "--test", "--out", str(out), *seed, *shlex.split(more)]
        cpu_of([sys.executable, "-m", "mtlkit", *words, *(word for task in wanted["task"] for word in ("--task", task))])
        tests = json.loads((out / "run.json").read_text())["metrics"]["test"]
        accuracy[heads] = {name: 100 * row["accuracy"] for name, row in tests.items()}
    return {"cpu": cpu, "accuracy": accuracy}


def _scores(results: Sequence[dict[str, float]]) -> str:
    """The mean accuracy of each task over the seeds, with the lowest and the highest."""
    columns = {name: [result[name] for result in results] for name in results[0]}
    return "  ".join(
        f"{name} {statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})" for name, values in columns.items()
    )


if __name__ == "__main__":
    main()
