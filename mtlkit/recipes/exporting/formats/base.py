"""The base class of export formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from mtlkit.config.architecture import Stage
from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.runs.record import RECORD

if TYPE_CHECKING:  # all of these import torch
    from tokenizers import Tokenizer

    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.model.description import ModelDescription
    from mtlkit.recipes.exporting.verify import Outputs
    from mtlkit.report.cards.facts import FormatFacts


class ExportFormat(ABC):
    """A format that `export` can write.

    needs         the packages needed to write it
    checked_by    the package that reads it back; without it, exports are not compared with the model
    record        the name of the file with the record of the export
    marks         the files that identify an export of this format, so that it may be replaced
    keeps_router  whether the format can store the router
    folds_temperatures  whether the layers of heads are divided by their temperature, as the format has no place for it
    keeps_adapters   whether tasks may have adapters of their own
    merges_adapters  whether the adapter of all tasks, or that of --task, becomes part of the weights
    keeps_scope   whether it is a run, so that `predict --reject` works with it
    tolerance     the maximum difference of its outputs from the model's, relative to the larger of 1 and the largest output
    stages        the stages of runs that it can store; the newest run of the first stage with any is the default
    """

    name: ClassVar[str]
    help: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    checked_by: ClassVar[str]
    record: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    keeps_router: ClassVar[bool] = True
    keeps_adapters: ClassVar[bool] = False
    merges_adapters: ClassVar[bool] = True
    keeps_scope: ClassVar[bool] = False
    folds_temperatures: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-5
    stages: ClassVar[tuple[Stage, ...]] = ("mtl", "sentence", "base")

    @abstractmethod
    def write(self, folder: Path, weights: LoadedWeights) -> None:
        """Writes the model into an empty folder: everything but `tokenizer.json`, card and record. Raises UsageError."""

    def keeps_head(self, model: Path) -> bool:
        """Whether it keeps the head of a model, in its folder, that predicts tokens."""
        return False

    @abstractmethod
    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        """The outputs of the export, read back by `checked_by`, for these texts. Raises IntegrityError, UsageError."""

    def expected(self, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        """The outputs of the model for these texts, under the same names."""
        from mtlkit.recipes.exporting.verify import our_outputs

        return our_outputs(weights, texts)

    def use(self, weights: LoadedWeights) -> str:
        """How to use it, the first section of its model card: Markdown with `this/folder` for the export."""
        from mtlkit.report.cards.use import mtlkit_use

        return mtlkit_use(weights.checkpoint)

    def details(self, weights: LoadedWeights) -> str:
        """More about its use, for the end of the card."""
        return ""

    def card_facts(self) -> FormatFacts:
        """What the front matter of its model card says of the format."""
        from mtlkit.report.cards.facts import FormatFacts

        return FormatFacts(is_run=self.record == RECORD)

    def cuts(self, weights: LoadedWeights) -> bool:
        """Whether it truncates long texts in the same way as the model."""
        return True

    def tokenizer(self, weights: LoadedWeights) -> Tokenizer:
        """The tokenizer to write as `tokenizer.json`."""
        return weights.encoder.tokenizer

    def unfit(self, description: ModelDescription) -> str:
        """Why a model cannot be exported in this format; empty if it can."""
        return ""

    def summary(self, dim: int) -> str:
        """A short description of the outputs; `dim` is the length of the vectors."""
        return f"vectors of {dim}"

    def next_command(self, out: Path) -> str:
        """A command that tries an export; empty if mtlkit cannot run it."""
        return ""


def library_reason(description: ModelDescription) -> str:
    """Why a format for mtlkit's own encoder cannot hold a model: it runs through transformers. Empty if it does not."""
    stored = description.architecture.transformers
    if stored is None:
        return ""
    return f"as {stored.get('model_type')} runs through transformers; use --format sentence-transformers or compact"


def format_of(name: str) -> ExportFormat:
    """The export format of this name."""
    return cast(ExportFormat, EXPORT_FORMATS[name])
