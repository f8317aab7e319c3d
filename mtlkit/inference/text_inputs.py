"""Runs the heads of a model on single texts, or on pairs of texts in each way that heads read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.tokenization.text_pairs import encode_pairs, number_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import shorten
from mtlkit.inference.engines.base import Array, Engine
from mtlkit.inference.predictions import TextPairs


def check_texts(texts: Sequence[str]) -> list[str]:
    """The texts. Raises TypeError for anything but strings."""
    if isinstance(texts, str):  # a str is a sequence of strings too
        raise TypeError("texts is a string; pass a list of strings")
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            shown = shorten(repr(text), 60)
            raise TypeError(f"texts[{index}] is {shown}, of type {type(text).__name__}; pass a list of strings")
    return texts


def outputs_for_pairs(
    engine: Engine,
    encoders: tuple[TextEncoder, TextEncoder],
    specs: Mapping[str, TaskSpec],
    pairs: TextPairs,
    heads: Sequence[str],
    also: Sequence[str],
) -> Iterator[tuple[list[str], dict[str, Array]]]:
    """Heads that read pairs in the same way, with their outputs and those named in `also`. `encoders` are for single texts, whose
    vectors some heads read, and for pairs in one sequence. Raises TypeError for anything but pairs of strings.
    """
    texts, numbers = number_pairs(pairs)
    texts = check_texts(texts)
    joint = [name for name in heads if specs[name].joint]
    apart = [name for name in heads if name not in joint]
    if apart:
        yield apart, engine.outputs(encoders[0].encode(texts), [*apart, *also], numbers)
    if joint:
        yield joint, engine.outputs(encode_pairs(encoders[1], texts, numbers), [*joint, *also])
