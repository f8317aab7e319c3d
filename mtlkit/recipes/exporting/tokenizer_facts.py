"""The properties of a model's tokenizer that other libraries need."""

from __future__ import annotations

import json

from mtlkit.data.tokenization.tokenizer import PAD
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.interop.writing import Token, TokenizerFacts

PADS = (PAD, "[PAD]")  # names of the padding token
UNKNOWN, MASKS = ("[UNK]", "<unk>"), ("[MASK]", "<mask>")  # names of the unknown token and of the mask token


def tokenizer_facts(weights: LoadedWeights) -> TokenizerFacts:
    """The special tokens and the vocabulary of a model's tokenizer. Without a padding token, another one is used, as padding is
    masked anyway.
    """
    tokenizer, encoder = weights.encoder.tokenizer, weights.encoder
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    vocabulary = tuple(names.get(number, f"<id {number}>") for number in range(weights.checkpoint.architecture.vocab_size))
    stored = json.loads(tokenizer.to_str())
    spaced = bool((stored["pre_tokenizer"] or {}).get("add_prefix_space"))
    others = (*encoder.after[-1:], *encoder.before[:1], *encoder.blank)
    pad = next((token for name in PADS if (token := tokenizer.token_to_id(name)) is not None), others[0])
    pad_token = Token(names[pad], pad)
    first, last = (Token(names[ends[0]], ends[0]) if ends else None for ends in (encoder.before[:1], encoder.after[-1:]))
    special = [token["content"] for token in stored["added_tokens"] if token["special"]]
    unknown = next((token for token in (stored["model"].get("unk_token"), *UNKNOWN) if token in special), None)
    mask = next((token for token in special if token in MASKS), None)
    named = {unknown, mask, *(token.text for token in (pad_token, first, last) if token is not None)}
    rest = tuple(token for token in special if token not in named)
    return TokenizerFacts(pad_token, first, last, spaced, vocabulary, unknown, mask, rest)
