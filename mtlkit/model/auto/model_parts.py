"""Takes a model apart into its stack of layers, what is above it and the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


class NoLayers(ValueError):
    """A model without a stack of equal layers."""


@dataclass(frozen=True)
class ModelParts:
    """Paths in a model: of the stack of layers, and of the modules with weights that come after it."""

    stack: str
    above: tuple[str, ...]


def find_parts(model: nn.Module) -> ModelParts:
    """Finds the stack of layers, the longest list of modules of one class that is in no other list, and what comes after it.

    That are the modules registered after it, up to an embedding: layers read those, as they do DeBERTa's relative positions.
    Raises NoLayers.
    """
    stacks: dict[str, int] = {}
    for path, module in model.named_modules():
        equal = isinstance(module, nn.ModuleList) and len({type(layer) for layer in module}) == 1
        if equal and not any(path.startswith(f"{outer}.") for outer in stacks):
            stacks[path] = len(module)
    if not stacks:
        raise NoLayers("no stack of layers")
    stack = max(stacks, key=lambda path: stacks[path])
    above: list[str] = []
    *parents, child = stack.split(".")
    for depth in reversed(range(len(parents) + 1)):
        parent, child = ".".join(parents[:depth]), stack.split(".")[depth]
        siblings = list(model.get_submodule(parent).named_children())
        for name, module in siblings[[name for name, _ in siblings].index(child) + 1 :]:
            if isinstance(module, nn.Embedding):
                break
            if any(True for _ in module.parameters()):
                above.append(f"{parent}.{name}".lstrip("."))
    return ModelParts(stack, tuple(above))


def without_parts(model: Module, paths: Iterable[str]) -> Module:
    """The model itself, without its modules at these paths."""
    for path in paths:
        parent, _, child = path.rpartition(".")
        del model.get_submodule(parent)._modules[child]
    return model
