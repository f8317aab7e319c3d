"""Embeds a column of parquet files with Ray Data: python examples/bulk/with_ray.py INPUT OUTPUT [MODEL]"""

from __future__ import annotations

import sys

import ray

from mtlkit.bulk import Embed


def embed_files(source: str, target: str, model: str = "mini", workers: int = 2) -> None:
    """Each worker loads the model once. Ray runs the batches of a worker that dies on another."""
    rows = ray.data.read_parquet(source)
    rows.map_batches(
        Embed,
        fn_constructor_kwargs={"model": model},
        batch_size=1024,
        compute=ray.data.ActorPoolStrategy(size=workers),
    ).write_parquet(target)


if __name__ == "__main__":
    ray.init()
    embed_files(*sys.argv[1:])
