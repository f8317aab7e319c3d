"""How much one pass of the backbone over all tasks saves: texts/s of `--schedule joint` against a pass a task, ours both.

Higher is better. `joint` lays the texts of all tasks one after another in one flat batch; `apart` takes the same step, with the
same texts and losses, but runs the backbone once a task. `round-robin` has a step of its own for each task's batch, so it also
takes an optimiser step for each. All start from the weights of one folder and see the same texts.
"""

from __future__ import annotations

from pathlib import Path

from compare import compare, describe, model_folder, names, parser, positive, training_options
from workers import Workers, present

NEEDS = {"joint": ["mtlkit"], "apart": ["mtlkit"], "round-robin": ["mtlkit"]}


def main() -> None:
    made = parser(__doc__)
    training_options(made, "both samples", limit=500, batch=32, length=128)
    made.add_argument("--epochs", type=positive, default=1, help="epochs of a run (default: %(default)s)")
    made.add_argument("--layers", type=positive, metavar="N", help="the first N layers alone (default: all)")
    made.add_argument("--peers", type=names, default=["apart", "round-robin"], help="which (default: all)")
    options = made.parse_args()
    options.data = options.data or ["sample:topic", "sample:sentiment"]
    describe(["torch"], options.threads)
    sides = present(["joint", *options.peers], NEEDS)
    shared = {**vars(options), "model": str(model_folder(options.model)), "freeze": "none", "keep": False}
    with Workers(Path(__file__).with_name("joint_sides.py"), sides, shared) as ready:
        print(f"tasks: {len(options.data)}, texts of each: {options.limit:,} at most, texts of a task in a step: {options.batch}")
        compare(ready[0], ready[1:], options.rounds, "texts/s")


if __name__ == "__main__":
    main()
