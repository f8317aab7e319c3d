"""What an export format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from mtlkit.config.architecture import Stage
from mtlkit.config.registries.export_formats import EXPORT_FORMATS

if TYPE_CHECKING:  # all of these import torch
    from tokenizers import Tokenizer

    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.model.description import ModelDescription
    from mtlkit.recipes.exporting.verify import Outputs


class ExportFormat(ABC):
    """A format that `export` can write.

    needs       the packages that it takes to write it
    checked_by  the package that reads it back; without it, exports are not compared with the model
    record      the name of the file with the record of the export
    marks       the files by which an export of this format is known, so that it may be replaced
    keeps_router  whether it has a place for the router
    tolerance   the largest difference of its outputs from the model's, relative to the largest output or 1
    stages      the runs that it is for; the newest run of the first stage that has one is the default
    """

    name: ClassVar[str]
    help: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    checked_by: ClassVar[str]
    record: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    keeps_router: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-5
    stages: ClassVar[tuple[Stage, ...]] = ("mtl", "sentence", "base")

    @abstractmethod
    def write(self, folder: Path, weights: LoadedWeights) -> None:
        """Writes the model into an empty folder: everything but `tokenizer.json`, card and record. Raises UsageError."""

    @abstractmethod
    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        """What the export says of these texts, read back by `checked_by`. Raises IntegrityError, UsageError."""

    def expected(self, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        """What the model says of these texts, under the same names."""
        from mtlkit.recipes.exporting.verify import our_outputs

        return our_outputs(weights, texts)

    @abstractmethod
    def use(self, weights: LoadedWeights) -> str:
        """The section "Use" of its model card, in Markdown."""

    def front_matter(self) -> str:
        """What stands at the top of its model card, for hubs."""
        return ""

    def cuts(self, weights: LoadedWeights) -> bool:
        """Whether it cuts long texts as the model does."""
        return True

    def tokenizer(self, weights: LoadedWeights) -> Tokenizer:
        """What is written as `tokenizer.json`."""
        return weights.encoder.tokenizer

    def unfit(self, description: ModelDescription) -> str:
        """Why a model cannot be exported in this format; empty where it can."""
        return ""

    def summary(self, dim: int) -> str:
        """What an export is, in a few words; `dim` is the length of its vectors."""
        return f"vectors of {dim}"

    def next_command(self, out: Path) -> str:
        """The command to try an export with; empty where mtlkit has none."""
        return ""


def format_of(name: str) -> ExportFormat:
    """The export format of this name."""
    return cast(ExportFormat, EXPORT_FORMATS[name])
