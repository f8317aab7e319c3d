"""Converts weight names and tensors between mtlkit and Hugging Face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mtlkit.config.architecture import Architecture
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.dense import DENSE
from mtlkit.model.interop.families.base import Family
from mtlkit.model.weight_checks import usable

SECOND_TYPE = "second_type"
TOKEN_WEIGHTS = "token_weights"  # of the pooling `weighted`: logarithms
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # layer norms in checkpoints converted from TensorFlow


def in_transformer(name: str) -> bool:
    """Whether an `Encoder` weight belongs to the transformer, not to a module of sentence-transformers around it."""
    return name != TOKEN_WEIGHTS and not name.startswith(DENSE)


def their_names(family: Family, name: str) -> list[str]:
    """Names of an `Encoder` weight in a family's state dict: one, or several for a projection that mtlkit fuses."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("blocks."):
        return [f"{family.names[module]}.{kind}"]
    _, index, part = module.split(".", 2)
    fused = {"attention.qkv": family.qkv, "expand": family.expand}.get(part)
    parts = fused or (family.inner[part],)
    return [f"{family.block.format(index)}.{inner}.{kind}" for inner in parts]


def bare_names(family: Family, stored: Iterable[str]) -> dict[str, str]:
    """Maps the tensor names of a file, which may be of a full model, to those of the bare model: prefixes removed, old names
    updated. Tensors outside the bare model are omitted.
    """
    today = {}
    for name in stored:
        old = next((old for old in OLD_NAMES if name.endswith(old)), "")
        today[name] = name.removesuffix(old) + OLD_NAMES[old] if old else name
    tokens = f"{family.names['tokens']}.weight"
    prefix = next((name.removesuffix(tokens) for name in today.values() if name.endswith(tokens)), "")
    return {name: new.removeprefix(prefix) for name, new in today.items() if new.startswith(prefix)}


def check_shapes(
    family: Family, architecture: Architecture, shapes: Mapping[str, torch.Size], theirs: Mapping[str, Tensor], pad_id: int
) -> None:
    """Raises ValueError if a tensor of a file does not have the shape that the mtlkit weights (`shapes`, by name) require. The
    message uses the file's names and shapes.
    """
    for name, shape in shapes.items():
        weight = torch.zeros(()).expand(shape)  # one number: what the meta device would save costs imports of seconds
        for their_name, wanted in theirs_from(family, architecture, name, weight, pad_id).items():
            if their_name in theirs and theirs[their_name].shape != wanted.shape and their_name != f"{family.token_types}.weight":
                sizes = [" x ".join(map(str, tensor.shape)) or "a single number" for tensor in (theirs[their_name], wanted)]
                raise ValueError(f"{their_name} is {sizes[0]}, and by {CONFIG} it is {sizes[1]}")


def ours_from(family: Family, architecture: Architecture, name: str, theirs: Mapping[str, Tensor], pad_id: int) -> Tensor:
    """Converts tensors of a family to one mtlkit weight in float32.

    Raises KeyError with the name of a missing tensor, UnusableWeight, and ValueError, IndexError or RuntimeError for an
    impossible shape.
    """
    if name == SECOND_TYPE:
        types = usable(f"{family.token_types}.weight", theirs[f"{family.token_types}.weight"])
        return (types[1] - types[0]).contiguous()
    pieces = [usable(their_name, theirs[their_name]) for their_name in their_names(family, name)]
    weight = torch.cat([piece.T if _turned(family, name, piece) else piece for piece in pieces])
    weight = _rearranged(family, architecture, name, weight, ours=True)
    if name == "positions.weight" and family.shifted:
        own = weight[pad_id : pad_id + 1] if architecture.padding_id is not None else weight[:0]
        weight = torch.cat([weight[pad_id + 1 :], own])  # the position of padding tokens comes last
    if name == family.first_type and family.token_types:
        first = usable(f"{family.token_types}.weight", theirs[f"{family.token_types}.weight"])[0]
        if first.shape != weight.shape[1:]:
            raise ValueError(f"{family.token_types} of width {tuple(first.shape)}, positions of {tuple(weight.shape[1:])}")
        weight = weight + first
    return weight.contiguous()


def theirs_from(family: Family, architecture: Architecture, name: str, weight: Tensor, pad_id: int) -> dict[str, Tensor]:
    """Inverse of `ours_from`: the family's tensors for one weight, which may be views of it. Positions, or tokens, already
    include the first token type.
    """
    if name == SECOND_TYPE:
        return {f"{family.token_types}.weight": torch.stack([torch.zeros_like(weight), weight])}
    names = their_names(family, name)
    if name == "positions.weight" and family.shifted:
        counted = architecture.max_length
        unused = pad_id + 1 + counted - len(weight)
        weight = torch.cat([weight.new_zeros(unused, weight.shape[1]), weight[counted:], weight[:counted]])
    weight = _rearranged(family, architecture, name, weight, ours=False)
    pieces = torch.split(weight, _rows(architecture, len(names), len(weight)))
    tensors = dict(zip(names, [piece.T if _turned(family, name, piece) else piece for piece in pieces], strict=True))
    if name == family.first_type and family.token_types:
        tensors[f"{family.token_types}.weight"] = weight.new_zeros(1, weight.shape[1])
    return tensors


def _turned(family: Family, name: str, weight: Tensor) -> bool:
    return family.turned and name.startswith("blocks.") and weight.ndim == 2


def _rows(architecture: Architecture, pieces: int, rows: int) -> list[int]:
    """The rows of each of the layers that a projection consists of."""
    if pieces == 3:
        keys = architecture.dim // architecture.heads * (architecture.blocks.kv_heads or architecture.heads)
        return [rows - 2 * keys, keys, keys]
    return [rows // pieces] * pieces


def _rearranged(family: Family, architecture: Architecture, name: str, weight: Tensor, *, ours: bool) -> Tensor:
    """A weight with its rows in our order, or in theirs.

    Ours has the pairs of channels that rotary positions turn side by side, and what the activation follows in the first half of
    a gated MLP. Theirs has the first of all pairs of a head before the second of all.
    """
    if architecture.blocks.rotary and ".attention.qkv." in name:
        heads, width = architecture.heads, architecture.dim // architecture.heads
        turning = heads + (architecture.blocks.kv_heads or heads)
        grid = (turning, 2, width // 2, -1) if ours else (turning, width // 2, 2, -1)
        top, rest = weight[: turning * width], weight[turning * width :]
        return torch.cat([top.reshape(grid).transpose(1, 2).reshape(top.shape), rest])
    if family.gate_last and ".expand." in name:
        return weight.roll(len(weight) // 2, 0)
    return weight
