"""The properties of a model's tokenizer that other libraries need."""

from __future__ import annotations

import json

from mtlkit.data.tokenization.tokenizer import PAD
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.interop.writing import Token, TokenizerFacts

PADS = (PAD, "[PAD]")  # names of the padding token
UNKNOWN, MASKS = ("[UNK]", "<unk>"), ("[MASK]", "<mask>")  # names of the unknown token and of the mask token


def tokenizer_facts(weights: LoadedWeights) -> TokenizerFacts:
    """The special tokens and the vocabulary of a model's tokenizer. Without a padding token, the last token of texts is used, as
    padding is masked anyway.
    """
    tokenizer, encoder = weights.encoder.tokenizer, weights.encoder
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    vocabulary = tuple(names.get(number, f"<id {number}>") for number in range(weights.checkpoint.architecture.vocab_size))
    stored = json.loads(tokenizer.to_str())
    spaced = bool((stored["pre_tokenizer"] or {}).get("add_prefix_space"))
    pad = next((token for name in PADS if (token := tokenizer.token_to_id(name)) is not None), encoder.eos)
    pad_token, first, last = (Token(names[number], number) for number in (pad, encoder.bos, encoder.eos))
    special = [token["content"] for token in stored["added_tokens"] if token["special"]]
    unknown = next((token for token in (stored["model"].get("unk_token"), *UNKNOWN) if token in special), None)
    mask = next((token for token in special if token in MASKS), None)
    named = {unknown, mask, pad_token.text, first.text, last.text}
    others = tuple(token for token in special if token not in named)
    return TokenizerFacts(pad_token, first, last, spaced, vocabulary, unknown, mask, others)
