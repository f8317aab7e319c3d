"""How fast a base is pretrained: tokens/s of mtlkit against nanoGPT and a loop over transformers' GPT2LMHeadModel.

Higher is better. All have 4 layers of 256, 4 heads, context 256, exact GELU, a tied output layer, fp32, AdamW, the same
learning rates and gradient clipping, and see the same windows of text in the same order. nanoGPT makes its optimizer itself.
Each runs in a process of its own. Without --nanogpt, which names a checkout of it, nanoGPT is left out.
"""

from __future__ import annotations

from pathlib import Path

from compare import compare, describe, names, parser, positive
from workers import Workers, present

NEEDS = {"mtlkit": ["mtlkit"], "gpt2": ["transformers"], "nanogpt": []}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--data", action="append", metavar="SOURCE", help="texts that mtlkit reads; repeatable (default: samples)")
    made.add_argument("--vocabulary", type=positive, nargs="+", default=[8192, 16384], help="sizes (default: 8192 16384)")
    made.add_argument("--windows", type=positive, default=8, help="windows a step (default: %(default)s)")
    made.add_argument("--steps", type=positive, default=5, help="steps a round (default: %(default)s)")
    made.add_argument("--dropout", type=float, default=0.0, help="outside attention (default: %(default)s; nanoGPT: only 0)")
    made.add_argument("--nanogpt", type=Path, metavar="DIR", help="folder with the model.py of nanoGPT")
    made.add_argument("--peers", type=names, default=["nanogpt", "gpt2"], help="which (default: all)")
    options = made.parse_args()
    if options.nanogpt is not None and options.dropout:
        raise SystemExit("nanoGPT has dropout inside attention too, which the others have not; compare it with --dropout 0")
    if options.nanogpt is not None and not (options.nanogpt / "model.py").is_file():
        raise SystemExit(f"{options.nanogpt} has no model.py")
    if options.nanogpt is None and "nanogpt" in options.peers:
        print("nanogpt is left out: no --nanogpt DIR")
        options.peers.remove("nanogpt")
    describe(["torch", "transformers"], options.threads)
    sides = present(["mtlkit", *options.peers], NEEDS)
    shared = {**vars(options), "nanogpt": str(options.nanogpt), "total": options.steps * options.rounds + 1}
    for vocabulary in options.vocabulary:
        print(f"\nvocabulary {vocabulary:,}, {options.steps} steps a round, windows a step: {options.windows}")
        with Workers(Path(__file__).with_name("pretrain_sides.py"), sides, {**shared, "vocabulary": vocabulary}) as ready:
            compare(ready[0], ready[1:], options.rounds, "tokens/s")


if __name__ == "__main__":
    main()
