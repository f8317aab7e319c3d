"""The sides of `joint.py`, each in its own process."""

from __future__ import annotations

from train_ours import ours
from train_sides import prepared
from workers import serve

from mtlkit.training.freezing.features import Vectors, WholeBackbone
from mtlkit.training.sampling.mixture import MicroBatch


class PassATask(WholeBackbone):
    """The backbone runs once for each task of the step."""

    def __call__(self, piece: MicroBatch) -> Vectors:
        vectors: Vectors = {}
        for name, rows in piece.items():
            vectors |= super().__call__({name: rows})
        return vectors


if __name__ == "__main__":
    serve(
        {
            "joint": prepared(ours),
            "apart": prepared(lambda options: ours(options, whole=PassATask)),
            "round-robin": prepared(lambda options: ours(options, schedule="round-robin")),
        }
    )
