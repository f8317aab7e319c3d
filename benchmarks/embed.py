"""How fast texts are embedded: texts/s of mtlkit against sentence-transformers (st), on torch, ONNX Runtime and OpenVINO.

Higher is better. All have the weights of one Hugging Face folder and run in processes of their own, from strings to float32
vectors. A peer that does not have the precision that is asked for runs in fp32. st in fp32 is the reference that the vectors
of all are compared with.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from compare import PACKAGED, compare, describe, model_folder, names, parser, positive
from numpy.typing import NDArray
from scipy.stats import spearmanr
from shapes import SHAPES, write_shape
from workers import Workers, present

NEEDS = {
    "mtlkit": ["mtlkit"],
    "mini": ["mtlkit"],  # the model inside the package, with weights of its own
    "st": ["sentence-transformers"],
    "st-onnx": ["sentence-transformers", "optimum-onnx", "onnxruntime"],
    "st-openvino": ["sentence-transformers", "optimum-intel", "openvino", "nncf"],
}
REFERENCE = "st"


def copy_model(model: Path, folder: Path, max_length: int) -> Path:
    """A copy that cuts texts at `max_length` and takes what the peers export."""
    copy = folder / "model"
    shutil.copytree(model, copy, copy_function=shutil.copyfile)
    settings = copy / "sentence_bert_config.json"
    known = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps({**known, "max_seq_length": max_length}))
    return copy


def print_closeness(folder: Path, sides: list[str]) -> None:
    """How far the vectors of each side are from those of the reference."""
    reference = np.load(folder / f"{REFERENCE}.npy")
    print(f"vectors, next to those of {REFERENCE} in fp32:")
    for side in sides:
        vectors = np.load(folder / f"{side}.npy")
        if vectors.shape != reference.shape:
            continue
        cosines = cosine(vectors, reference)
        print(
            f"  {side}: largest difference {np.abs(vectors - reference).max():.1e}, "
            f"cosine least {cosines.min():.5f}, mean {cosines.mean():.5f}"
        )


def print_spearman(folder: Path, sides: list[str]) -> None:
    """How well the cosines of pairs of sentences follow their scores."""
    print("Spearman's correlation of cosine and score:")
    scores = np.load(folder / "scores.npy")
    for side in sides:
        left, right = np.split(np.load(folder / f"{side}.pairs.npy"), 2)
        print(f"  {side}: {spearmanr(cosine(left, right), scores).statistic:.4f}")


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row by row."""
    products = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    lengths = [np.sqrt(np.einsum("ij,ij->i", one, one, dtype=np.float64)) for one in (left, right)]
    cosines: NDArray[np.float64] = products / (lengths[0] * lengths[1])
    return cosines


def read_options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--model", type=Path, metavar="DIR", help=f"Hugging Face folder (default: the one in {PACKAGED})")
    made.add_argument("--shape", choices=SHAPES, help="random weights of this shape, read with the tokenizer of --model")
    made.add_argument("--data", action="append", metavar="SOURCE", help="texts that mtlkit reads; repeatable (default: samples)")
    made.add_argument("--limit", type=positive, default=512, help="texts of a run (default: %(default)s)")
    made.add_argument("--max-length", type=positive, default=256, help="tokens of a text at most (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=32, help="texts in a batch of the peers (default: %(default)s)")
    made.add_argument("--precision", choices=["fp32", "bf16", "int8"], default="fp32", help="arithmetic (default: %(default)s)")
    made.add_argument("--peers", type=names, default=["st", "st-onnx", "st-openvino"], help="which (default: all)")
    made.add_argument("--ours", default="mtlkit", help="side that the ratios are of (default: %(default)s)")
    made.add_argument("--sts", metavar="FILE", help="pairs with columns sentence1, sentence2, score")
    options = made.parse_args()
    options.model = model_folder(options.model)
    options.data = options.data or ["sample:topic", "sample:sentiment"]
    return options


def main() -> None:
    options = read_options()
    needed = sorted({package for each in NEEDS.values() for package in each if package != "mtlkit"})
    describe(["torch", "transformers", *needed], options.threads)
    sides = present(list(dict.fromkeys([options.ours, *options.peers])), NEEDS)
    if options.ours not in sides:
        raise SystemExit(f"{options.ours} cannot be measured")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_shape(options.shape, options.model, folder) if options.shape else options.model
        shared = {**vars(options), "model": str(copy_model(model, folder, options.max_length)), "folder": name}
        with Workers(Path(__file__).with_name("embed_sides.py"), sides, shared) as ready:
            print(f"{options.limit:,} texts at most, up to {options.max_length} tokens, {options.precision}")
            compare(ready[0], ready[1:], options.rounds, "texts/s")
        if REFERENCE in sides:
            print_closeness(folder, sides)
        if options.sts:
            print_spearman(folder, sides)


if __name__ == "__main__":
    main()
