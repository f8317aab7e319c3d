"""Prepares the arguments before Typer reads them."""

from __future__ import annotations

from collections.abc import Sequence

# options of trainings that may have no value, and what they have then; in `embed`, --resume is a flag
OPTIONAL = {"--resume": "", "--test": "all"}
TRAININGS = ("pretrain", "train-sentence", "train-mtl")


def with_values(arguments: Sequence[str]) -> list[str]:
    """Gives an option of OPTIONAL that has no value its default, as Typer requires one: `--resume --epochs 3`."""
    if not arguments or arguments[0] not in TRAININGS:
        return list(arguments)
    complete = []
    for index, argument in enumerate(arguments):
        following = arguments[index + 1 : index + 2]
        alone = argument in OPTIONAL and "--" not in arguments[:index] and (not following or following[0].startswith("-"))
        complete.append(f"{argument}={OPTIONAL[argument]}" if alone else argument)
    return complete
