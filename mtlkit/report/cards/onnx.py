"""How to use an ONNX export, for its model card."""

from __future__ import annotations

from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.sentence_transformers import calibration_use, joint_use, pairs_use, prompt_use
from mtlkit.report.cards.words import onnx_words_use

ONNX = """mtlkit needs onnxruntime for it, but not torch. With any other runtime: `model.onnx` takes `input_ids` and
`attention_mask`, both int64 of shape (texts, tokens), from `tokenizer.json`, padded with zeros on the right. It returns `vector`,
(texts, dim), and `head:NAME`, (texts, outputs), for each task; with a router also `router`, (texts, tasks), whose softmax is the
probability of each task. `config.json` lists the labels and the router's tasks in column order.
"""

PROMPT_INPUT = """
A third input, `prompt_tokens`, is an int64 scalar: the number of leading tokens that belong to the prompt, including the first
special token. They are excluded from pooling; 0 excludes none.
"""

ONNX_PAIRS = """
Heads for pairs of texts ({names}) are in `pairs.onnx`: it takes `first` and `second`, the vectors of both texts, each
(pairs, dim), and returns `head:NAME` for each of them. With mtlkit: `model.predict([("a first text", "its second text")])`.
"""

ONNX_JOINT = """
Heads that read both texts of a pair in one sequence ({names}) are in the same graph as those for single texts: give it the tokens
of the sequence, and `token_type_ids` where it has this input.
"""

ONNX_THRESHOLDS = """
A label of a multi-label task is predicted if its probability exceeds its threshold in `config.json` (`calibration`).
"""


def onnx_details(checkpoint: ModelDescription) -> str:
    """The inputs and outputs of its graph."""
    prompt_input = "" if checkpoint.vectors.include_prompt else PROMPT_INPUT
    return (
        ONNX
        + pairs_use(checkpoint, ONNX_PAIRS)
        + joint_use(checkpoint, ONNX_JOINT)
        + onnx_words_use(checkpoint)
        + calibration_use(checkpoint, ONNX_THRESHOLDS)
        + prompt_input
        + prompt_use(checkpoint.vectors)
    )
