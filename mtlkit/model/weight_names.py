"""The names of a model's weights, worked out from its description alone, so that options can be checked without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtlkit.config.architecture import Architecture, parse_head

SCALE = ".scale"  # after the name of a matrix in bytes: what one unit of each of its rows is worth, (rows, 1)


def weight_names(architecture: Architecture, heads: Mapping[str, str]) -> tuple[str, ...]:
    """The weights of a `MultiTaskModel`, as `named_parameters` calls them; `heads` maps each task to the layers of its head."""
    names = ["backbone.tokens.weight", "backbone.positions.weight"]
    if architecture.embedding_norm:
        names += both("backbone.embedding_norm")
    if architecture.token_dim != architecture.dim:
        names += both("backbone.widen")
    for block in range(architecture.layers):
        inside = ("attention_norm", "attention.qkv", "attention.out", "mlp_norm", "expand", "contract")
        names += [name for part in inside for name in both(f"backbone.blocks.{block}.{part}")]
    if architecture.norm == "pre":
        names += both("backbone.norm")
    if architecture.pooling == "weighted":
        names.append("backbone.token_weights")
    for task, head in heads.items():
        names += head_weights(task, head)
    return tuple(names)


def head_weights(task: str, head: str) -> list[str]:
    """Those of one head: dropout stands before each linear layer, an activation after each but the last."""
    return [name for place in range(len(parse_head(head)) + 1) for name in both(f"heads.{task}.layers.{3 * place + 1}")]


def both(module: str) -> list[str]:
    return [f"{module}.weight", f"{module}.bias"]


def part_of(weight: str) -> str:
    """The smallest part that a weight belongs to: `embeddings`, `layers:N`, `pooling` (the final norm, too), `head:NAME` or
    `router`."""
    words = weight.split(".")
    if words[0] == "router":
        return "router"
    if words[0] == "heads":
        return f"head:{words[1]}"
    if words[1] == "blocks":
        return f"layers:{words[2]}"
    return "pooling" if words[1] in ("norm", "token_weights") else "embeddings"


def parts_of(weights: Iterable[str]) -> dict[str, list[str]]:
    """Weights by the part they belong to, in the order of the weights."""
    found: dict[str, list[str]] = {}
    for weight in weights:
        found.setdefault(part_of(weight), []).append(weight)
    return found


UPWARDS = ("embeddings", "layers", "pooling", "head")


def level(part: str) -> int:
    """The place of a part from the embeddings upwards; the blocks share one."""
    kind = part.split(":")[0]
    return UPWARDS.index(kind) if kind in UPWARDS else len(UPWARDS)
