"""Prepares the arguments before Typer reads them."""

from __future__ import annotations

from collections.abc import Sequence

OPTIONAL = {"--resume"}  # options of trainings that may have no value; in `embed` it is a flag
TRAININGS = ("pretrain", "train-sentence", "train-mtl")


def with_values(arguments: Sequence[str]) -> list[str]:
    """Gives an option of OPTIONAL that has no value an empty one, as Typer requires: `--resume --epochs 3`."""
    if not arguments or arguments[0] not in TRAININGS:
        return list(arguments)
    complete = []
    for index, argument in enumerate(arguments):
        following = arguments[index + 1 : index + 2]
        alone = argument in OPTIONAL and "--" not in arguments[:index] and (not following or following[0].startswith("-"))
        complete.append(f"{argument}=" if alone else argument)
    return complete
