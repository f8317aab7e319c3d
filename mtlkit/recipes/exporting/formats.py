"""The formats of an export: what writes each, and what reads it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from mtlkit.config.architecture import Stage
from mtlkit.config.inference import ExportFormat
from mtlkit.data.tokenization.tokenizer import PAD
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.inference.onnx_engine import VECTOR, output_name
from mtlkit.model.checkpoint import save_model
from mtlkit.model.description import ModelDescription, write_checkpoint
from mtlkit.model.interop.head_files import write_heads
from mtlkit.model.interop.language_model import GENERATION_CONFIG, is_causal_base, prompt_tokenizer, write_language_model
from mtlkit.model.interop.onnx_graph import write_graph
from mtlkit.model.interop.writing import Token, TokenizerFacts, write_foreign
from mtlkit.recipes.exporting.verify import (
    TOLERANCE,
    Outputs,
    compact_outputs,
    onnx_outputs,
    our_outputs,
    sentence_transformers_outputs,
)
from mtlkit.recipes.exporting.verify_language_model import base_outputs, transformers_outputs
from mtlkit.report.card import LOADING, TITLES
from mtlkit.report.export_use import FRONT, GENERATION_FRONT, onnx_use, sentence_transformers_use, transformers_use
from mtlkit.runs.record import EXPORT_RECORD, GRAPH, RECORD, WEIGHTS

PADS = (PAD, "[PAD]")  # what tokenizers call the token that fills up a batch
UNKNOWN, MASKS = ("[UNK]", "<unk>"), ("[MASK]", "<mask>")  # the one for what is unknown, and for what is masked


def write_sentence_transformers(folder: Path, weights: LoadedWeights) -> None:
    """All that SentenceTransformer reads, and the heads, which it does not."""
    checkpoint = weights.checkpoint
    write_foreign(folder, weights.model.backbone, checkpoint.encoding, marks_of(weights), checkpoint.vectors)
    if weights.model.tasks:
        write_heads(folder, weights.model)


def write_transformers(folder: Path, weights: LoadedWeights) -> None:
    """All that AutoModelForCausalLM and a text-generation pipeline read."""
    write_language_model(folder, weights.model.backbone, weights.checkpoint.encoding, marks_of(weights))


def _generation_use(weights: LoadedWeights) -> str:
    marks = marks_of(weights)
    return transformers_use(weights.checkpoint, marks.first.text, marks.last.text)


def not_a_causal_base(checkpoint: ModelDescription) -> str:
    """What a model is that cannot continue texts, and the format for it; empty where it can."""
    if is_causal_base(checkpoint):
        return ""
    what = TITLES[checkpoint.stage].lower()
    return f"{what}, only a causal base as 'mtlkit pretrain' makes it; use --format sentence-transformers"


def marks_of(weights: LoadedWeights) -> TokenizerFacts:
    """What a model's tokenizer has. One without a token for padding lends its last, which the mask hides as well."""
    tokenizer, encoder = weights.encoder.tokenizer, weights.encoder
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    vocabulary = tuple(names.get(number, f"<id {number}>") for number in range(weights.checkpoint.architecture.vocab_size))
    stored = json.loads(tokenizer.to_str())
    spaced = bool((stored["pre_tokenizer"] or {}).get("add_prefix_space"))
    pad = next((token for name in PADS if (token := tokenizer.token_to_id(name)) is not None), encoder.eos)
    pad_token, first, last = (Token(names[one], one) for one in (pad, encoder.bos, encoder.eos))
    special = [token["content"] for token in stored["added_tokens"] if token["special"]]
    unknown = next((token for token in (stored["model"].get("unk_token"), *UNKNOWN) if token in special), None)
    mask = next((token for token in special if token in MASKS), None)
    named = {unknown, mask, pad_token.text, first.text, last.text}
    others = tuple(token for token in special if token not in named)
    return TokenizerFacts(pad_token, first, last, spaced, vocabulary, unknown, mask, others)


