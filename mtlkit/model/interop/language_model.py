"""Exports a causal base as a folder that transformers loads as a causal language model, ready to generate text."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer, processors

from mtlkit.config.architecture import Encoding
from mtlkit.model.description import CONFIG, ModelDescription
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.modules import TOKENIZER_CONFIG
from mtlkit.model.interop.writing import TokenizerFacts, family_for, model_config, special_tokens, their_weights, tokenizer_config
from mtlkit.runs.record import EXPORT_RECORD, WEIGHTS, write_json

GENERATION_CONFIG = "generation_config.json"


def is_causal_base(checkpoint: ModelDescription) -> bool:
    """Whether a model predicts the next token; False once it was trained on vectors or tasks."""
    return checkpoint.stage == "base" and checkpoint.architecture.attention == "causal"


def is_generator(folder: Path) -> bool:
    """Whether a folder is a causal base exported for text generation."""
    return all((folder / name).is_file() for name in (EXPORT_RECORD, GENERATION_CONFIG))


def write_language_model(folder: Path, encoder: Encoder, encoding: Encoding, marks: TokenizerFacts) -> None:
    """Writes everything except `tokenizer.json`. The output layer is the token embedding, which is stored once.

    Raises UsageError if transformers has no class for the encoder.
    """
    architecture = encoder.architecture
    family = family_for(architecture)
    model_class, prefix = family.language_model
    weights = {f"{prefix}.{name}": weight for name, weight in their_weights(encoder, family, marks).items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    config = model_config(family, architecture, marks)
    dropout = {"embd_pdrop": architecture.dropout, "attn_pdrop": 0.0}  # as in pretraining, for continued training
    write_json(folder / CONFIG, {**config, "architectures": [model_class], "tie_word_embeddings": True, **dropout})
    ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json(folder / GENERATION_CONFIG, {**ids, "max_length": architecture.max_length})  # there are no positions beyond it
    settings = tokenizer_config(encoding, marks)
    write_json(folder / TOKENIZER_CONFIG, {**settings, "padding_side": "left"})  # text is generated at the right end
    write_json(folder / "special_tokens_map.json", special_tokens(marks))


def prompt_tokenizer(tokenizer: Tokenizer, marks: TokenizerFacts) -> Tokenizer:
    """A tokenizer that adds the first token as in pretraining but no last token, so that generation can continue the text."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    first = marks.first
    assert first is not None  # tokenizers of mtlkit have one
    copy.post_processor = processors.TemplateProcessing(single=f"{first.text} $A", special_tokens=[(first.text, first.id)])
    return copy
