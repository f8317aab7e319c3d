"""Weight names derived from a model's description, so that options can be validated without importing torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate

from mtlkit.config.architecture import Architecture, parse_head
from mtlkit.config.pooling import WEIGHTED
from mtlkit.config.registries.adapters import ADAPTERS, SHARED, AdapterSpec

SECOND_TYPE = "backbone.second_type"
PRODUCT = re.compile(r"backbone\.(blocks\.(\d+)\.(?:\w+\.)*(?!\w*norm\.)\w+)\.weight")  # the weight of a linear layer of a block
SCALE = ".scale"  # suffix for the scales of an int8 matrix, one per row, (rows, 1)


def weight_names(
    architecture: Architecture,
    heads: Mapping[str, str],
    *,
    joint: bool = False,
    adapters: Mapping[str, AdapterSpec] | None = None,
) -> tuple[str, ...]:
    """The weights of a `MultiTaskModel`, named as in `named_parameters`; `heads` maps each task to the layers of its head, and
    `joint` says whether one of them reads pairs of texts in one sequence."""
    if architecture.transformers is not None:
        from mtlkit.model.auto.automodel import names_of_weights

        own, added = names_of_weights(architecture, adapters or {})
        return (*own, *(name for task, head in heads.items() for name in head_weights(task, head)), *added)
    second = [SECOND_TYPE] if joint and architecture.token_types > 1 else []
    options = architecture.blocks
    names = [*second, "backbone.tokens.weight"]
    if not options.rotary:
        names.append("backbone.positions.weight")
    if architecture.position_buckets:
        names.append("backbone.position_bias.weight")
    if architecture.embedding_norm:
        names += linear("backbone.embedding_norm", options.norms_have_bias)
    if architecture.widens:
        names += both("backbone.widen")
    for block in range(len(architecture.repeats)):
        names += block_weights(architecture, block)
    if architecture.norm == "pre":
        names += linear("backbone.norm", options.norms_have_bias)
    for place, shape in enumerate(architecture.dense):
        names += linear(f"backbone.dense.{place}", shape.bias)
    if architecture.pooling == WEIGHTED:
        names.append("backbone.token_weights")
    products = [match for name in names if (match := PRODUCT.fullmatch(name))]
    for task, head in heads.items():
        names += head_weights(task, head)
    for task, spec in (adapters or {}).items():
        paths = [match[1] for match in products if int(match[2]) in spec.blocks]
        names += [f"adapters.{task}.{path}.{weight}" for path in paths for weight in ADAPTERS[spec.name].weights]
    return tuple(names)


def block_weights(architecture: Architecture, block: int) -> list[str]:
    """The weights of one block, counted from 0."""
    options = architecture.blocks
    parts = {
        "attention_norm": options.norms_have_bias,
        "attention.qkv": options.attention_bias,
        "attention.out": options.attention_bias,
        "mlp_norm": options.norms_have_bias,
        "expand": options.expand_bias,
        "contract": options.contract_bias,
    }
    if block == 0 and not options.first_norm:
        del parts["attention_norm"]
    return [name for part, bias in parts.items() for name in linear(f"backbone.blocks.{block}.{part}", bias)]


def head_weights(task: str, head: str) -> list[str]:
    """The weights of one head: dropout comes before each linear layer, an activation after each except the last."""
    return [name for index in range(len(parse_head(head)) + 1) for name in both(f"heads.{task}.layers.{3 * index + 1}")]


def both(module: str) -> list[str]:
    return linear(module, True)


def linear(module: str, bias: bool) -> list[str]:
    """The weights of a linear layer or a norm."""
    return [f"{module}.weight", *([f"{module}.bias"] if bias else [])]


def part_of(weight: str) -> str:
    """The smallest part that contains a weight: `embeddings`, `layers:N`, `pooling` (with the final norm and dense layers),
    `head:NAME`, `adapter:NAME`, `adapter` (that of all tasks) or `router`.
    """
    words = weight.split(".")
    if words[0] == "router":
        return "router"
    if words[0] == "heads":
        return f"head:{words[1]}"
    if words[0] == "adapters":
        return adapter_part(words[1])
    if words[1] == "blocks":
        return f"layers:{words[2]}"
    return "pooling" if words[1] in ("norm", "token_weights", "dense") else "embeddings"


def adapter_part(task: str) -> str:
    """The name of the adapter of a task, or of all under SHARED, as a part of a model."""
    return "adapter" if task == SHARED else f"adapter:{task}"


def part_titles(architecture: Architecture) -> dict[str, str]:
    """What to call the parts whose weights several layers share: `layers:0` is `layers:0-11` if it is the only one of 12."""
    ends = accumulate(architecture.repeats)
    runs = enumerate(zip(ends, architecture.repeats, strict=True))
    return {f"layers:{block}": f"layers:{end - times}-{end - 1}" for block, (end, times) in runs if times != 1}


def parts_of(weights: Iterable[str]) -> dict[str, list[str]]:
    """Groups weights by part, in the order of the weights."""
    parts: dict[str, list[str]] = {}
    for weight in weights:
        parts.setdefault(part_of(weight), []).append(weight)
    return parts


UPWARDS = ("embeddings", "layers", "pooling", "adapter", "head")


def level(part: str) -> int:
    """The height of a part above the embeddings; all blocks have the same."""
    kind = part.split(":")[0]
    return UPWARDS.index(kind) if kind in UPWARDS else len(UPWARDS)
