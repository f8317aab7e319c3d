"""How well and how cheaply a head for words is trained: mtlkit against the Trainer of transformers.

Span F1 as seqeval counts it, on test rows (higher is better), and CPU seconds of the training (lower is better). Both sides
start from the weights of one folder and train on the same rows, for the same epochs, with the same learning rate, warm-up and
seeds, in batches of `--batch` texts; mtlkit gets a budget of tokens that holds so many on average. The peer is
AutoModelForTokenClassification with the Trainer, the first token of a word labelled. Every run is a process; its CPU seconds
are user and system time from its start to the end of the training. Testing does not count. `--results FILE` collects the runs,
and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from compare import describe, parsed_runs, training_runs
from runs import Result, cpu_of, finished_runs, summary

SIDES = ("mtlkit", "trainer")
SCRIPT = Path(__file__).with_name("words_sides.py")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("set", metavar="SET", help="folder with train.parquet and test.parquet: tokens and ner_tags, by name")
    training_runs(made, SIDES, "texts")
    options = parsed_runs(made, SIDES)
    describe(["torch", "transformers", "seqeval"], options.threads)
    settings = {key: getattr(options, key) for key in ("rows", "test_rows", "epochs", "batch", "learning_rate")}
    wanted = [
        {"side": side, "set": Path(options.set).name, "seed": seed, **settings}
        for seed in range(options.seeds)
        for side in options.sides
    ]
    keys = ("side", "set", "seed", *settings)
    results = list(
        finished_runs(wanted, keys, options.results, lambda one, folder: _run(one, options.set, str(options.model), folder))
    )
    print_report(results, options.sides)


def _run(wanted: Result, source: str, model: str, folder: Path) -> Result:
    """The CPU seconds of a training, and span F1 on the test rows."""
    words = ["draw", source, str(folder), model, str(wanted["rows"]), str(wanted["test_rows"])]
    drawn = json.loads(subprocess.run([sys.executable, SCRIPT, *words], check=True, capture_output=True, text=True).stdout)
    if wanted["side"] == "trainer":
        words = [sys.executable, str(SCRIPT), "trainer", str(folder), model, json.dumps(wanted)]
        output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        result: Result = json.loads(output.splitlines()[-1])
        return result
    mtlkit, out, cpu = [sys.executable, "-m", "mtlkit"], str(folder / "run"), ["--device", "cpu"]
    task = f"set={folder / 'train.jsonl'}?tokens=tokens&tags=ner_tags"
    words = ["train-mtl", "--task", task, "--init", model, "--out", out, *cpu, "--seed", str(wanted["seed"])]
    words += ["--epochs", str(wanted["epochs"]), "--min-steps", "0", "--holdout", "0"]
    words += ["--batch-tokens", str(round(wanted["batch"] * drawn["tokens"])), "--learning-rate", str(wanted["learning_rate"])]
    seconds = cpu_of([*mtlkit, *words])
    words = ["eval", "--model", out, "--task", f"set={folder / 'test.jsonl'}?tokens=tokens&tags=ner_tags", *cpu, "--json"]
    figures = json.loads(subprocess.run([*mtlkit, *words], check=True, capture_output=True, text=True).stdout)["tasks"]["set"]
    return {"cpu": seconds, "figure": 100 * figures["span_f1"]}


def print_report(results: list[Result], sides: list[str]) -> None:
    """The mean over seeds of each side, with the lowest and highest."""
    for side in sides:
        print(summary(side, (result for result in results if result["side"] == side)))


if __name__ == "__main__":
    main()
