"""How well and how cheaply heads for pairs of texts are trained: mtlkit's two heads against sentence-transformers.

Accuracy of classes, or Spearman's correlation x 100 of scores, on test rows (higher is better), and CPU seconds of the training
(lower is better). All sides start from the weights of one sentence-transformers folder and train on the same rows, for the same
epochs, with the same learning rate, warm-up and seeds, in batches of `--batch` pairs; mtlkit gets a budget of tokens that holds
so many on average. `vectors` and `cosine` encode both texts by themselves: `cosine` is SentenceTransformer with SoftmaxLoss for
classes and CosineSimilarityLoss for scores. `joint` and `cross` read both in one sequence: `cross` is CrossEncoder. Every run is
a process; its CPU seconds are user and system time from its start to the end of the training. Testing does not count.
`--results FILE` collects the runs, and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from compare import describe, parsed_runs, training_runs
from runs import Result, cpu_of, finished_runs, summary

SIDES = ("vectors", "joint", "cosine", "cross")
SCRIPT = Path(__file__).with_name("pairs_sides.py")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("sets", nargs="+", metavar="SET", help="folder with a train and a test split: two sentences and a label")
    training_runs(made, SIDES, "pairs")
    options = parsed_runs(made, SIDES)
    describe(["torch", "sentence-transformers", "transformers"], options.threads)
    print_report(measured(options), options.sides)


def measured(options: argparse.Namespace) -> list[Result]:
    """The results of all runs, those in `--results` included."""
    settings = ("rows", "test_rows", "epochs", "batch", "learning_rate")
    shared = {key: getattr(options, key) for key in settings}
    wanted = [
        {"side": side, "set": Path(folder).name, "seed": seed, **shared}
        for seed in range(options.seeds)
        for folder in options.sets
        for side in options.sides
    ]
    folders = {Path(folder).name: folder for folder in options.sets}

    def run(one: Result, scratch: Path) -> Result:
        return _run(one, folders[one["set"]], str(options.model), scratch)

    return list(finished_runs(wanted, ("side", "set", "seed", *settings), options.results, run))


def _run(wanted: Result, source: str, model: str, folder: Path) -> Result:
    """The CPU seconds of a training, and its figure on the test rows."""
    words = ["draw", source, str(folder), model, str(wanted["rows"]), str(wanted["test_rows"])]
    drawn = json.loads(subprocess.run([sys.executable, SCRIPT, *words], check=True, capture_output=True, text=True).stdout)
    if wanted["side"] in ("cosine", "cross"):
        told = json.dumps({**wanted, **drawn})
        words = [sys.executable, str(SCRIPT), wanted["side"], str(folder), model, told]
        output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        result: Result = json.loads(output.splitlines()[-1])
        return result
    keys = f"pair=sentence1,sentence2&label=label&pair-head={wanted['side']}&kind={drawn['kind']}"
    mtlkit, out, cpu = [sys.executable, "-m", "mtlkit"], str(folder / "run"), ["--device", "cpu"]
    words = ["train-mtl", "--task", f"set={folder / 'train.jsonl'}?{keys}", "--init", model, "--out", out, *cpu]
    words += ["--seed", str(wanted["seed"]), "--epochs", str(wanted["epochs"]), "--min-steps", "0", "--holdout", "0"]
    words += ["--batch-tokens", str(round(wanted["batch"] * drawn["tokens"])), "--learning-rate", str(wanted["learning_rate"])]
    seconds = cpu_of([*mtlkit, *words])
    words = ["eval", "--model", out, "--task", f"set={folder / 'test.jsonl'}", *cpu, "--json"]
    task = json.loads(subprocess.run([*mtlkit, *words], check=True, capture_output=True, text=True).stdout)["tasks"]["set"]
    return {"cpu": seconds, "figure": 100 * task["accuracy" if drawn["kind"] == "classification" else "spearman"]}


def print_report(results: list[Result], sides: list[str]) -> None:
    """The mean over seeds of each side, with the lowest and highest."""
    for name in dict.fromkeys(result["set"] for result in results):
        print(f"\n{name}")
        for side in sides:
            own = (result for result in results if (result["set"], result["side"]) == (name, side))
            print(summary(side, own))


if __name__ == "__main__":
    main()
