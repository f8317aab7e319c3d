"""The format `peft`: an adapter apart from its base, as peft loads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.recipes.exporting.formats.base import ExportFormat, library_reason
from mtlkit.runs.record import EXPORT_RECORD, TOKENIZER

if TYPE_CHECKING:
    from mtlkit.inference.load_weights import LoadedWeights
    from mtlkit.model.description import ModelDescription
    from mtlkit.recipes.exporting.verify import Outputs
    from mtlkit.report.cards.facts import FormatFacts

USE = """`base/` is the model without the adapter, `heads.json` and `heads.safetensors` are the heads:

```python
from peft import PeftModel
from transformers import AutoModel

model = PeftModel.from_pretrained(AutoModel.from_pretrained("this/folder/base"), "this/folder")
```

`mtlkit train-mtl --init this/folder` and `mtlkit embed --model this/folder` read it with the adapter in the weights.
"""


class PeftFormat(ExportFormat):
    name = "peft"
    help = "An adapter apart from its base, as peft loads it."
    checked_by = "peft"
    record = EXPORT_RECORD
    marks = (EXPORT_RECORD, "adapter_config.json")
    keeps_router = False
    merges_adapters = False

    def write(self, folder: Path, weights: LoadedWeights) -> None:
        from mtlkit.model.encoder import own_encoder
        from mtlkit.model.interop.head_files import write_heads
        from mtlkit.model.interop.peft import BASE, write_adapter
        from mtlkit.model.interop.writing import write_foreign
        from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts
        from mtlkit.runs import atomic as disk

        model, description = weights.model, weights.checkpoint
        (task,) = description.adapters
        adapter = model.adapter(task)
        assert adapter is not None
        (folder / BASE).mkdir()
        write_foreign(folder / BASE, model.backbone, description.encoding, tokenizer_facts(weights), description.vectors)
        disk.write(folder / BASE / TOKENIZER, self.tokenizer(weights).to_str().encode())
        write_adapter(folder, adapter, own_encoder(model.backbone))
        if model.tasks:
            write_heads(folder, model)

    def outputs(self, folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.recipes.exporting.verify_library import peft_outputs

        return peft_outputs(folder, texts)

    def expected(self, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
        from mtlkit.inference.engines.onnx_engine import VECTOR

        (task,) = weights.checkpoint.adapters
        merged = weights.merged() if task not in weights.model.tasks else weights.only(task)
        return {VECTOR: super().expected(merged, texts)[VECTOR]}

    def use(self, weights: LoadedWeights) -> str:
        return USE

    def card_facts(self) -> FormatFacts:
        from mtlkit.report.cards.facts import FormatFacts

        return FormatFacts("peft", "feature-extraction", is_run=False)

    def unfit(self, description: ModelDescription) -> str:
        if not description.adapters:
            return "which has no adapter; use --format sentence-transformers"
        if reason := library_reason(description):
            return reason
        odd = [task.name for task in description.tasks if task.joint or task.tags is not None]
        return f"as there is no place for head {odd[0]!r}; export another one with --task" if odd else ""

    def cuts(self, weights: LoadedWeights) -> bool:
        return weights.checkpoint.encoding.truncate != "head-tail"


EXPORT_FORMATS.add(PeftFormat())
