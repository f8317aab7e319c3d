"""How fast an encoder is fine-tuned: texts/s of mtlkit against the Trainer of transformers and that of sentence-transformers.

Higher is better. All start from the weights of one Hugging Face folder, with a linear classifier a task, and have the same
texts, length, texts a step, dropout, fp32, fused AdamW, learning rates and clipping. Each runs in a process of its own. With
two tasks a step of the peers takes a batch of one task, in turn; mtlkit's takes a batch of each in one pass. With --freeze
backbone the peers freeze theirs; mtlkit's figure is then that of the epochs after the first, which encodes every text. So is
that of mtlkit-kept, which does not run frozen lower layers again. Peak memory is that of a whole process.
"""

from __future__ import annotations

from pathlib import Path

from compare import compare, describe, model_folder, names, parser, positive, training_options
from workers import Workers, present

NEEDS = {
    "mtlkit": ["mtlkit"],
    "mtlkit-whole": ["mtlkit"],  # without --freeze, to see what that brings
    "mtlkit-bf16": ["mtlkit"],
    "mtlkit-recompute": ["mtlkit"],
    "mtlkit-recompute-bf16": ["mtlkit"],
    "mtlkit-kept": ["mtlkit"],  # with what frozen lower layers give kept from before, as by --cache-prefix
    "trainer": ["transformers", "accelerate"],
    "st-trainer": ["sentence-transformers", "accelerate", "datasets"],
}


def main() -> None:
    made = parser(__doc__)
    training_options(made, "one sample", limit=2000, batch=32, length=128)
    made.add_argument("--epochs", type=positive, default=1, help="epochs of a run (default: %(default)s)")
    made.add_argument("--attention-dropout", type=float, default=0.0, help="of the peers (default: %(default)s, as mtlkit)")
    made.add_argument("--freeze", default="none", help="what mtlkit freezes (default: %(default)s)")
    made.add_argument("--layers", type=positive, metavar="N", help="the first N layers alone (default: all; mtlkit's sides only)")
    made.add_argument("--peers", type=names, default=["trainer", "st-trainer"], help="which (default: all)")
    made.add_argument("--ours", default="mtlkit", help="side that the ratios are of (default: %(default)s)")
    options = made.parse_args()
    foreign = [name for name in options.peers if not name.startswith("mtlkit")]
    if options.layers and foreign:
        raise SystemExit(f"--layers is for mtlkit's own sides, not for {foreign[0]}; say --peers mtlkit-whole,mtlkit-kept")
    options.data = options.data or ["sample:topic"]
    describe(["torch", "transformers", "accelerate", "sentence-transformers"], options.threads)
    sides = present(list(dict.fromkeys([options.ours, *options.peers])), NEEDS)
    if options.ours not in sides:
        raise SystemExit(f"{options.ours} cannot be measured")
    shared = {**vars(options), "model": str(model_folder(options.model))}
    with Workers(Path(__file__).with_name("train_sides.py"), sides, shared) as ready:
        print(f"tasks: {len(options.data)}, texts of each: {options.limit:,} at most, frozen: {options.freeze}")
        compare(ready[0], ready[1:], options.rounds, "texts/s")


if __name__ == "__main__":
    main()
