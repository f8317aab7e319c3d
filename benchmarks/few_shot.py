"""How well and how cheaply a few labelled texts per class teach a classifier: mtlkit's `train-mtl --few-shot` against SetFit.

Accuracy on test rows (higher is better) and CPU seconds of the training (lower is better). For each set and seed, `--rows` rows
per class are drawn from the training split; all sides start from the weights of one sentence-transformers folder and are tested
on the same rows. Sides run in processes of their own, one after another, as a user would run them: `mtlkit train-mtl` as a
command, SetFit as a script with its defaults. CPU seconds are those of the process, user and system, from its start to the end
of the training; testing does not count. "Start-up" is the part that importing and loading the weights take, measured once.
`--results FILE` collects the runs, and those in it are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compare import describe, model_folder, names, positive
from few_shot_report import print_report
from runs import Result, cpu_of, finished_runs

SIDES = ("mtlkit", "frozen", "setfit")
SCRIPT = Path(__file__).with_name("few_shot_sides.py")
LOADS = "import sys, mtlkit; mtlkit.load(sys.argv[1])"


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("sets", nargs="+", metavar="SET", help="folder with a train and a test split, columns text and label")
    made.add_argument("--model", type=Path, metavar="DIR", help="folder with the weights (default: all-MiniLM-L6-v2)")
    made.add_argument("--rows", type=positive, default=8, help="training rows per class (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=5, help="draws of rows (default: %(default)s)")
    made.add_argument("--test-rows", type=positive, default=2000, help="test rows at most (default: %(default)s)")
    made.add_argument("--sides", type=names, default=list(SIDES), help=f"which (default: {','.join(SIDES)})")
    made.add_argument(
        "--setfit-python", default=sys.executable, metavar="PATH", help="interpreter with setfit (default: this one)"
    )
    made.add_argument("--few-shot-options", type=str.split, default=[], metavar="'...'", help="further options of mtlkit")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    made.add_argument("--threads", type=positive, default=1, help="threads of each side (default: %(default)s)")
    options = made.parse_args()
    options.model = model_folder(options.model)
    if wrong := set(options.sides) - set(SIDES):
        raise SystemExit(f"no side {sorted(wrong)[0]!r}; there are {', '.join(SIDES)}")
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    describe(["torch"], options.threads)
    if "setfit" in options.sides:
        print(f"setfit: {setfit_versions(options.setfit_python)}")
    print_report(measured(options), options.sides)


def setfit_versions(python: str) -> str:
    """The versions of SetFit and what it runs on. Ends the program if it is not installed."""
    packages = "('setfit', 'sentence-transformers', 'transformers', 'torch')"
    code = f"from importlib.metadata import version; print(', '.join(f'{{p}} {{version(p)}}' for p in {packages}))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit("setfit is not installed: pip install setfit, or give --setfit-python PATH, or --sides mtlkit,frozen")
    return found.stdout.strip()


def measured(options: argparse.Namespace) -> list[Result]:
    """The results of all runs, those in `--results` included."""
    keys = ("side", "set", "seed", "rows", "test_rows", "options")
    return list(finished_runs(_wanted(options), keys, options.results, lambda wanted, folder: _run(wanted, options, folder)))


def _wanted(options: argparse.Namespace) -> Iterator[Result]:
    """What is to be measured, without its figures."""
    for side in options.sides:
        yield {"side": side, "set": "start-up"}
    for seed in range(options.seeds):
        for folder in options.sets:
            for side in options.sides:
                limits = {"rows": options.rows, "test_rows": options.test_rows}
                given = {"options": options.few_shot_options} if side == "mtlkit" else {}
                yield {"side": side, "set": Path(folder).name, "folder": folder, "seed": seed, **limits, **given}


def _run(wanted: Result, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The CPU seconds of a training, and the accuracy in percent."""
    model = str(options.model)
    if wanted["set"] == "start-up":
        ours = [sys.executable, "-c", LOADS, model]
        theirs = [options.setfit_python, str(SCRIPT), "load", model]
        return {"cpu": cpu_of(theirs if wanted["side"] == "setfit" else ours)}
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    counts = map(str, (options.rows, options.test_rows, wanted["seed"]))
    subprocess.run([sys.executable, str(SCRIPT), "draw", wanted["folder"], str(folder), *counts], check=True)
    if wanted["side"] == "setfit":
        words = ["train", model, str(folder), str(wanted["seed"])]
        output = subprocess.run([options.setfit_python, str(SCRIPT), *words], check=True, stdout=subprocess.PIPE, text=True)
        result: dict[str, float] = json.loads(output.stdout.splitlines()[-1])
        return result
    mtlkit, out = [sys.executable, "-m", "mtlkit"], str(folder / "run")
    how = ["--few-shot", *wanted["options"]] if wanted["side"] == "mtlkit" else ["--freeze", "backbone"]
    words = [
        "train-mtl",
        *how,
        "--task",
        f"set={train}",
        "--init",
        model,
        "--out",
        out,
        "--seed",
        str(wanted["seed"]),
        "--device",
        "cpu",
    ]
    cpu = cpu_of([*mtlkit, *words])
    words = ["eval", "--model", out, "--task", f"set={test}", "--device", "cpu", "--json"]
    output = subprocess.run([*mtlkit, *words], check=True, capture_output=True, text=True)
    return {"cpu": cpu, "accuracy": 100 * json.loads(output.stdout)["tasks"]["set"]["accuracy"]}


if __name__ == "__main__":
    main()
