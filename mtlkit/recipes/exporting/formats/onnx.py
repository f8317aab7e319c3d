"""The format `onnx`: a graph with every head, which `embed` and `predict` run without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.config.shell import quoted
from mtlkit.recipes.exporting.formats.base import ExportFormat, library_reason
from mtlkit.runs.record import GRAPH, PAIR_GRAPH, RECORD

if TYPE_CHECKING:
    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.model.description import ModelDescription
    from mtlkit.recipes.exporting.verify import Outputs
    from mtlkit.report.cards.facts import FormatFacts


class OnnxFormat(ExportFormat):
    name = "onnx"
    help = "An ONNX graph with every head, for embed and predict without torch and for other runtimes."
    needs = ("onnx", "onnxscript", "onnxruntime")
    checked_by = "onnxruntime"
    record = RECORD
    keeps_scope = True
    marks = (RECORD, GRAPH)

    def write(self, folder: Path, weights: LoadedWeights) -> None:
        """Writes a run whose weights are in the graph."""
        from mtlkit.inference.engines.onnx_engine import TRANSITIONS, VECTOR, output_name
        from mtlkit.model.description import write_checkpoint
        from mtlkit.model.interop.onnx_graph import write_graph, write_pair_graph

        write_checkpoint(folder, weights.checkpoint)
        learned = [task for task in weights.word_heads if weights.model.tasks[task].transitions]
        names = [VECTOR, *map(output_name, [*weights.readers, *weights.word_heads]), *map(TRANSITIONS.format, learned)]
        write_graph(weights.model, folder / GRAPH, names, pools_prompt=weights.encoder.pools_prompt)
        if weights.pair_heads:
            names = [VECTOR, *map(output_name, weights.pair_heads)]
            write_pair_graph(weights.model, folder / PAIR_GRAPH, names)

    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify import onnx_outputs

        return onnx_outputs(folder, weights, texts)

    def details(self, weights: LoadedWeights) -> str:
        from mtlkit.report.cards.onnx import onnx_details

        return onnx_details(weights.checkpoint)

    def card_facts(self) -> FormatFacts:
        from mtlkit.report.cards.facts import FormatFacts

        return FormatFacts(tags=("onnx",))

    def unfit(self, description: ModelDescription) -> str:
        return library_reason(description)

    def next_command(self, out: Path) -> str:
        return f'mtlkit embed --model {quoted(str(out))} "some sentence"'


EXPORT_FORMATS.add(OnnxFormat())
