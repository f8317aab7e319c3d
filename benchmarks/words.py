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
import os
import statistics
import subprocess
import sys
from pathlib import Path

from compare import describe, model_folder, names, positive
from runs import Result, cpu_of, finished_runs

SIDES = ("mtlkit", "trainer")
SCRIPT = Path(__file__).with_name("words_sides.py")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("set", metavar="SET", help="folder with train.parquet and test.parquet: tokens and ner_tags, by name")
    made.add_argument("--model", type=Path, metavar="DIR", help="folder with the weights (default: all-MiniLM-L6-v2)")
    made.add_argument("--rows", type=int, default=0, help="training rows (default: all)")
    made.add_argument("--test-rows", type=int, default=0, help="test rows (default: all)")
    made.add_argument("--epochs", type=positive, default=3, help="passes over the rows (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=16, help="texts per batch (default: %(default)s)")
    made.add_argument("--learning-rate", type=float, default=5e-5, help="its peak (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=3, help="trainings of each side (default: %(default)s)")
    made.add_argument("--sides", type=names, default=list(SIDES), help=f"which (default: {','.join(SIDES)})")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    made.add_argument("--threads", type=positive, default=1, help="threads of each side (default: %(default)s)")
    options = made.parse_args()
    model = str(model_folder(options.model))
    if wrong := set(options.sides) - set(SIDES):
        raise SystemExit(f"no side {sorted(wrong)[0]!r}; there are {', '.join(SIDES)}")
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    describe(["torch", "transformers", "seqeval"], options.threads)
    settings = {key: getattr(options, key) for key in ("rows", "test_rows", "epochs", "batch", "learning_rate")}
    wanted = [
        {"side": side, "set": Path(options.set).name, "seed": seed, **settings}
        for seed in range(options.seeds)
        for side in options.sides
    ]
    keys = ("side", "set", "seed", *settings)
    results = list(finished_runs(wanted, keys, options.results, lambda one, folder: _run(one, options.set, model, folder)))
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
        figures, seconds = ([result[key] for result in results if result["side"] == side] for key in ("figure", "cpu"))
        span = f"{min(figures):.1f} to {max(figures):.1f}"
        print(f"  {side:8} {statistics.mean(figures):6.2f} ({span})  {statistics.mean(seconds):8.1f} CPU seconds")


if __name__ == "__main__":
    main()