def write_onnx(folder: Path, weights: LoadedWeights) -> None:
    """A run in all but its weights, which are in the graph."""
    write_checkpoint(folder, weights.checkpoint)
    write_graph(
        weights.model, folder / GRAPH, [VECTOR, *map(output_name, weights.readers)], pools_prompt=weights.encoder.pools_prompt
    )


def write_compact(folder: Path, weights: LoadedWeights) -> None:
    """A run in a quarter of the bytes."""
    checkpoint = weights.checkpoint
    save_model(
        weights.model,
        folder,
        checkpoint.stage,
        checkpoint.encoding,
        sources=checkpoint.sources,
        vectors=checkpoint.vectors,
        compact=True,
    )


@dataclass(frozen=True)
class Exporter:
    """A format: what writes it and what reads it back, the packages of each, what its card says, and by which files it is
    known. `front` stands at the top of the card, for hubs; `cuts` says whether it cuts long texts as the model does, `router`
    whether it has a place for the router; `tolerance` how far its outputs may be from `ours`, those of the model; `stages` which
    runs it is for, the first one that has a run is the default; `unfit` says why a model cannot be exported, or ""."""

    write: Callable[[Path, LoadedWeights], None]
    outputs: Callable[[Path, LoadedWeights, Sequence[str]], Outputs]
    needs: tuple[str, ...]
    checked_by: str
    record: str
    marks: tuple[str, ...]
    use: Callable[[LoadedWeights], str]
    front: str
    cuts: Callable[[LoadedWeights], bool]
    router: bool = True
    tolerance: float = TOLERANCE
    ours: Callable[[LoadedWeights, Sequence[str]], Outputs] = our_outputs
    tokenizer: Callable[[LoadedWeights], Tokenizer] = lambda weights: weights.encoder.tokenizer
    stages: tuple[Stage, ...] = ("mtl", "sentence", "base")
    unfit: Callable[[ModelDescription], str] = lambda _: ""


EXPORTERS: dict[ExportFormat, Exporter] = {
    "sentence-transformers": Exporter(
        write_sentence_transformers,
        sentence_transformers_outputs,
        needs=(),
        checked_by="sentence_transformers",
        record=EXPORT_RECORD,  # a run.json would make it a run of ours
        marks=(EXPORT_RECORD, "modules.json"),
        use=lambda weights: sentence_transformers_use(weights.checkpoint),
        front=FRONT,
        cuts=lambda weights: weights.checkpoint.encoding.truncate != "head-tail",  # it knows only one end
        router=False,
    ),
    "transformers": Exporter(
        write_transformers,
        transformers_outputs,
        needs=(),
        checked_by="transformers",
        record=EXPORT_RECORD,
        marks=(EXPORT_RECORD, GENERATION_CONFIG),
        use=_generation_use,
        front=GENERATION_FRONT,
        cuts=lambda _: False,  # it does not cut prompts
        ours=base_outputs,
        tokenizer=lambda weights: prompt_tokenizer(weights.encoder.tokenizer, marks_of(weights)),
        stages=("base",),
        unfit=not_a_causal_base,
    ),
    "onnx": Exporter(
        write_onnx,
        onnx_outputs,
        needs=("onnx", "onnxscript", "onnxruntime"),
        checked_by="onnxruntime",
        record=RECORD,
        marks=(RECORD, GRAPH),
        use=lambda weights: onnx_use(weights.checkpoint),
        front="",
        cuts=lambda _: True,
    ),
    "compact": Exporter(
        write_compact,
        compact_outputs,
        needs=(),
        checked_by="mtlkit",
        record=RECORD,
        marks=(RECORD, WEIGHTS),
        use=lambda _: LOADING,
        front="",
        cuts=lambda _: True,
        tolerance=0.1,  # weights are rounded to a byte; that is seen in the second digit
    ),
}
