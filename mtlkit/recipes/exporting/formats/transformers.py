"""The format `transformers`: a base as a folder for AutoModelForCausalLM or AutoModelForMaskedLM, and their pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.recipes.exporting.formats.base import ExportFormat
from mtlkit.runs.record import EXPORT_RECORD

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.model.description import ModelDescription
    from mtlkit.recipes.exporting.verify import Outputs
    from mtlkit.report.cards.facts import FormatFacts


class TransformersFormat(ExportFormat):
    name = "transformers"
    help = "A base as a folder that transformers loads to generate text, or to fill in masked tokens."
    checked_by = "transformers"
    record = EXPORT_RECORD
    marks = (EXPORT_RECORD, "tokenizer_config.json")
    stages = ("base",)

    def keeps_head(self, model: Path) -> bool:
        return True

    def write(self, folder: Path, weights: LoadedWeights) -> None:
        from mtlkit.model.encoder import own_encoder
        from mtlkit.model.interop.language_model import write_language_model
        from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts

        encoder, encoding = own_encoder(weights.model.backbone), weights.checkpoint.encoding
        write_language_model(folder, encoder, weights.head, encoding, tokenizer_facts(weights))

    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify_language_model import transformers_outputs

        return transformers_outputs(folder, weights, texts)

    def expected(self, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify_language_model import base_outputs

        return base_outputs(weights, texts)

    def use(self, weights: LoadedWeights) -> str:
        from mtlkit.model.interop.language_model import is_causal_base, mask_token
        from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts
        from mtlkit.report.cards.sentence_transformers import masked_use, transformers_use

        facts = tokenizer_facts(weights)
        if not is_causal_base(weights.checkpoint):
            return masked_use(weights.checkpoint, mask_token(facts))
        assert facts.first is not None  # tokenizers of mtlkit have both
        assert facts.last is not None
        return transformers_use(weights.checkpoint, facts.first.text, facts.last.text)

    def card_facts(self) -> FormatFacts:
        from mtlkit.report.cards.facts import FormatFacts

        return FormatFacts("transformers", is_run=False)

    def cuts(self, weights: LoadedWeights) -> bool:
        return False  # prompts are not truncated

    def tokenizer(self, weights: LoadedWeights) -> Tokenizer:
        from mtlkit.model.interop.language_model import is_causal_base, prompt_tokenizer
        from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts

        if not is_causal_base(weights.checkpoint):
            return weights.encoder.tokenizer
        return prompt_tokenizer(weights.encoder.tokenizer, tokenizer_facts(weights))

    def unfit(self, description: ModelDescription) -> str:
        from mtlkit.model.interop.language_model import is_causal_base, is_masked_base
        from mtlkit.report.cards.facts import TITLES

        if is_causal_base(description) or is_masked_base(description):
            return ""
        way = "use --format sentence-transformers"
        if description.stage == "base":
            blocks = "a base for masked tokens whose blocks are not modern"
            return f"{blocks}; {way} for its vectors, or pretrain one with --block modern"
        return f"{TITLES[description.stage].lower()}, as only bases predict tokens; {way}"

    def summary(self, dim: int) -> str:
        return "language model"


EXPORT_FORMATS.add(TransformersFormat())
