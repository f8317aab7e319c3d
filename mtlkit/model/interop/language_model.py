"""Exports a base as a folder that transformers loads as a language model: causal, ready to generate text, or masked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer, processors

from mtlkit.config.architecture import Encoding
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.model.description import CONFIG, ModelDescription
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.families.base import relative_of
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.modules import TOKENIZER_CONFIG
from mtlkit.model.interop.prediction_head import their_head
from mtlkit.model.interop.writing import TokenizerFacts, family_for, model_config, special_tokens, their_weights, tokenizer_config
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.runs.record import EXPORT_RECORD, WEIGHTS, write_json

GENERATION_CONFIG, SPECIAL_TOKENS = "generation_config.json", "special_tokens_map.json"


def is_causal_base(checkpoint: ModelDescription) -> bool:
    """Whether a model predicts the next token; False once it was trained on vectors or tasks."""
    return checkpoint.stage == "base" and checkpoint.architecture.attention == "causal"


def is_masked_base(checkpoint: ModelDescription) -> bool:
    """Whether a model predicts masked tokens, and is exported with that."""
    family = relative_of(checkpoint.architecture.family, causal=False)
    predicts = family is not None and not family.causal and bool(family.language_model[0])
    return predicts and checkpoint.stage == "base" and checkpoint.architecture.attention == "bidirectional"


def is_generator(folder: Path) -> bool:
    """Whether a folder is a causal base exported for text generation."""
    return all((folder / name).is_file() for name in (EXPORT_RECORD, GENERATION_CONFIG))


def write_language_model(
    folder: Path, encoder: Encoder, head: PredictionHead | None, encoding: Encoding, marks: TokenizerFacts
) -> None:
    """Writes everything except `tokenizer.json`. The output layer is the token embedding, which is stored once.

    Raises UsageError if transformers has no class for the encoder, or it has no head where that class has one.
    """
    architecture = encoder.architecture
    family = family_for(architecture)
    model_class, prefix = family.language_model
    weights = {f"{prefix}.{name}": weight for name, weight in their_weights(encoder, family, marks).items()}
    config = model_config(family, architecture, marks)
    if family.head:
        if head is None:
            raise UsageError(f"no head predicts tokens, which {model_class} needs; export it with --format sentence-transformers")
        more, keys = their_head(family, architecture, head)
        weights, config = weights | more, config | keys
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, {**config, "architectures": [model_class], "tie_word_embeddings": True})
    if family.causal:
        ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        write_json(folder / GENERATION_CONFIG, {**ids, "max_length": architecture.max_length})  # there are no positions beyond it
        settings = {**tokenizer_config(encoding, marks), "padding_side": "left"}  # text is generated at the right end
    else:
        marks = replace(marks, mask=mask_token(marks))
        settings = {**tokenizer_config(encoding, marks), "split_special_tokens": False}  # the mask is spelled out in texts
    write_json(folder / TOKENIZER_CONFIG, settings)
    write_json(folder / SPECIAL_TOKENS, special_tokens(marks))


def mask_token(marks: TokenizerFacts) -> str:
    """The token that hides others in pretraining: that for padding, if no other is for it."""
    return marks.mask or marks.pad.text


def prompt_tokenizer(tokenizer: Tokenizer, marks: TokenizerFacts) -> Tokenizer:
    """A tokenizer that adds the first token as in pretraining but no last token, so that generation can continue the text."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    first = marks.first
    assert first is not None  # tokenizers of mtlkit have one
    copy.post_processor = processors.TemplateProcessing(single=f"{first.text} $A", special_tokens=[(first.text, first.id)])
    return copy


def text_tokenizer(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    """The inverse of `prompt_tokenizer`, for its folder: a tokenizer that adds both ends. Raises IntegrityError."""
    named, copy = read_object(folder / SPECIAL_TOKENS), Tokenizer.from_str(tokenizer.to_str())
    ends = [(token, copy.token_to_id(token)) for token in (str(named.get(key)) for key in ("bos_token", "eos_token"))]
    if missing := [token for token, number in ends if number is None]:
        raise IntegrityError(f"{folder / SPECIAL_TOKENS}: damaged (no token {missing[0]!r} in the vocabulary)")
    copy.post_processor = processors.TemplateProcessing(single=f"{ends[0][0]} $A {ends[1][0]}", special_tokens=ends)
    return copy
