"""The format `sentence-transformers`: a folder that SentenceTransformer(DIR) loads without mtlkit, and files for the heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.recipes.exporting.formats.base import ExportFormat
from mtlkit.runs.record import EXPORT_RECORD, TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.recipes.exporting.verify import Outputs
    from mtlkit.report.cards.facts import FormatFacts


class SentenceTransformersFormat(ExportFormat):
    name = "sentence-transformers"
    help = (
        "A folder that SentenceTransformer(DIR) loads, with the heads beside it; one for CrossEncoder per head that reads both \
texts of a pair."
    )
    checked_by = "sentence_transformers"
    record = EXPORT_RECORD  # with a run.json, mtlkit would read it as a run
    marks = (EXPORT_RECORD, "modules.json")
    keeps_router = False

    def write(self, folder: Path, weights: LoadedWeights) -> None:
        from mtlkit.data.tokenization.word_splitting import word_pattern
        from mtlkit.model.interop.cross_encoder import CROSS_ENCODERS, write_cross_encoder
        from mtlkit.model.interop.head_files import WordReading, write_heads
        from mtlkit.model.interop.writing import write_foreign
        from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts
        from mtlkit.runs import atomic as disk
        from mtlkit.tasks.tag_decoding import allowed_table

        description, backbone, facts = weights.checkpoint, weights.model.backbone, tokenizer_facts(weights)
        write_foreign(folder, backbone, description.encoding, facts, description.vectors)
        if weights.model.tasks:
            allowed = {task: allowed_table(weights.model.tasks[task]) for task in weights.word_heads}
            write_heads(folder, weights.model, WordReading(word_pattern().pattern, allowed) if allowed else None)
        for task in weights.joint_heads:
            path = folder / CROSS_ENCODERS / task
            write_cross_encoder(path, backbone, weights.model.head(task), description.encoding, facts)
            disk.write(path / TOKENIZER, self.tokenizer(weights).to_str().encode())

    def tokenizer(self, weights: LoadedWeights) -> Tokenizer:
        from mtlkit.data.tokenization.text_pairs import with_pair_form

        return with_pair_form(weights.encoder) if weights.joint_heads else super().tokenizer(weights)

    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify_library import sentence_transformers_outputs

        return sentence_transformers_outputs(folder, weights, texts)

    def expected(self, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.inference.engines.onnx_engine import output_name
        from mtlkit.inference.predictions import softmax
        from mtlkit.recipes.exporting.verify import our_outputs

        outputs = our_outputs(weights, texts, windows=False)
        return outputs | {name: softmax(outputs[name]) for name in map(output_name, weights.word_heads)}

    def use(self, weights: LoadedWeights) -> str:
        from mtlkit.report.cards.sentence_transformers import sentence_transformers_use

        return sentence_transformers_use(weights.checkpoint)

    def details(self, weights: LoadedWeights) -> str:
        from mtlkit.report.cards.sentence_transformers import sentence_transformers_details

        return sentence_transformers_details(weights.checkpoint)

    def card_facts(self) -> FormatFacts:
        from mtlkit.report.cards.facts import FormatFacts

        tags = ("sentence-transformers", "feature-extraction")
        return FormatFacts("sentence-transformers", "sentence-similarity", tags, is_run=False)

    def cuts(self, weights: LoadedWeights) -> bool:
        return weights.checkpoint.encoding.truncate != "head-tail"  # the library truncates at one end


EXPORT_FORMATS.add(SentenceTransformersFormat())
