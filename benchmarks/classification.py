"""How well and how cheaply a classifier of texts is fine-tuned: mtlkit against the Trainer of transformers.

Accuracy on test rows (higher is better), and CPU seconds of the training (lower is better). Both sides start from the weights
of one folder and train on the same rows, for the same epochs, with the same learning rate and seeds, in batches of `--batch`
texts; mtlkit gets a budget of tokens that holds so many on average. The peer is AutoModelForSequenceClassification with the
Trainer. Every run is a process; its CPU seconds are user and system time from its start to the end of the training. Testing
does not count. `--results FILE` collects the runs, and those in it are not repeated.
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
SCRIPT = Path(__file__).with_name("classification_sides.py")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "sets", nargs="+", type=Path, metavar="SET", help="folders with train.parquet and test.parquet: text and label"
    )
    training_runs(made, SIDES, "texts")
    options = parsed_runs(made, SIDES)
    describe(["torch", "transformers"], options.threads)
    settings = {key: getattr(options, key) for key in ("rows", "test_rows", "epochs", "batch", "learning_rate")}
    settings["model"] = str(options.model)
    wanted = [
        {"side": side, "set": str(folder), "seed": seed, **settings}
        for folder in options.sets
        for seed in range(options.seeds)
        for side in options.sides
    ]
    results = list(finished_runs(wanted, ("side", "set", "seed", *settings), options.results, _run))
    for folder in options.sets:
        print(folder.name)
        for side in options.sides:
            print(summary(side, (one for one in results if (one["set"], one["side"]) == (str(folder), side))))


def _run(wanted: Result, folder: Path) -> Result:
    """The CPU seconds of a training, and the accuracy on the test rows in percent."""
    words = ["draw", wanted["set"], str(folder), wanted["model"], str(wanted["rows"]), str(wanted["test_rows"])]
    drawn = json.loads(subprocess.run([sys.executable, SCRIPT, *words], check=True, capture_output=True, text=True).stdout)
    if wanted["side"] == "trainer":
        words = [sys.executable, str(SCRIPT), "trainer", str(folder), wanted["model"], json.dumps(wanted)]
        output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        result: Result = json.loads(output.splitlines()[-1])
        return result
    mtlkit, out, cpu = [sys.executable, "-m", "mtlkit"], str(folder / "run"), ["--device", "cpu"]
    words = ["train-mtl", "--task", f"set={folder / 'train.jsonl'}", "--init", wanted["model"], "--out", out, *cpu]
    words += ["--epochs", str(wanted["epochs"]), "--min-steps", "0", "--holdout", "0", "--seed", str(wanted["seed"])]
    words += ["--batch-tokens", str(round(wanted["batch"] * drawn["tokens"])), "--learning-rate", str(wanted["learning_rate"])]
    seconds = cpu_of([*mtlkit, *words])
    words = ["eval", "--model", out, "--task", f"set={folder / 'test.jsonl'}", *cpu, "--json"]
    figures = json.loads(subprocess.run([*mtlkit, *words], check=True, capture_output=True, text=True).stdout)["tasks"]["set"]
    return {"cpu": seconds, "figure": 100 * figures["accuracy"]}


if __name__ == "__main__":
    main()
