"""What an export is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.exporting.card import CardText
from mtlkit.recipes.publishing.push import PushPlan


@dataclass(frozen=True)
class ExportJob:
    """The model to export, the folder to write, and what the user adds to its model card. `made`: the folder holds this very
    export, which is pushed as it is."""

    model: ModelRef
    out: Path
    card: CardText
    made: bool = False


@dataclass(frozen=True)
class Exported:
    """A finished export.

    difference   its largest difference from the model; None if the package that checks it is not installed
    left_out     parts of the model that the format cannot store
    from_source  the largest difference of our vectors from those of sentence-transformers for the exported Hugging Face folder;
                 None for a run, or if sentence-transformers is not installed
    note         settings of that folder that mtlkit ignores
    push         what `push` sends to the hub, or has sent
    """

    out: Path
    dim: int
    tasks: tuple[str, ...]
    difference: float | None
    left_out: tuple[str, ...] = ()
    from_source: float | None = None
    note: str = ""
    push: PushPlan | None = None
