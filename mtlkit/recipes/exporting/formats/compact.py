"""The format `compact`: a run in a quarter of the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.model.description import is_foreign
from mtlkit.recipes.exporting.formats.base import ExportFormat
from mtlkit.runs.record import RECORD, WEIGHTS

if TYPE_CHECKING:
    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.recipes.exporting.verify import Outputs


class CompactFormat(ExportFormat):
    name = "compact"
    help = "A run in a quarter of the bytes, its matrices rounded to a byte per number."
    checked_by = "mtlkit"
    record = RECORD
    keeps_adapters = True
    keeps_scope = True
    marks = (RECORD, WEIGHTS)
    folds_temperatures = False
    tolerance = 0.1  # rounding affects the second digit

    def write(self, folder: Path, weights: LoadedWeights) -> None:
        from mtlkit.model.checkpoint import save_model
        from mtlkit.model.prediction_head import write_prediction_head

        description = weights.checkpoint
        save_model(
            weights.model,
            folder,
            description.stage,
            description.encoding,
            sources=description.sources,
            vectors=description.vectors,
            compact=True,
        )
        if weights.head is not None:
            write_prediction_head(folder, weights.head)

    def keeps_head(self, model: Path) -> bool:
        return not is_foreign(model)  # heads of other libraries may be of kinds that are not supported

    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify import compact_outputs

        return compact_outputs(folder, weights, texts)


EXPORT_FORMATS.add(CompactFormat())
